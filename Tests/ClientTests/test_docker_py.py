"""The same through docker-py, as programs use it."""

import io
import socket
import tarfile

import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

from waiting import wait_for


def test_run_gives_the_output(client):
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 5"], remove=True)
    assert failed.value.exit_status == 5 and failed.value.stderr == b"bad\n"
    with pytest.raises(APIError, match="connection refused"):
        client.containers.run("127.0.0.1:9/nosuch:1", "true")
    with pytest.raises(ImageNotFound):
        client.images.get("nosuch:1")
    assert client.containers.list(all=True) == []


def test_a_container_through_its_life(client):
    box = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2; exec sleep 600"], detach=True, name="box",
                                labels={"a": "b"}, environment={"X": "y"}, mem_limit="64m", hostname="boat")
    assert box.status in ("created", "running") and client.containers.get("box").labels == {"a": "b"}
    wait_for(lambda: box.logs() and len(box.logs(stdout=True, stderr=True)) == 8, "both lines")
    assert (box.logs(stderr=False), box.logs(stdout=False)) == (b"out\n", b"err\n")
    assert box.exec_run("sh -c 'echo $X; hostname; exit 4'") == (4, b"y\nboat\n")
    assert box.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True).output == (b"o\n", b"e\n")
    assert box.top()["Processes"] and box.stats(stream=False)["memory_stats"]["limit"] == 64 << 20
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("ship")
    box.stop(timeout=0)
    assert box.wait()["StatusCode"] == 137
    box.remove()
    with pytest.raises(NotFound):
        client.containers.get("ship")


def test_logs_stream(client):
    box = client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; usleep 50000; done"], detach=True)
    assert [line for line in box.logs(stream=True, follow=True)] == [b"1\n", b"2\n", b"3\n"]


def test_exec_streams_and_has_a_socket(client):
    box = client.containers.run("busybox", "sleep 600", detach=True)
    assert b"".join(box.exec_run("seq 3", stream=True).output) == b"1\n2\n3\n"
    _, connection = box.exec_run("cat", stdin=True, socket=True, tty=True)
    connection._sock.sendall(b"typed\n")
    connection._sock.settimeout(10)
    seen = b""
    while b"typed" not in seen:
        seen += connection._sock.recv(100)
    connection.close()


def test_attach_socket(client):
    box = client.containers.create("busybox", "cat", stdin_open=True)
    connection = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    connection._sock.sendall(b"through\n")
    connection._sock.shutdown(socket.SHUT_WR)
    connection._sock.settimeout(10)
    seen = b""
    while chunk := connection._sock.recv(100):
        seen += chunk
    assert seen == b"\x01\0\0\0\0\0\0\x08through\n"
    connection.close()


def test_events(client):
    stream = client.events(decode=True, filters={"type": "container", "event": ["create", "start", "die"]})
    box = client.containers.run("busybox", "true", detach=True)
    actions = []
    for event in stream:
        assert event["id"] == box.id
        actions.append(event["Action"])
        if len(actions) == 3:
            break
    stream.close()
    assert actions == ["create", "start", "die"]


def test_archives(client):
    box = client.containers.create("busybox", "true")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"data"))
    assert box.put_archive("/tmp", buffer.getvalue())
    chunks, status = box.get_archive("/tmp/file")
    assert status["name"] == "file" and status["size"] == 4
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("file").read() == b"data"
    with pytest.raises(NotFound):
        box.get_archive("/nosuch")


def test_images(client):
    image = client.images.get("busybox")
    assert image.tag("copy", "1") and client.images.get("copy:1").id == image.id
    assert image.history()
    client.images.remove("copy:1")
    with pytest.raises(ImageNotFound):
        client.images.get("copy:1")
    saved = b"".join(image.save(named=True))
    [loaded] = client.images.load(saved)
    assert loaded.id == image.id


def test_volumes_and_mounts(client):
    volume = client.volumes.create("kept", labels={"a": "b"})
    client.containers.run("busybox", "touch /data/x", volumes={"kept": {"bind": "/data", "mode": "rw"}}, remove=True)
    assert client.containers.run("busybox", "ls /data", volumes=["kept:/data"], remove=True) == b"x\n"
    assert client.volumes.get("kept").attrs["Labels"] == {"a": "b"}
    volume.remove()


def test_ports_are_shown(client):
    box = client.containers.run("busybox", "sleep 600", detach=True, ports={"80/tcp": ("127.0.0.1", None)})
    box.reload()
    assert box.ports["80/tcp"][0]["HostIp"] == "127.0.0.1" and int(box.ports["80/tcp"][0]["HostPort"]) > 0


def test_errors_carry_a_message(client):
    with pytest.raises(APIError, match="Conflict. The container name"):
        client.containers.create("busybox", name="twice")
        client.containers.create("busybox", name="twice")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"Image": 5}', b'{"Image": "busybox", "HostConfig": []}', b"\xff\xfe", b'{"Image":"' + b"x" * 100000])
def test_bodies_that_make_no_sense_are_refused(client, body):
    answer = client.api.post(client.api.base_url + "/v1.44/containers/create", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404) and answer.json()["message"]
    assert client.ping()
