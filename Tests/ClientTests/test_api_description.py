"""Every answer of a tour through the API is as the API's own description says: status, types, names, what has to be there."""

import json
import urllib.parse

import docker
import pytest

from description import Description
from tarballs import tar_of

VERSION = "1.50"

# Fields that Docker's API does not have; the documents tell what they mean.
OURS = {
    "ContainerState.ExitReason", "HostConfig.NetworkInBps", "HostConfig.NetworkOutBps", "ImageInspect.Metadata.LastUsedTime",
}


class Recorder:
    """Looks at every answer that a client of docker-py gets."""

    def __init__(self, client):
        self.description = Description(VERSION)
        self.faults, self.seen = [], set()
        client.hooks["response"] = [self.look]

    def look(self, answer, *_, **options):
        path = urllib.parse.unquote(urllib.parse.urlsplit(answer.url).path).removeprefix(f"/v{VERSION}")
        method = answer.request.method
        name, answers = self.description.find(method, path)
        place = f"{method} {path} {answer.status_code}"
        if name is None:
            self.faults.append(f"{place}: the path is not described")
            return
        self.seen.add((method, name))
        if answer.status_code == 101: return  # The connection becomes a stream, which HTTP describes.
        if str(answer.status_code) not in answers:
            self.faults.append(f"{place}: the status is not described, only {sorted(answers)}")
            return
        schema = answers[str(answer.status_code)]
        kind = answer.headers.get("content-type", "")
        if options.get("stream") and answer.status_code < 300 or not kind.startswith("application/json"): return
        if schema is None or not answer.content: return
        try:
            value = json.loads(answer.content)
        except ValueError:
            return  # Several documents, of a stream.
        self.faults += [f"{place}: {fault}" for fault in self.description.faults(schema, value, "answer", OURS)]


@pytest.fixture
def recorded(engine):
    client = docker.APIClient(base_url=f"unix://{engine.socket}", version=VERSION, timeout=60)
    recorder = Recorder(client)
    yield client, recorder
    client.close()


def get(client, path, method="get", **options):
    return getattr(client, method)(f"{client.base_url}/v{VERSION}{path}", **options)


def test_a_tour_is_answered_as_described(recorded, engine, context):
    client, recorder = recorded
    system(client)
    images(client, context)
    containers(client, engine)
    executions(client)
    networks(client)
    volumes(client)
    refusals(client)
    assert not recorder.faults, "\n".join(sorted(set(recorder.faults)))
    assert len(recorder.seen) >= 65, sorted(recorder.seen)


def system(client):
    for path in ("/_ping", "/version", "/info", "/system/df", "/system/df?type=container"): get(client, path)
    get(client, "/_ping", "head")
    get(client, "/events?since=1&until=2")


def images(client, context):
    for path in ("", "?all=1&shared-size=1&digests=1"): get(client, f"/images/json{path}")
    for path in ("json", "history", "get"): get(client, f"/images/busybox/{path}")
    project = context({"Dockerfile": 'FROM busybox\nLABEL a=b\nENV C=d\nEXPOSE 80\nVOLUME /v\nHEALTHCHECK CMD true\nUSER 1\nWORKDIR /w\n'})
    list(client.build(path=str(project), tag="described", rm=True))
    get(client, "/images/described/json")
    client.tag("described", "described:2")
    get(client, "/images/search?term=none")
    client.remove_image("described:2")
    get(client, "/build/prune", "post")
    get(client, "/images/prune", "post")


def containers(client, engine):
    everything = client.create_host_config(
        binds=["described:/data", "/tmp:/host:ro"], port_bindings={80: None, 53: ("127.0.0.1", None)}, mem_limit="64m", cap_add=["SYS_TIME"],
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3}, ulimits=[docker.types.Ulimit(name="nofile", soft=64, hard=64)],
        devices=["/dev/null:/dev/nil"], sysctls={"net.ipv4.ip_forward": "1"}, tmpfs={"/t": ""}, dns=["192.0.2.1"], extra_hosts={"h": "192.0.2.2"},
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}), security_opt=["no-new-privileges"])
    client.create_container(
        "described", ["sh", "-c", "trap 'exit 3' TERM; echo out; while :; do usleep 10000; done"], name="box", ports=[80, (53, "udp")], labels={"l": "m"},
        host_config=everything, stdin_open=True, environment=["E=f"], user="0", healthcheck={"test": ["CMD", "true"], "interval": 10**9})
    for path in ("/containers/box/json", "/containers/json?all=1", "/containers/json?all=1&size=1"): get(client, path)
    client.start("box")
    get(client, "/containers/box/start", "post")
    for path in ("json", "json?size=1", "top", "top?ps_args=aux", "stats?stream=false&one-shot=true", "logs?stdout=1", "changes", "export",
                 "archive?path=/etc/passwd"):
        get(client, f"/containers/box/{path}")
    get(client, "/containers/box/archive?path=/etc/passwd", "head")
    client.put_archive("box", "/", tar_of({"put": b"x"}))
    get(client, "/containers/json")
    get(client, "/containers/box/resize?h=10&w=20", "post")
    get(client, "/containers/box/update", "post", json={"PidsLimit": 99})
    for verb in ("pause", "unpause", "kill?signal=CONT", "restart?t=5"): get(client, f"/containers/box/{verb}", "post")
    get(client, "/commit?container=box&repo=described&tag=kept", "post", json={})
    get(client, "/containers/box/rename?name=crate", "post")
    client.stop("crate", timeout=5)
    get(client, "/containers/crate/wait", "post")
    for path in ("/containers/crate/json", "/containers/json?all=1"): get(client, path)
    client.remove_container("crate", v=True)
    client.create_container("busybox", ["true"])
    get(client, "/containers/prune", "post")
    for name in ("described:kept", "described"): client.remove_image(name)


def executions(client):
    client.create_container("busybox", ["sleep", "600"], name="box")
    client.start("box")
    session = client.exec_create("box", ["sh", "-c", "exit 3"], environment=["A=b"], user="0")["Id"]
    client.exec_inspect(session)
    client.exec_start(session)
    client.exec_inspect(session)
    client.remove_container("box", force=True)


def networks(client):
    pool = docker.types.IPAMPool(subnet="198.18.77.0/24", gateway="198.18.77.1")
    client.create_network("described", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"}, internal=True)
    client.create_container("busybox", ["sleep", "600"], name="box", host_config=client.create_host_config(network_mode="bridge"))
    client.start("box")
    client.connect_container_to_network("box", "described", aliases=["alias"], ipv4_address="198.18.77.9")
    for path in ("/networks", "/networks/described", "/networks/described?verbose=1", "/networks/bridge", "/containers/box/json", "/containers/json"):
        get(client, path)
    client.disconnect_container_from_network("box", "described")
    client.remove_network("described")
    get(client, "/networks/prune", "post")
    client.remove_container("box", force=True)


def volumes(client):
    client.create_volume("described", labels={"a": "b"})
    for path in ("/volumes", "/volumes/described", "/system/df"): get(client, path)
    client.remove_volume("described")
    client.create_volume(None)
    get(client, "/volumes/prune", "post")


def refusals(client):
    """Errors have a form, too."""
    for path in ("/containers/none/json", "/images/none/json", "/networks/none", "/volumes/none", "/exec/none/json", "/containers/none/logs?stdout=1",
                 "/containers/json?filters=broken", "/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs", "/plugins", "/nodes/x",
                 "/services/x", "/plugins/x/json", "/distribution/127.0.0.1:1/none/json"):
        get(client, path)
    get(client, "/containers/create", "post", json={"Image": "none"})
    get(client, "/containers/create", "post", json={"Image": "busybox", "HostConfig": {"Memory": 1}})
    for path in ("/containers/none/start", "/containers/none/stop", "/containers/none/kill", "/containers/none/exec", "/containers/none/wait",
                 "/images/none/tag?repo=a", "/networks/none/connect", "/swarm/leave", "/services/create"):
        get(client, path, "post", json={})
    for path in ("/containers/none", "/images/none", "/networks/none", "/volumes/none"): get(client, path, "delete")


def test_the_checker_finds_faults():
    """It would be of no use otherwise."""
    description = Description(VERSION)
    _, answers = description.find("GET", "/volumes/x")
    volume = {"Name": "x", "Driver": "local", "Mountpoint": "/", "Labels": None, "Scope": "local", "Options": {}}
    assert description.faults(answers["200"], volume, "answer", set()) == []
    for change, fault in (({"Scope": "odd"}, "none of"), ({"Driver": 1}, "not of type string"), ({"Labels": {"a": 1}}, "not of type string"),
                          ({"name": "x"}, "is not described"), ({"Name": None}, "is null")):
        (found,) = description.faults(answers["200"], volume | change, "answer", set())
        assert fault in found
    assert "Name is missing" in description.faults(answers["200"], {k: v for k, v in volume.items() if k != "Name"}, "answer", set())[0]
