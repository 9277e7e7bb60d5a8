"""Sockets of the API that containers get: what they answer follows from the socket a request came by."""

import http.client
import json
import re
import socket
import stat
import time
import urllib.parse

import pytest

from engine import REPOSITORY
from waiting import wait_for

ALLOWED = {
    "GET /_ping", "HEAD /_ping", "GET /version", "GET /metrics", "GET /info", "GET /events", "GET /containers/json", "GET /containers/{id}/json",
    "GET /containers/{id}/stats", "GET /images/json", "GET /images/{name...}/json", "GET /networks", "GET /networks/{id}", "GET /volumes",
    "GET /volumes/{name}",
}


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


def inside(engine, name="box", target="/var/run/docker.sock"):
    """The container's socket, as the host sees it."""
    return f"/proc/{engine.pid_of(name)}/root{target}"


def ask(path, method, target, body=None, **headers):
    connection = Connection(path)
    connection.request(method, target, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


def raw(path, text):
    """The statuses of all answers to these bytes, and to a last request behind them if the connection comes to that."""
    text += "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(text.encode())
        answer = b""
        try:
            while part := connection.recv(65536): answer += part
        except ConnectionError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1.[01] (\d+)", answer)]


def connects(connection, path):
    try:
        connection.connect(path)
        return True
    except BlockingIOError:
        return False


def works(engine, name="box", target="/var/run/docker.sock"):
    try:
        return ask(inside(engine, name, target), "GET", "/_ping")[0] == 200
    except OSError:
        return False


@pytest.fixture
def box(skiff, engine):
    skiff("run", "-d", "--name", "box", "--api-socket", "read-only", "busybox", "sleep", "600")
    return inside(engine)


def test_the_socket_lives_as_long_as_the_container(engine, skiff, docker, box):
    assert works(engine)
    assert docker("exec", "-u", "1234", "box", "test", "-w", "/var/run/docker.sock")
    [found] = json.loads(docker("inspect", "box").out)
    assert [(mount["Type"], mount["Source"], mount["Destination"]) for mount in found["Mounts"]] == [
        ("engine-socket", "read-only", "/var/run/docker.sock")]
    engine.restart()
    wait_for(lambda: works(engine), "the socket of the new engine")
    docker("restart", "-t", "0", "box")
    assert works(engine)
    # It is nobody else's.
    docker("run", "--rm", "--volumes-from", "box", "busybox", "test", "!", "-e", "/var/run/docker.sock")
    place = engine.exec_root / "containers" / found["Id"] / "api.sock"
    assert stat.S_ISSOCK(place.stat().st_mode)
    with socket.socket(socket.AF_UNIX) as open_one:
        open_one.connect(inside(engine))
        docker("kill", "box")
        open_one.settimeout(20)
        assert open_one.recv(1) == b"" and not place.exists()


def test_docker_and_update_give_one_as_well(engine, skiff, docker):
    docker("run", "-d", "--name", "box", "--mount", "type=engine-socket,source=read-only,target=/sock", "busybox", "sleep", "600")
    assert works(engine, target="/sock")
    skiff("update", "--mount-rm", "/sock", "box")
    assert not works(engine, target="/sock")
    skiff("update", "--mount", "type=engine-socket,src=read-only,dst=/other", "box")
    assert works(engine, target="/other")
    for scope in ("", "everything", "read-write"):
        assert "has to be a scope: read-only" in skiff("create", "--mount", f"type=engine-socket,source={scope},target=/sock", "busybox", code=1).err


def routes():
    """Those of the engine's sources, and those of the description of Docker's API."""
    found = set()
    for file in (REPOSITORY / "Sources/EngineServer/Routes").glob("*.swift"):
        found |= {f"{method} {path}" for method, path in re.findall(r'\.(GET|HEAD|POST|PUT|DELETE), "(/[^"\\]*)"', file.read_text())}
    assert len(found) > 80 and ALLOWED - found == {"GET /_ping", "HEAD /_ping"}
    document = json.loads((REPOSITORY / "Tests/Fixtures/engine-api/v1.50.json").read_text())
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods if method != "parameters"}
    assert len(described) > 90
    return found | described


def test_nothing_else_is_answered(engine, skiff, box):
    skiff("volume", "create", "kept")
    for route in sorted(routes() | ALLOWED):
        method, pattern = route.split(" ")
        path = pattern.replace("{id}", "box" if "containers" in pattern else "bridge").replace("{name}", "kept" if "volumes" in pattern else "busybox")
        path = re.sub(r"\{[^}]*\}", "busybox", path.replace("{name...}", "busybox"))
        if pattern.endswith("/stats"): path += "?stream=0&one-shot=1"
        if pattern == "/events": path += "?until=1"
        status, content = ask(box, method, path, "{}" if method in ("POST", "PUT") else None)
        normal = re.sub(r"/images/\{name\}/", "/images/{name...}/", route)
        if normal in ALLOWED:
            assert status == 200, (route, status, content)
        else:
            assert status == 404 and "page not found" in content or status == 403 and (method == "HEAD" or "read-only" in content), (route, status, content)
            if method != "HEAD" and status == 404: assert ask(engine.socket, method, path, "{}")[0] in (404, 400, 501, 503), route
    assert skiff("ps", "-aq").lines == skiff("ps", "-q").lines and len(skiff("ps", "-q").lines) == 1


def test_tricks_make_no_other_request_of_it(engine, box):
    """T31: whatever the request looks like, what is decided about is what is done."""
    body = json.dumps({"Image": "busybox", "HostConfig": {"Privileged": True}})
    end = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    for path in ("/containers/create", "//containers//create", "/v1.44/containers/create", "/v1.44//containers/create/", "/containers/create?name=json",
                 "/containers/%63reate", "/containers/json/../create", "/./containers/create", "http://localhost/containers/create", "*"):
        for version in ("1.1", "1.0"):
            statuses = raw(box, f"POST {path} HTTP/{version}\r\n{end}")
            assert statuses[0] in (400, 403, 404) and statuses[1:] in ([], [200]), (path, version, statuses)
    assert raw(box, f"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nPOST /containers/create HTTP/1.1\r\n{end}") == [200, 403, 200]
    # A body where none is read is not the next request, and a length of two minds is no request.
    inner = f"POST /containers/create HTTP/1.1\r\n{end}"
    assert raw(box, f"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n{inner}") == [200, 200]
    assert raw(box, f"GET /_ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{len(inner):x}\r\n{inner}\r\n0\r\n\r\n") == [200, 200]
    for lengths in ("Content-Length: 0\r\nContent-Length: 5\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"):
        assert 201 not in raw(box, f"GET /_ping HTTP/1.1\r\nHost: x\r\n{lengths}\r\n{inner}")
    assert raw(box, "GET /_ping HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: POST\r\n\r\n") == [200, 200]
    for protocol in ("h2c", "tcp", "websocket"):
        upgrade = {"Upgrade": protocol, "Connection": "Upgrade"}
        assert ask(box, "GET", "/_ping", **upgrade) == (200, "OK")
        assert ask(box, "POST", "/containers/box/attach?stream=1&stdin=1", **upgrade)[0] == 403
        assert ask(box, "GET", "/containers/box/attach/ws?stream=1", **upgrade)[0] == 403
    assert raw(box, "POST /exec/x/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}") == [403, 200]
    assert len(engine.client.api.containers(all=True)) == 1


def test_secrets_are_left_out(engine, skiff, box):
    skiff("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=8675309", "opt")
    skiff("run", "-d", "--name", "has-secrets", "-e", "TOKEN=hunter2", "-l", "shown=label", "--health-cmd", "echo hunter2",
          "--health-interval", "20ms", "--log-opt", "env=TOKEN", "busybox", "sh", "-c", ": hunter2; sleep 600")
    skiff("exec", "has-secrets", "true", "hunter2")
    skiff("run", "--name", "fails", "busybox", "hunter2", code=127)
    wait_for(lambda: "hunter2" in json.dumps(engine.client.api.inspect_container("has-secrets")["State"]["Health"]["Log"]), "a probe")
    seen = ""
    for path in ("/info", "/version", "/metrics", "/containers/json?all=1", "/containers/json?all=1&size=1", "/containers/has-secrets/json", "/containers/fails/json?size=1",
                 "/images/json", "/images/busybox/json", "/networks", "/networks/bridge", "/volumes", "/volumes/opt", "/events?since=1&until=1",
                 "/containers/has-secrets/stats?stream=0", f"/events?since=1&until={2**40}"):
        if path.endswith(str(2**40)):
            connection = Connection(box)
            connection.request("GET", path)
            answer, content = connection.getresponse(), ""
            while "exec_start" not in content:
                line = answer.readline().decode()
                assert line, content
                content += line
            connection.close()
        else:
            status, content = ask(box, "GET", path)
            assert status == 200, (path, content)
        assert "hunter2" not in content and "8675309" not in content, (path, content)
        assert "SizeRw" not in content, (path, content)  # For which the engine would walk through all files.
        seen += content
    assert '"shown":"label"' in seen and '"has-secrets"' in seen.replace("/has-secrets", "has-secrets")
    for action, is_known in (("exec_start", True), ("exec_start: true hunter2", False), ("exec_start: true", False)):
        query = urllib.parse.urlencode({"since": 1, "until": int(time.time()) + 1, "filters": json.dumps({"event": [action], "container": ["has-secrets"]})})
        assert (ask(box, "GET", f"/events?{query}")[1].count("\n") > 0) == is_known, action
    own = json.loads(ask(box, "GET", "/containers/has-secrets/json")[1])
    assert own["Config"]["Env"] == [] and own["Args"] == [] and own["State"]["Health"]["Status"] and own["Config"]["Labels"]["shown"] == "label"


def test_one_container_takes_no_more_than_its_share_of_connections(engine, box):
    held = []
    try:
        while len(held) < 70:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            held.append(connection)
            wait_for(lambda: connects(connection, box), "room for a connection")
        assert held[-1].recv(1) == b""
        assert ask(engine.socket, "GET", "/_ping")[0] == 200
        held[0].sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[0].recv(12) == b"HTTP/1.1 200"
    finally:
        for connection in held: connection.close()
    wait_for(lambda: works(engine), "the connections to be over")
