"""Networks that users make: what `network …` says and does, who reaches whom, and by which names."""

import ipaddress
import json
import re
import socket
import time

import docker
import pytest

from waiting import wait_for
from web import SERVER, fetch, free_port

SLEEP = ("busybox", "sleep", "600")


def run(cli, name, *options):
    return cli("run", "-d", "--name", name, *options, *SLEEP).line


def addresses(cli, container, network):
    settings = json.loads(cli("inspect", container).out)[0]["NetworkSettings"]["Networks"][network]
    return settings["IPAddress"], settings["GlobalIPv6Address"]


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def reaches(cli, container, target, code=None):
    return cli("exec", container, "ping", "-c", "1", "-W", "1", target, code=code).code == 0


# -- making, listing, showing, removing


def test_a_network_is_made_listed_shown_and_removed(cli):
    identity = cli("network", "create", "--label", "tier=back", "back").line
    assert re.fullmatch("[0-9a-f]{64}", identity)
    table = cli("network", "ls").lines
    assert table[0].split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]
    assert f"{identity[:12]}   back      bridge    local" in table
    assert cli("network", "ls", "-q", "--no-trunc", "--filter", "label=tier=back").line == identity
    assert cli("network", "ls", "-f", "type=custom", "--format", "{{.Name}}").line == "back"
    [shown] = json.loads(cli("network", "inspect", "back").out)
    assert (shown["Name"], shown["Id"], shown["Driver"], shown["Scope"]) == ("back", identity, "bridge", "local")
    assert shown["Labels"] == {"tier": "back"} and shown["Internal"] is False and shown["Containers"] == {}
    subnet = ipaddress.ip_network(shown["IPAM"]["Config"][0]["Subnet"])
    assert ipaddress.ip_address(shown["IPAM"]["Config"][0]["Gateway"]) in subnet
    assert cli("network", "inspect", "-f", "{{.Name}}", identity[:8]).line == "back"
    assert cli("network", "rm", "back").line == "back"
    assert "network back not found" in cli("network", "inspect", "back", code=1).err
    assert "network back not found" in cli("network", "rm", "back", code=1).err


def test_what_the_user_says_about_addresses_is_kept(cli):
    cli("network", "create", "--subnet", "10.231.0.0/16", "--ip-range", "10.231.8.0/24", "--gateway", "10.231.0.9",
        "--aux-address", "router=10.231.8.1", "--subnet", "fd00:231::/64", "--ipv6", "-o", "com.docker.network.driver.mtu=1400", "lan")
    [shown] = json.loads(cli("network", "inspect", "lan").out)
    assert shown["IPAM"]["Config"] == [
        {"Subnet": "10.231.0.0/16", "IPRange": "10.231.8.0/24", "Gateway": "10.231.0.9",
         "AuxiliaryAddresses": {"router": "10.231.8.1"}},
        {"Subnet": "fd00:231::/64", "Gateway": "fd00:231::1"}]
    assert shown["EnableIPv6"] is True and shown["Options"] == {"com.docker.network.driver.mtu": "1400"}
    run(cli, "anna", "--network", "lan")
    four, six = addresses(cli, "anna", "lan")
    assert ipaddress.ip_address(four) in ipaddress.ip_network("10.231.8.0/24") and four != "10.231.8.1"
    assert ipaddress.ip_address(six) in ipaddress.ip_network("fd00:231::/64")
    assert "default via 10.231.0.9" in cli("exec", "anna", "ip", "route").out
    assert "mtu 1400" in cli("exec", "anna", "ip", "link", "show", "eth0").out


@pytest.mark.parametrize("arguments, complaint", [
    (("bridge",), "operation is not permitted on predefined bridge network"),
    (("-d", "host", "x"), 'only one instance of "host" network is allowed'),
    (("-d", "nothing", "x"), "plugin"),
    (("--subnet", "10.231.0.1/16", "x"), "invalid subnet 10.231.0.1/16: it should be 10.231.0.0/16"),
    (("--subnet", "10.231.0.0/16", "--gateway", "10.232.0.1", "x"), "no matching subnet for gateway 10.232.0.1"),
    (("--subnet", "10.231.0.0/16", "--subnet", "10.231.4.0/24", "x"), "multiple overlapping subnet configuration is not supported"),
    (("--subnet", "10.231.0.0/16", "--subnet", "10.232.0.0/16", "x"), "bridge driver doesn't support multiple subnets"),
    (("-o", "com.docker.network.bridge.enable_icc=perhaps", "x"), "enable_icc"),
    (("--config-only", "--internal", "x"), "configuration network can only contain network specific fields"),
    (("--config-from", "nothing", "x"), 'configuration network "nothing" does not exist'),
    (("-o", "com.docker.network.bridge.gateway_mode_ipv4=open", "x"), "unknown gateway mode open"),
    (("-o", "com.docker.network.bridge.gateway_mode_ipv6=isolated", "x"), "can only be used for an internal network"),
])
def test_what_cannot_be_is_refused_and_leaves_nothing(cli, arguments, complaint):
    assert complaint in cli("network", "create", *arguments, code=1).err
    assert cli("network", "ls", "-q", "-f", "type=custom").out == ""


def test_names_and_subnets_are_taken_once(cli):
    cli("network", "create", "--subnet", "10.231.0.0/16", "one")
    assert "network with name one already exists" in cli("network", "create", "one", code=1).err
    assert "Pool overlaps with other one on this address space" in cli(
        "network", "create", "--subnet", "10.231.7.0/24", "two", code=1).err
    cli("network", "create", "two")


def test_a_network_in_use_stays(cli):
    cli("network", "create", "back")
    run(cli, "anna", "--network", "back")
    assert "has active endpoints" in cli("network", "rm", "back", code=1).err
    assert "back" not in cli("network", "prune", "-f").out
    assert "a pre-defined network and cannot be removed" in cli("network", "rm", "bridge", code=1).err
    cli("rm", "-f", "anna")
    assert cli("network", "prune", "-f").lines[:2] == ["Deleted Networks:", "back"]


# -- containers on them


def test_names_aliases_and_ids_are_found_and_only_on_the_same_network(cli):
    cli("network", "create", "back")
    cli("network", "create", "front")
    identity = run(cli, "db", "--network", "back", "--network-alias", "store", "--hostname", "dbhost")
    run(cli, "app", "--network", "back")
    run(cli, "web", "--network", "front")
    for name in ("db", "store", identity[:12], "dbhost", "db.back", "DB"):
        assert reaches(cli, "app", name), name
    assert not reaches(cli, "web", "db")
    four, six = addresses(cli, "db", "back")
    assert "nameserver 127.0.0.11" in cli("exec", "app", "cat", "/etc/resolv.conf").out
    assert f"name = db.back" in cli("exec", "app", "nslookup", four).out
    assert reaches(cli, "app", four) and not reaches(cli, "web", four)
    if six:
        assert reaches(cli, "app", six) and not reaches(cli, "web", six)
    names = json.loads(cli("inspect", "db").out)[0]["NetworkSettings"]["Networks"]["back"]
    assert names["Aliases"] == ["store"]
    assert {"db", "store", identity[:12], "dbhost"} == set(names["DNSNames"])


def test_a_name_that_is_not_there_and_a_kind_that_a_name_has_not(cli):
    cli("network", "create", "--internal", "--ipv6=false", "lan")
    run(cli, "anna", "--network", "lan")
    run(cli, "bert", "--network", "lan")
    assert "NXDOMAIN" in cli("exec", "anna", "nslookup", "nobody.example", code=None).all
    answer = cli("exec", "anna", "nslookup", "-type=aaaa", "bert", code=None).all
    assert "NXDOMAIN" not in answer and "Can't find" not in answer or "No answer" in answer


def test_the_default_network_knows_names_too(cli):
    run(cli, "first")
    run(cli, "second")
    assert reaches(cli, "first", "second")


def test_addresses_and_hardware_addresses_of_one_s_choice(cli):
    cli("network", "create", "--subnet", "10.231.0.0/16", "lan")
    run(cli, "anna", "--network", "lan", "--ip", "10.231.5.5", "--mac-address", "02:42:0a:00:00:05")
    settings = json.loads(cli("inspect", "anna").out)[0]["NetworkSettings"]["Networks"]["lan"]
    assert settings["IPAddress"] == "10.231.5.5" and settings["MacAddress"] == "02:42:0a:00:00:05"
    assert "Address already in use" in cli("run", "--rm", "--network", "lan", "--ip", "10.231.5.5", "busybox", "true", code=125).err
    assert "no configured subnet contains IP address" in cli(
        "run", "--rm", "--network", "lan", "--ip", "10.9.9.9", "busybox", "true", code=125).err
    assert "supported on user defined networks only" in cli("run", "--rm", "--ip", "10.231.5.6", "busybox", "true", code=125).err
    run(cli, "bert", "--network", "name=lan,ip=10.231.5.6,alias=bee,mac-address=02:42:0a:00:00:06")
    assert addresses(cli, "bert", "lan")[0] == "10.231.5.6" and reaches(cli, "anna", "bee")
    cli("restart", "-t", "0", "anna")
    assert addresses(cli, "anna", "lan")[0] == "10.231.5.5" and reaches(cli, "anna", "bee")


def test_an_unknown_network_is_named(cli):
    assert "network nowhere not found" in cli("run", "--rm", "--network", "nowhere", "busybox", "true", code=125).err


def test_a_container_on_two_networks_sees_both_and_keeps_them_apart(cli):
    cli("network", "create", "back")
    cli("network", "create", "front")
    run(cli, "db", "--network", "back")
    run(cli, "web", "--network", "front")
    run(cli, "app", "--network", "front", "--network", "back")
    assert reaches(cli, "app", "db") and reaches(cli, "app", "web") and not reaches(cli, "web", "db")
    assert set(cli("exec", "app", "ls", "/sys/class/net").out.split()) == {"lo", "eth0", "eth1"}


def test_connect_and_disconnect_while_it_runs_and_while_it_does_not(cli):
    cli("network", "create", "back")
    run(cli, "db", "--network", "back")
    run(cli, "app")
    assert not reaches(cli, "app", "db")
    cli("network", "connect", "--alias", "application", "back", "app")
    assert reaches(cli, "app", "db") and reaches(cli, "db", "application")
    assert "endpoint with name app already exists in network back" in cli("network", "connect", "back", "app", code=1).err
    cli("network", "disconnect", "back", "app")
    assert not reaches(cli, "app", "db") and not reaches(cli, "db", "application")
    assert "is not connected to" in cli("network", "disconnect", "back", "app", code=1).err
    cli("stop", "-t", "0", "app")
    cli("network", "connect", "back", "app")
    cli("network", "disconnect", "bridge", "app")
    cli("start", "app")
    assert reaches(cli, "app", "db")
    assert list(json.loads(cli("inspect", "app").out)[0]["NetworkSettings"]["Networks"]) == ["back"]
    assert "cannot be connected" in cli("network", "connect", "host", "app", code=1).err


def test_the_default_route_and_the_ports_follow_the_priority(cli):
    port = free_port()
    cli("network", "create", "--subnet", "10.231.0.0/16", "one")
    cli("network", "create", "--subnet", "10.232.0.0/16", "two")
    cli("run", "-d", "--name", "web", "--network", "one", "-p", f"{port}:8001", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page")
    cli("network", "connect", "--gw-priority", "5", "two", "web")
    assert "default via 10.232.0.1" in cli("exec", "web", "ip", "route").out
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page by the other network")
    cli("network", "disconnect", "two", "web")
    assert "default via 10.231.0.1" in cli("exec", "web", "ip", "route").out
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page by the first network again")


def test_a_new_name_is_known_at_once(cli):
    cli("network", "create", "back")
    run(cli, "db", "--network", "back")
    run(cli, "app", "--network", "back")
    cli("rename", "db", "store")
    assert reaches(cli, "app", "store") and not reaches(cli, "app", "db")


def test_links_give_other_names(cli):
    cli("network", "create", "back")
    run(cli, "db", "--network", "back")
    run(cli, "app", "--network", "back", "--link", "db:database")
    assert reaches(cli, "app", "database")
    run(cli, "other", "--network", "back")
    assert not reaches(cli, "other", "database")
    run(cli, "old")
    run(cli, "new", "--link", "old:former")
    assert reaches(cli, "new", "former")


def test_an_internal_network_leads_nowhere(cli):
    cli("network", "create", "--internal", "inside")
    run(cli, "anna", "--network", "inside")
    run(cli, "bert", "--network", "inside")
    assert reaches(cli, "anna", "bert")
    assert "default" not in cli("exec", "anna", "ip", "route").out + cli("exec", "anna", "ip", "-6", "route").out
    gateway = json.loads(cli("network", "inspect", "inside").out)[0]["IPAM"]["Config"][0]["Gateway"]
    assert not reaches(cli, "anna", gateway)
    four, six = addresses(cli, "anna", "inside")
    run(cli, "outside")
    assert not reaches(cli, "outside", four) and not reaches(cli, "anna", addresses(cli, "outside", "bridge")[0])


def test_containers_that_must_not_see_each_other(cli):
    cli("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart")
    run(cli, "anna", "--network", "apart")
    run(cli, "bert", "--network", "apart")
    assert not reaches(cli, "anna", addresses(cli, "bert", "apart")[0])


def test_events_tell_of_networks(engine, docker, client):
    start = int(time.time()) - 1
    docker("network", "create", "back")
    docker("run", "--rm", "--network", "back", "busybox", "true")
    wait_for(lambda: not client.api.containers(all=True), "the end")
    docker("network", "rm", "back")
    seen = docker("events", "--since", str(start), "--until", str(int(time.time()) + 1), "--filter", "type=network",
                  "--format", "{{.Action}} {{.Actor.Attributes.name}}").lines
    assert [line for line in seen if line.endswith(" back")] == ["create back", "connect back", "disconnect back", "destroy back"]


def test_docker_py_networks(client):
    pool = docker.types.IPAMPool(subnet="10.231.0.0/16", gateway="10.231.0.254")
    network = client.networks.create("py", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"})
    assert network.attrs["IPAM"]["Config"] == [{"Subnet": "10.231.0.0/16", "Gateway": "10.231.0.254"}]
    container = client.containers.run("busybox", ["sleep", "600"], detach=True)
    network.connect(container, aliases=["me"], ipv4_address="10.231.9.9")
    network.reload()
    assert [c.id for c in network.containers] == [container.id]
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"]["py"]["IPAddress"] == "10.231.9.9"
    assert container.exec_run(["nslookup", "me"]).exit_code == 0
    network.disconnect(container)
    assert client.networks.list(names=["py"])[0].id == network.id
    with pytest.raises(docker.errors.NotFound):
        client.networks.get("nowhere")
    assert client.networks.prune()["NetworksDeleted"] == ["py"]


# -- what outlives the engine


def test_networks_names_and_ports_survive_the_engine(own_engine):
    engine = own_engine()
    cli = engine.docker
    port = free_port()
    cli("network", "create", "--subnet", "10.231.0.0/16", "back")
    run(cli, "db", "--network", "back", "--network-alias", "store")
    cli("run", "-d", "--name", "web", "--network", "back", "-p", f"{port}:8001", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page")
    before = json.loads(cli("network", "inspect", "back").out)
    engine.restart()
    assert json.loads(cli("network", "inspect", "back").out) == before
    assert fetch(f"http://127.0.0.1:{port}/") == "page\n"
    assert reaches(cli, "web", "store") and reaches(cli, "db", "web")
    run(cli, "late", "--network", "back")
    assert reaches(cli, "late", "store") and reaches(cli, "db", "late")
    cli("rm", "-f", "db", "web", "late")
    assert cli("network", "rm", "back").line == "back"


def test_a_network_is_made_of_a_configuration(cli, engine):
    cli("network", "create", "--config-only", "--subnet", "10.231.0.0/24", "-o", "com.docker.network.driver.mtu=1400", "--label", "a=b", "plan")
    assert "user specified configurations are not supported" in cli(
        "network", "create", "--config-from", "plan", "--subnet", "10.232.0.0/24", "lan", code=1).err
    cli("network", "create", "--config-from", "plan", "lan")
    shown = json.loads(cli("network", "inspect", "lan").out)[0]
    assert shown["IPAM"]["Config"][0]["Subnet"] == "10.231.0.0/24" and shown["Labels"] == {"a": "b"}
    assert shown["ConfigFrom"] == {"Network": "plan"} and shown["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert json.loads(cli("network", "inspect", "plan").out)[0]["ConfigOnly"] is True
    assert "cannot create endpoint on configuration-only network" in cli("run", "--rm", "--network", "plan", "busybox", "true", code=125).err
    assert 'configuration network "plan" is in use' in cli("network", "rm", "plan", code=1).err
    cli("network", "rm", "lan")
    cli("network", "rm", "plan")


def test_options_of_one_container_on_a_network(cli):
    cli("network", "create", "lan")
    cli("network", "create", "back")
    sysctls = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0"
    cli("run", "-d", "--name", "one", "--network", f'name=lan,"driver-opt={sysctls}",driver-opt=com.docker.network.endpoint.ifname=lan7,'
        "link-local-ip=169.254.7.7", "busybox", "sleep", "600")
    cli("run", "-d", "--name", "two", "--network", "name=lan,link-local-ip=169.254.7.8", "busybox", "sleep", "600")
    assert cli("exec", "one", "cat", "/proc/sys/net/ipv4/conf/lan7/log_martians", "/proc/sys/net/ipv4/conf/lan7/forwarding").lines == ["1", "0"]
    assert "169.254.7.7/16" in cli("exec", "one", "ip", "address", "show", "lan7").out
    cli("exec", "two", "ping", "-c", "1", "-W", "5", "169.254.7.7")
    cli("network", "connect", "--driver-opt", "com.docker.network.endpoint.ifname=back0", "back", "one")
    cli("exec", "one", "ip", "link", "show", "back0")
    # What is refused takes nothing away that has its name.
    cli("network", "create", "cable")
    assert "interface name lan7 is that of another" in cli(
        "network", "connect", "--driver-opt", "com.docker.network.endpoint.ifname=lan7", "cable", "one", code=1).err
    cli("exec", "two", "ping", "-c", "1", "-W", "5", "169.254.7.7")
    for option, complaint in [
        ("driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.forwarding=0", "unrecognised network interface sysctl"),
        ("driver-opt=com.docker.network.endpoint.ifname=a/b", "invalid interface name"), ("driver-opt=color=red", "invalid driver option"),
        ("link-local-ip=10.0.0.1", "invalid link-local IP address"),
        ("driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.nothing=0", "is not a sysctl file"),
    ]:
        assert complaint in cli("run", "--rm", "--network", f"name=lan,{option}", "busybox", "true", code=125).err


def test_on_a_routed_network_ports_are_the_containers_own(cli, engine):
    port = free_port()
    modes = [word for family in ("ipv4", "ipv6") for word in ("-o", f"com.docker.network.bridge.gateway_mode_{family}=routed")]
    cli("network", "create", *modes, "open")
    cli("run", "-d", "--name", "web", "--network", "open", "-p", f"{port}:8001", "-p", "20000-20019:30000-30019", "busybox", *SERVER)
    assert json.loads(cli("inspect", "web").out)[0]["NetworkSettings"]["Ports"]["30019/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": ""}
    shown = json.loads(cli("inspect", "web").out)[0]["NetworkSettings"]["Ports"]["8001/tcp"]
    assert {(binding["HostIp"], binding["HostPort"]) for binding in shown} == {("0.0.0.0", ""), ("::", "")}
    address = addresses(cli, "web", "open")[0]
    run(cli, "other")
    wait_for(lambda: cli("exec", "other", "wget", "-qO-", f"http://{address}:8001/", code=None).out == "page\n", "the page")
    assert not listens(port)
    # What is open at its own address cannot be closed while it runs, and nobody is told that it was.
    for change in (("--publish-rm", f"{port}:8001"), ("-p", f"{port}:8002")):
        assert "gateway mode of network open is routed" in engine.skiff("update", *change, "web", code=1).err
    assert json.loads(cli("inspect", "web").out)[0]["HostConfig"]["PortBindings"]["8001/tcp"][0]["HostPort"] == str(port)
    # On another network it is the host's port again.
    cli("network", "connect", "--gw-priority", "5", "bridge", "web")
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page by the host's port")
    assert cli("exec", "other", "wget", "-T", "1", "-qO-", f"http://{address}:8001/", code=None).out == ""
