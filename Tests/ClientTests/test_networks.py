"""Networks: published ports, names, isolation; and what one is told when a port is taken."""

import json
import socket
import subprocess
import sys

import pytest

from waiting import wait_for
from web import SERVER, fetch, fetch_inside, free_port

# For documentation (RFC 5737): no route of any real network leads there.
HOST_ADDRESS = "192.0.2.77"
ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 5000))
while True:
    data, sender = server.recvfrom(100)
    server.sendto(data, sender)
"""


@pytest.fixture
def host_address():
    """One more address of this host, as a network card has it."""
    subprocess.run(["ip", "link", "add", "skifftest", "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", f"{HOST_ADDRESS}/32", "dev", "skifftest"], check=True)
    subprocess.run(["ip", "link", "set", "skifftest", "up"], check=True)
    yield HOST_ADDRESS
    subprocess.run(["ip", "link", "del", "skifftest"], check=True)


def test_a_published_port_is_reached_from_everywhere_on_the_host(cli, host_address, engine):
    port = free_port()
    cli("run", "-d", "--name", "web", "-p", f"{port}:8001", "busybox", *SERVER)
    gateway = cli("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web").line
    for address in ("127.0.0.1", "localhost", host_address, gateway):
        wait_for(lambda: fetch(f"http://{address}:{port}/") == "page\n", f"the page at {address}")
    assert cli("port", "web").lines[0] == f"8001/tcp -> 0.0.0.0:{port}"
    cli("rm", "-f", "web")
    assert fetch(f"http://127.0.0.1:{port}/") is None


def test_another_container_reaches_it_through_the_host(cli, host_address):
    port = free_port()
    cli("run", "-d", "--name", "web", "-p", f"{port}:8001", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/"), "the page")
    assert cli("run", "--rm", "busybox", *fetch_inside(host_address, port)).out == "page\n"
    assert cli("exec", "web", *fetch_inside(host_address, port)).out == "page\n"


def test_a_port_of_localhost_stays_there(cli, host_address):
    port = free_port()
    cli("run", "-d", "--name", "web", "-p", f"127.0.0.1:{port}:8001", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page")
    assert fetch(f"http://{host_address}:{port}/") is None


def test_a_port_is_chosen_when_none_is_given(cli):
    cli("run", "-d", "--name", "web", "-p", "8001", "busybox", *SERVER)
    chosen = cli("port", "web", "8001").lines[0].rsplit(":", 1)[1]
    assert 1024 < int(chosen) < 65536
    wait_for(lambda: fetch(f"http://127.0.0.1:{chosen}/") == "page\n", "the page")


def test_exposed_ports_are_published_with_capital_p(cli, engine, context):
    engine.docker("build", "-q", "-t", "exposes", context({"Dockerfile": "FROM busybox\nENV PORT 8001\nEXPOSE $PORT\n"}))
    cli("run", "-d", "--name", "web", "-P", "exposes", *SERVER)
    chosen = cli("port", "web", "8001/tcp").lines[0].rsplit(":", 1)[1]
    wait_for(lambda: fetch(f"http://127.0.0.1:{chosen}/") == "page\n", "the page")


def test_udp_is_published(cli, engine):
    port = free_port(socket.SOCK_DGRAM)
    cli("run", "-d", "--name", "echo", "-p", f"{port}:5000/udp", "busybox", "sleep", "600")
    # Busybox has no server for UDP, so one of ours listens in the container's network.
    server = subprocess.Popen(["nsenter", "-t", str(engine.pid_of("echo")), "-n", sys.executable, "-c", ECHO])

    def echoes():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect(("127.0.0.1", port))
            try:
                client.send(b"ping")
                return client.recv(10) == b"ping"
            except OSError:
                return False

    try:
        wait_for(echoes, "an echo over UDP")
    finally:
        server.kill()
        server.wait()


def test_a_taken_port_is_named(cli, engine):
    port = free_port()
    cli("run", "-d", "--name", "first", "-p", f"{port}:80", "busybox", "sleep", "600")
    refused = cli("run", "-d", "--name", "second", "-p", f"{port}:80", "busybox", "sleep", "600", code=125)
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated (by container first)" in refused.err
    assert cli("inspect", "-f", "{{.State.Status}}", "second").line == "created"
    cli("rm", "-f", "first")
    cli("start", "second")
    assert cli("port", "second").lines[0] == f"80/tcp -> 0.0.0.0:{port}"


def test_any_port_of_a_range_will_do_and_a_range_of_both_sides_goes_one_by_one(cli):
    first = free_port()
    wanted = f"{first}-{first + 9}"
    chosen = set()
    for name in ("first", "second"):
        cli("run", "-d", "--name", name, "-p", f"{wanted}:80", "busybox", "sleep", "600")
        chosen.add(int(cli("port", name, "80").lines[0].rsplit(":", 1)[1]))
    assert len(chosen) == 2 and all(first <= port <= first + 9 for port in chosen)
    start = max(chosen) + 20
    cli("run", "-d", "--name", "web", "-p", f"{start}-{start + 2}:8001-8003", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{start}/") == "page\n", "the page")
    assert {line for line in cli("port", "web").lines if "0.0.0.0" in line} == {
        f"{8001 + number}/tcp -> 0.0.0.0:{start + number}" for number in range(3)}


def test_a_port_of_another_program_is_named(cli):
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = cli("run", "--rm", "-p", f"{port}:80", "busybox", "true", code=125)
    assert f"0.0.0.0:{port}" in refused.err and "address already in use" in refused.err


@pytest.mark.parametrize("port", ["0.0.0.0:99999:80", "x:80", "80:99999", "1.2.3:80:80"])
def test_ports_that_cannot_be_are_refused(cli, port):
    assert cli("run", "--rm", "-p", port, "busybox", "true", code=125).err.strip()


def test_the_bridge_gives_address_route_name_and_files(cli):
    shown = cli("run", "--rm", "--hostname", "boat", "busybox", "sh", "-c",
                "ip -4 -o addr show eth0; ip route; cat /etc/hosts /etc/resolv.conf; cat /sys/class/net/lo/operstate; ip link show lo").out
    assert "default via" in shown and "boat" in shown and "localhost" in shown
    assert "nameserver" in shown or not has_name_server()
    assert "LOOPBACK,UP" in shown


def has_name_server():
    with open("/etc/resolv.conf") as file:
        return "nameserver" in file.read()


def test_containers_of_the_bridge_reach_each_other(cli):
    cli("run", "-d", "--name", "web", "busybox", *SERVER)
    address = cli("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web").line
    wait_for(lambda: cli("run", "--rm", "busybox", *fetch_inside(address, 8001), code=None).out == "page\n",
             "the other container")
    six = cli("inspect", "-f", "{{.NetworkSettings.Networks.bridge.GlobalIPv6Address}}", "web").line
    if six:
        assert cli("run", "--rm", "busybox", "ping", "-6", "-c", "1", "-W", "5", six).out


def test_host_and_none(cli):
    with open("/proc/net/dev") as file:
        host = {line.split(":")[0].strip() for line in file if ":" in line}
    shown = cli("run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/dev").lines
    assert {"lo"} <= {line.split(":")[0].strip() for line in shown if ":" in line} & host
    assert cli("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net").out.split() == ["lo"]
    assert cli("run", "--rm", "--network", "none", "busybox", "nc", "-w", "2", HOST_ADDRESS, "80", code=1).err


def test_one_container_joins_another_s_network(cli):
    cli("run", "-d", "--name", "web", "busybox", *SERVER)
    wait_for(lambda: cli("run", "--rm", "--network", "container:web", "busybox", *fetch_inside("127.0.0.1", 8001), code=None).out == "page\n", "the server on localhost")


def test_extra_hosts_and_name_servers(cli):
    shown = cli("run", "--rm", "--add-host", "db:10.1.2.3", "--dns", "192.0.2.53", "--dns-search", "example.org", "busybox",
                "cat", "/etc/hosts", "/etc/resolv.conf").out
    assert "10.1.2.3\tdb" in shown and "nameserver 192.0.2.53" in shown and "search example.org" in shown


def test_networks_are_listed_and_shown(cli, engine):
    assert set(cli("network", "ls", "--format", "{{.Name}}").lines) == {"bridge", "host", "none"}
    cli("run", "-d", "--name", "box", "busybox", "sleep", "600")
    [bridge] = json.loads(cli("network", "inspect", "bridge").out)
    address = cli("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "box").line
    assert [entry["IPv4Address"].split("/")[0] for entry in bridge["Containers"].values()] == [address]
    assert bridge["IPAM"]["Config"][0]["Subnet"]
