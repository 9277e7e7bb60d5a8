"""Why containers end, what watches them, and what others are told of it."""

import base64
import json
import os
import socket
import urllib.parse

import pytest

from waiting import wait_for
from web import get_unix


def reason(cli, name):
    return json.loads(cli("inspect", "-f", "{{json .State}}", name).out)["ExitReason"]


def test_the_reason_of_an_end(engine, skiff):
    skiff("run", "--name", "plain", "busybox", "sh", "-c", "exit 3", code=3)
    told = reason(skiff, "plain")
    assert (told["Reason"], told["Message"]) == ("exited", "exited with code 3")
    skiff("run", "-d", "--name", "deaf", "busybox", "sleep", "600")
    skiff("kill", "deaf")
    told = reason(skiff, "deaf")
    assert (told["Reason"], told["Signal"], told["SentBy"]) == ("signal", "SIGKILL", "kill")
    skiff("run", "-d", "--name", "polite", "busybox", "sh", "-c", "trap 'exit 143' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: skiff("logs", "polite").out, "the trap")
    skiff("stop", "polite")
    assert reason(skiff, "polite")["Message"] == "exited with code 143 after SIGTERM, sent by stop"
    died = skiff("events", "--since", "1m", "--until", "0s", "--filter", "event=die", "--filter", "container=deaf", "--format", "{{json .Actor.Attributes}}")
    attributes = json.loads(died.line)
    assert (attributes["exitReason"], attributes["signal"], attributes["sentBy"]) == ("signal", "9", "kill")
    assert "killed by SIGKILL, sent by kill" in engine.log.read_text()
    assert skiff("run", "--name", "none", "busybox", "nosuch", code=127).err
    assert reason(skiff, "none")["Reason"] == "not-started"


def test_memory_that_runs_out_is_explained(engine, skiff):
    skiff("run", "--name", "eater", "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", "exec tail /dev/zero", code=137)
    told = reason(skiff, "eater")
    assert told["Reason"] == "oom" and told["SentBy"] == "kernel" and told["OutOfMemory"]["LimitBytes"] == 16 << 20
    assert told["OutOfMemory"]["PeakBytes"] > 8 << 20
    if told["OutOfMemory"].get("Process"):
        assert told["OutOfMemory"]["Process"] == "tail" and told["OutOfMemory"]["Limit"] == "container"


# -- numbers for machines

def test_metrics(engine, skiff):
    skiff("run", "-d", "--name", "box", "busybox", "sleep", "600")
    status, headers, text = get_unix(engine.socket, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = text.splitlines()
    assert 'engine_daemon_container_states_containers{state="running"} 1' in lines
    of_box = {line.split("{")[0]: float(line.split()[-1]) for line in lines if 'name="box"' in line}
    assert of_box["container_memory_usage_bytes"] > 0 and of_box["container_processes"] >= 1 and "container_network_receive_bytes_total" in of_box
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)


# -- what belongs to swarms and plugins

@pytest.mark.parametrize("method, path, status, message", [
    ("GET", "/swarm", 503, "This node is not a swarm manager."), ("GET", "/nodes/x", 503, "This node is not a swarm manager."),
    ("POST", "/services/create", 503, "This node is not a swarm manager."), ("DELETE", "/secrets/x", 503, "This node is not a swarm manager."),
    ("POST", "/configs/x/update", 503, "This node is not a swarm manager."), ("GET", "/tasks/x/logs", 503, "This node is not a swarm manager."),
    ("POST", "/swarm/leave", 503, "This node is not part of a swarm"), ("POST", "/swarm/init", 501, "swarms are not available"),
    ("GET", "/plugins/me/mine/json", 404, 'plugin "me/mine" not found'), ("POST", "/plugins/mine:1/enable", 404, 'plugin "mine:1" not found'),
    ("POST", "/plugins/pull?remote=x", 501, "plugins are not available"),
])
def test_swarms_and_plugins(engine, method, path, status, message):
    answer, _, text = get_unix(engine.socket, "/v1.51" + path, method)
    assert answer == status and message in json.loads(text)["message"]


def test_docker_s_words_without_a_swarm(docker):
    assert "This node is not a swarm manager" in docker("node", "ls", code=1).err
    assert docker("plugin", "ls", "-q").out == ""


# -- WebSocket

def test_attach_by_websocket(engine, skiff):
    skiff("run", "-d", "-i", "--name", "box", "busybox", "cat")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket))
        connection.settimeout(20)
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET /v1.51/containers/box/attach/ws?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        stream = connection.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        while stream.readline() != b"\r\n":
            pass
        connection.sendall(masked(2, b"over the web\n"))
        assert stream.read(2) == bytes([0x82, 13]) and stream.read(13) == b"over the web\n"
        connection.sendall(masked(9, b"?"))
        assert stream.read(3) == bytes([0x8A, 1]) + b"?"
        skiff("rm", "-f", "box")
        assert stream.read(1) == bytes([0x88])
    status, _, text = get_unix(engine.socket, f"/containers/{urllib.parse.quote('nosuch')}/attach/ws")
    assert status == 400 and "WebSocket" in text


def masked(opcode, payload):
    mask = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


# -- health

SERVER = "mkdir /www && echo ok > /www/ok && httpd -p 8080 -h /www && exec sleep 600"


def status(cli, name):
    return cli("inspect", "-f", "{{.State.Health.Status}}", name).line


def test_a_page_and_a_port_tell_of_health(engine, skiff):
    fast = ("--health-interval", "100ms", "--health-retries", "1")
    skiff("run", "-d", "--name", "page", "--health-http", "http://localhost:8080/ok", *fast, "busybox", "sh", "-c", SERVER)
    skiff("run", "-d", "--name", "port", "--health-tcp", "8080", *fast, "busybox", "sh", "-c", SERVER)
    skiff("run", "-d", "--name", "lost", "--health-http", "http://localhost:8080/nosuch", *fast, "busybox", "sh", "-c", SERVER)
    skiff("run", "-d", "--name", "deaf", "--health-tcp", "8081", *fast, "busybox", "sh", "-c", SERVER)
    for name, wanted, output in (("page", "healthy", "200 OK"), ("port", "healthy", "connected to"), ("lost", "unhealthy", "404"), ("deaf", "unhealthy", "connection refused")):
        wait_for(lambda: status(skiff, name) == wanted, f"{name} to be {wanted}")
        assert output in json.loads(skiff("inspect", "-f", "{{json .State.Health}}", name).out)["Log"][-1]["Output"]
    assert "is not of the form" in skiff("run", "--health-http", "ftp://x", "busybox", "true", code=125).err
    assert "only one of" in skiff("run", "--health-tcp", "1", "--health-cmd", "true", "busybox", "true", code=125).err


def test_an_unhealthy_container_is_started_again(engine, skiff):
    skiff("run", "-d", "--name", "box", "--restart", "on-unhealthy:2", "--health-cmd", "test ! -e /tmp/ill", "--health-interval", "50ms",
          "--health-retries", "1", "--stop-timeout", "0", "busybox", "sh", "-c", "touch /tmp/ill; exec sleep 600")
    wait_for(lambda: skiff("inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.Health.Status}}", "box").line == "2 running unhealthy",
             "two restarts, and then no more")
    assert "needs a health check" in skiff("run", "--restart", "on-unhealthy", "busybox", "true", code=125).err
