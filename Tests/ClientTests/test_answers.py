"""What the command line makes of engines that answer early, late, strangely or not at all."""

import socket
import subprocess
import threading

import pytest

from engine import PROGRAMS

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def answering(before, tmp_path):
    """Runs a command against an engine that reads the head of one request and then does what the test says."""
    listener = socket.socket(socket.AF_UNIX)
    path = tmp_path / "docker.sock"
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(20)
    threads = []

    def serve(reply):
        connection, _ = listener.accept()
        connection.settimeout(20)
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            reply(connection)

    def run(reply, *words, **options):
        threads.append(threading.Thread(target=serve, args=[reply]))
        threads[-1].start()
        return subprocess.run([PROGRAMS / "skiff", "-H", f"unix://{path}", *words], capture_output=True, text=True, timeout=20, **options)

    yield run
    for thread in threads:
        thread.join()
    listener.close()


def test_an_upload_that_is_refused_early_is_an_error_of_the_engine(answering, tmp_path):
    image = tmp_path / "image.tar"
    with image.open("wb") as file:
        file.truncate(50 << 20)  # More than the connection holds.
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 23\r\n\r\n" + b'{"message":"too large"}'
    ended = answering(lambda connection: connection.sendall(refusal), "load", "-i", image)
    assert ended.returncode == 1 and ended.stderr == "Error response from daemon: too large\n"


def test_an_engine_that_leaves_without_reading_everything_has_answered_all_the_same(answering):
    answer = OK + b'\r\n{"Id":"0123456789ab"}'
    ended = answering(lambda connection: connection.sendall(answer), "network", "create", "net" + "x" * 50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0123456789ab\n", "")


@pytest.mark.parametrize("reply, complaint", [
    (b"", "the engine closed the connection without an answer"),
    (b"HTTP/1.1 200 OK\r\n", "the engine closed the connection without an answer"),
    (b"220 mail.example.org ESMTP\r\n\r\n", "the answer of the engine is not HTTP"),
    (OK + b"Content-Length: 1000\r\n\r\n{", "unexpected EOF"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "the engine answers with a wrong chunk"),
])
def test_what_is_no_answer_is_said_to_be_none(answering, reply, complaint):
    ended = answering(lambda connection: connection.sendall(reply), "ps")
    assert ended.returncode == 1 and complaint in ended.stderr


def test_chunks_and_lengths_are_read_as_they_come(answering):
    def slowly(connection):
        for byte in OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n":
            connection.send(bytes([byte]))

    ended = answering(slowly, "ps", "-q")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_request_does_not_begin_another_one(answering, before):
    ended = subprocess.run(
        [PROGRAMS / "skiff", "-H", "unix:///nonexistent", "ps"], capture_output=True, text=True,
        env={"DOCKER_API_VERSION": "1.50 HTTP/1.1\r\nX: y", "HOME": "/nonexistent"})
    assert ended.returncode == 1 and ended.stderr == "invalid character in the path or version of the request\n"
