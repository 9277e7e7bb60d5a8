"""Engines that are reached by TCP with certificates, by ssh, and by their names."""

import json
import os
import socket
import subprocess
import tarfile

import pytest

from engine import PROGRAMS
from registries import make_authority
from web import free_port


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Those of the engine and its clients, and those of somebody else."""
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    for directory in (ours, theirs):
        authority, certificate, key = make_authority(directory)
        for name, file in (("ca.pem", authority), ("cert.pem", certificate), ("key.pem", key)):
            (directory / name).write_bytes(file.read_bytes())
    return ours, theirs


def test_only_clients_with_a_certificate_get_in(own_engine, certificates):
    ours, theirs = certificates
    port = free_port()
    engine = own_engine(arguments=["-H", f"tcp://127.0.0.1:{port}", "-H", "unix://{socket}", "--tlsverify",
                                   "--tlscacert", ours / "ca.pem", "--tlscert", ours / "cert.pem", "--tlskey", ours / "key.pem"])
    for command in (engine.docker, engine.skiff_without_host):
        remote = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(ours)}
        assert command("run", "--rm", "-i", "busybox", "cat", input="through and back\n" * 1000, env=remote).out == "through and back\n" * 1000
        flags = ["-H", f"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", ours / "ca.pem", "--tlscert", ours / "cert.pem", "--tlskey", ours / "key.pem"]
        assert command(*flags, "version", "--format", "{{.Server.Version}}").line
        box = command("run", "-d", "busybox", "sleep", "600", env=remote).line
        assert command("exec", box, "echo", "hi", env=remote).line == "hi"
        command("rm", "-f", box, env=remote)
        # Without a certificate, with somebody else's, without encryption; and an engine that is not ours.
        refused = [{"DOCKER_TLS": "1"}, {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(theirs)}, {}]
        for settings in refused:
            failed = command("ps", env={"DOCKER_HOST": remote["DOCKER_HOST"]} | settings, code=1)
            assert failed.err.strip() and "CONTAINER ID" not in failed.out
    # The client knows the engine by its name, too.
    engine.skiff_without_host("context", "create", "far", "--docker",
                              f"host=tcp://127.0.0.1:{port},ca={ours}/ca.pem,cert={ours}/cert.pem,key={ours}/key.pem")
    for command in (engine.docker, engine.skiff_without_host):
        assert command("--context", "far", "images", "-q", env={"DOCKER_HOST": ""}).out
        assert command("images", "-q", env={"DOCKER_HOST": "", "DOCKER_CONTEXT": "far"}).out


def test_ports_without_certificates_have_to_be_asked_for_loudly(own_engine, tmp_path):
    def refused(*arguments):
        done = subprocess.run(
            [PROGRAMS / "skiffd", "--data-root", tmp_path / "data", "--exec-root", tmp_path / "run", *arguments], capture_output=True, text=True, timeout=20)
        assert done.returncode != 0
        return done.stderr
    assert "would make everybody root who can reach it" in refused("-H", "tcp://0.0.0.0:0")
    assert "would make everybody root who can reach it" in refused("-H", "tcp://[::]:0")
    assert "could not load the TLS certificates" in refused("-H", "tcp://127.0.0.1:0", "--tlsverify", "--tlscert", "/nosuch")
    assert "cannot listen on 'foo://x'" in refused("-H", "foo://x")
    port = free_port()
    engine = own_engine(image=False, arguments=["-H", f"tcp://127.0.0.1:{port}", "-H", "unix://{socket}"])
    assert engine.docker("ps", "-q", env={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}).out == ""
    assert "everybody who can reach it is root" in engine.log.read_text()
    # A page in a browser can send requests, but not without saying where it comes from.
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /containers/prune HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


@pytest.fixture
def ssh(engine, tmp_path):
    """A stand-in for ssh(1) that runs the command here, and notes what it was called with."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(
        f"#!/bin/sh\necho \"$@\" >> {tmp_path}/calls\nwhile [ \"$1\" != -- ]; do shift; done; shift 2\n"
        f"export DOCKER_HOST=unix://{engine.socket}\nexec \"$@\"\n")
    (programs / "ssh").chmod(0o755)
    (programs / "skiff").symlink_to(PROGRAMS / "skiff")
    return {"PATH": f"{programs}:{os.environ['PATH']}"}, tmp_path / "calls"


def test_another_machine_by_way_of_ssh(engine, ssh):
    env, calls = ssh
    skiff = engine.skiff_without_host
    far = env | {"DOCKER_HOST": "ssh://me@far.example:2222"}
    assert skiff("run", "--rm", "-i", "busybox", "cat", input="there and back", env=far).out == "there and back"
    assert skiff("run", "--rm", "busybox", "sh", "-c", "exit 7", env=far, code=7).out == ""
    assert calls.read_text().splitlines()[0] == "-o ConnectTimeout=30 -T -l me -p 2222 -- far.example skiff system dial-stdio"
    refused = skiff("ps", env=env | {"DOCKER_HOST": "ssh://-oProxyCommand=true"}, code=1).err
    assert "unable to parse docker host" in refused


def test_docker_s_client_reaches_us_by_ssh(engine, ssh, tmp_path):
    env, _ = ssh
    (tmp_path / "bin/docker").symlink_to(PROGRAMS / "skiff")
    docker = subprocess.run(["which", "-a", "docker"], capture_output=True, text=True).stdout.splitlines()[0]
    done = subprocess.run([docker, "ps", "-q"], env=engine.docker.env | env | {"DOCKER_HOST": "ssh://far.example"}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


# -- contexts

@pytest.fixture
def contexts(engine, tmp_path):
    env = {"DOCKER_CONFIG": str(tmp_path / "config"), "DOCKER_HOST": ""}
    commands = {"docker": engine.docker, "skiff": engine.skiff_without_host}
    return lambda command, *args, **options: commands[command](*args, env=env | options.pop("env", {}), **options), tmp_path


@pytest.mark.parametrize("first, second", [("skiff", "docker"), ("docker", "skiff")])
def test_contexts_of_one_client_are_the_other_s(contexts, engine, first, second):
    run, folder = contexts
    made = run(first, "context", "create", "ours", "--docker", f"host=unix://{engine.socket}", "--description", "the tests' engine")
    assert made.line == "ours" and 'Successfully created context "ours"' in made.err
    assert run(second, "context", "use", "ours").line == "ours"
    for command in (first, second):
        assert run(command, "context", "show").line == "ours"
        assert "busybox" in run(command, "images", "--format", "{{.Repository}}").lines
        assert run(command, "context", "ls", "-q").lines == ["default", "ours"]
    inspected = [json.loads(run(command, "context", "inspect", "ours").out) for command in (first, second)]
    assert inspected[0] == inspected[1] and inspected[0][0]["Endpoints"]["docker"]["Host"] == f"unix://{engine.socket}"
    run(first, "context", "export", "ours", folder / "file")
    with tarfile.open(folder / "file") as archive:
        assert archive.getnames() == ["meta.json", "tls"]
    run(second, "context", "import", "again", folder / "file")
    run(second, "context", "update", "again", "--description", "new")
    assert run(first, "context", "ls", "--format", "{{.Name}} {{.Description}} {{.Current}}").lines[0] == "again new false"
    assert 'context "ours" is in use' in run(first, "context", "rm", "ours", code=1).err
    assert run(first, "context", "rm", "-f", "ours", "again").lines == ["ours", "again"]
    assert run(second, "context", "show").line == "default"


@pytest.mark.parametrize("arguments, message", [
    (["create", "default"], '"default" is a reserved context name'), (["create", "x y"], 'context name "x y" is invalid'),
    (["create", "ee", "--docker", "host=foo"], "unable to parse docker host `foo`"),
    (["create", "ee", "--docker", "bad=1"], "unrecognized config key: bad"), (["use", "nosuch"], 'context "nosuch": context not found'),
    (["create", "ee", "--docker", "ca=/nosuch"], "open /nosuch: no such file or directory"), (["rm", "default"], 'context "default" cannot be removed'),
    (["rm", "nosuch"], 'context "nosuch" does not exist'), (["inspect", "nosuch"], 'context "nosuch": context not found'),
])
def test_what_no_context_can_be(contexts, arguments, message):
    run, _ = contexts
    for command in ("docker", "skiff"):
        assert message in run(command, "context", *arguments, code=1).err


def test_settings_of_the_client(contexts, engine):
    run, folder = contexts
    (folder / "config").mkdir()
    (folder / "config/config.json").write_text(json.dumps({
        "psFormat": "{{.Names}}!", "imagesFormat": "{{.Repository}}!", "proxies": {"default": {"httpProxy": "http://proxy.example"}},
    }))
    host = {"DOCKER_HOST": f"unix://{engine.socket}"}
    for command in ("docker", "skiff"):
        run(command, "run", "-d", "--name", "box", "busybox", "sleep", "600", env=host)
        assert run(command, "ps", env=host).lines == ["box!"] and "busybox!" in run(command, "images", env=host).lines
        assert run(command, "exec", "box", "sh", "-c", "echo $HTTP_PROXY $http_proxy", env=host).line == "http://proxy.example http://proxy.example"
        run(command, "rm", "-f", "box", env=host)
