"""What `update` changes of a running container's network: published ports and limits of rate."""

import json
import os
import re
import subprocess

import pytest

from waiting import wait_for
from web import SERVER, fetch, fetch_inside, free_port


def test_a_port_is_published_and_taken_back_while_it_runs(own_engine):
    engine = own_engine()
    skiff, docker = engine.skiff, engine.docker
    first, second, third = free_port(), free_port(), free_port()
    skiff("run", "-d", "--name", "web", "-p", f"{first}:8001", "busybox", *SERVER)
    skiff("run", "-d", "--name", "other", "-p", f"{third}:8001", "busybox", "sleep", "600")
    wait_for(lambda: fetch(f"http://127.0.0.1:{first}/") == "page\n", "the page")
    events = engine.client.events(decode=True, filters={"event": "update"})
    skiff("update", "-p", f"{second}:8001", "-p", "8002", "web")
    assert fetch(f"http://127.0.0.1:{second}/") == fetch(f"http://127.0.0.1:{first}/") == "page\n"
    assert next(events)["Actor"]["Attributes"]["published"].startswith(f"{second}:8001/tcp,")
    events.close()
    assert {f"0.0.0.0:{first}", f"0.0.0.0:{second}", f"[::]:{second}"} < set(docker("port", "web", "8001").lines)
    assert f":{second}->8001/tcp" in docker("ps", "--filter", "name=web", "--format", "{{.Ports}}").line
    chosen = skiff("port", "web", "8002").lines[0].rsplit(":", 1)[1]

    # Whoever has it is named, and nothing has changed.
    refused = skiff("update", "-p", "8003:8003", "-p", f"{third}:8001", "--publish-rm", f"{first}:8001", "web", code=1)
    assert "port is already allocated (by container other)" in refused.err
    assert fetch(f"http://127.0.0.1:{first}/") == "page\n" and "8003" not in docker("port", "web").out
    assert "already published" in skiff("update", "-p", f"{first}:8001", "web", code=1).err
    assert "is not published" in skiff("update", "--publish-rm", "9:9", "web", code=1).err

    skiff("update", "--publish-rm", f"{first}:8001", "--publish-rm", f"{chosen}:8002", "web")
    assert fetch(f"http://127.0.0.1:{first}/") is None
    # The next engine and the next start know it.
    engine.restart()
    assert fetch(f"http://127.0.0.1:{second}/") == "page\n" and fetch(f"http://127.0.0.1:{first}/") is None
    docker("restart", "-t", "0", "web")
    wait_for(lambda: fetch(f"http://127.0.0.1:{second}/") == "page\n", "the page after a restart")
    bindings = json.loads(docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web").out)
    assert bindings == {"8001/tcp": [{"HostIp": "", "HostPort": str(second)}]}

    # All of a port of the container, and a container that does not run.
    skiff("update", "--publish-rm", "8001", "web")
    assert docker("port", "web").out == ""
    docker("stop", "-t", "0", "web")
    skiff("update", "-p", f"127.0.0.1:{first}:8001", "web")
    docker("start", "web")
    wait_for(lambda: fetch(f"http://127.0.0.1:{first}/") == "page\n", "the page after a start")


def test_ten_thousand_ports_are_one_for_all_but_the_api(cli, engine, client):
    sockets = len(os.listdir(f"/proc/{engine.process.pid}/fd"))
    cli("run", "-d", "--name", "many", "-p", "20000-29999:20000-29999", "busybox", "sleep", "600")
    assert len(os.listdir(f"/proc/{engine.process.pid}/fd")) < sockets + 50
    shown = client.api.inspect_container("many")
    assert len(shown["HostConfig"]["PortBindings"]) == len(shown["Config"]["ExposedPorts"]) == len(shown["NetworkSettings"]["Ports"]) == 10_000
    assert shown["HostConfig"]["PortBindings"]["29999/tcp"] == [{"HostIp": "", "HostPort": "29999"}]
    assert shown["NetworkSettings"]["Ports"]["20001/tcp"][1] == {"HostIp": "::", "HostPort": "20001"}
    assert "0.0.0.0:20000-29999->20000-29999/tcp" in cli("ps", "--format", "{{.Ports}}").out
    assert "0.0.0.0:25000" in cli("port", "many", "25000").lines
    refused = cli("run", "--rm", "-p", "25000:80", "busybox", "true", code=125)
    assert "port is already allocated (by container many)" in refused.err
    elements = subprocess.run(["nft", "list", "map", "inet", engine.bridge, "anyrange4"], capture_output=True, text=True, check=True).stdout
    assert "20000-29999" in elements
    events = client.events(decode=True, filters={"event": "update"})
    engine.skiff("update", "--publish-rm", "25000-25099:25000-25099", "many")
    assert next(events)["Actor"]["Attributes"]["unpublished"] == "25000-25099:25000-25099/tcp"
    events.close()
    assert len(client.api.inspect_container("many")["HostConfig"]["PortBindings"]) == 9_900
    assert "every address leads to port 25100" in engine.skiff("network", "explain", "25100").out
    cli("run", "--rm", "-p", "25000:80", "busybox", "true")


def test_what_has_no_ports_of_its_own_gets_none(skiff):
    skiff("run", "-d", "--name", "hosted", "--network", "host", "busybox", "sleep", "600")
    assert "conflicting options" in skiff("update", "-p", "8001", "hosted", code=1).err
    skiff("network", "create", "--internal", "inside")
    skiff("run", "-d", "--name", "captive", "--network", "inside", "busybox", "sleep", "600")
    assert "no network that publishes ports" in skiff("update", "-p", "8001", "captive", code=1).err


def buckets(endpoint):
    """The rates of the token buckets of a container, as tc shows them: in, out."""
    shown = [subprocess.run(["tc", "qdisc", "show", "dev", kind + endpoint[:11]], capture_output=True, text=True).stdout for kind in ("vsk", "isk")]
    return [match.group(1) if (match := re.search(r"tbf.* rate (\S+)", text)) else None for text in shown]


def test_a_rate_is_limited_and_set_free_while_it_runs(skiff, docker, client):
    skiff("run", "-d", "--name", "slow", "--net-in", "8mbit", "busybox", *SERVER)
    endpoint = docker("inspect", "-f", "{{.NetworkSettings.EndpointID}}", "slow").line
    assert buckets(endpoint) == ["8Mbit", None]
    skiff("update", "--net-out", "4mbit", "slow")
    assert buckets(endpoint) == ["8Mbit", "4Mbit"]
    assert json.loads(docker("inspect", "slow").out)[0]["HostConfig"]["NetworkOutBps"] == 500000
    # What goes through is counted once, as the container sees it.
    address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "slow").line
    wait_for(lambda: skiff("exec", "slow", *fetch_inside(address, 8001)).out == "page\n", "the server")
    skiff("exec", "slow", "sh", "-c", "head -c 100000 /dev/zero > /www/zeros")
    skiff("run", "--rm", "busybox", "sh", "-c", f"printf 'GET /zeros HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 8001 > /dev/null")
    counters = client.api.stats("slow", stream=False, one_shot=True)["networks"]["eth0"]
    assert 100000 < counters["tx_bytes"] < 150000 and counters["rx_bytes"] < 50000
    skiff("update", "--net-out", "0", "--net-in", "1m", "slow")
    assert buckets(endpoint) == ["8388Kbit", None] and "isk" + endpoint[:11] not in os.listdir("/sys/class/net")
    assert "10mbit" in skiff("update", "--net-in", "fast", "slow", code=125).err


@pytest.mark.parametrize("options", [["--network", "host", "--net-in", "1m"], ["--network", "none", "--net-out", "10mbit"], ["--net-in", "1"]])
def test_limits_that_cannot_be_are_refused(skiff, options):
    assert "limits of a network's rate" in skiff("run", "--rm", *options, "busybox", "true", code=125).err
