"""The engine is killed: containers go on, and the next engine knows them. Nothing half done remains."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from busybox import load_busybox
from engine import PROGRAMS, Engine
from host import Census, descriptors
from waiting import wait_for
from web import SERVER, fetch, free_port

COUNT = "trap 'exit 143' TERM; i=0; while :; do i=$((i+1)); echo line $i; usleep 10000; done"


def numbers(cli, name):
    return [int(line.split()[1]) for line in cli("logs", name).lines]


@pytest.fixture(scope="module")
def crashing(before):
    """One engine for this file; each test kills it and starts it again."""
    engine = Engine().start()
    load_busybox(engine)
    yield engine
    engine.remove()
    before.assert_nothing_new(of=engine)


@pytest.fixture
def mortal(crashing):
    yield crashing
    crashing.clean()


@pytest.mark.parametrize("name", ["docker", "skiff"])
def test_a_container_goes_on_without_the_engine(mortal, name):
    cli = mortal.commands[name]
    cli("run", "-d", "--name", "counter", "busybox", "sh", "-c", COUNT)
    wait_for(lambda: len(numbers(cli, "counter")) > 5, "some lines")
    pid = mortal.pid_of("counter")
    mortal.kill()
    log = next(mortal.data_root.glob("containers/*/*-json.log"))
    size = log.stat().st_size
    wait_for(lambda: log.stat().st_size > size + 1000, "lines while no engine runs")
    mortal.start()
    assert mortal.pid_of("counter") == pid and os.path.exists(f"/proc/{pid}")
    assert cli("ps", "--format", "{{.Names}}").lines == ["counter"]
    assert cli("exec", "counter", "echo", "in").out == "in\n"
    waiting = cli.start("wait", "counter", text=True)
    following = cli.start("logs", "-f", "--tail", "1", "counter", text=True)
    assert following.stdout.readline().startswith("line ")
    cli("stop", "-t", "10", "counter")
    assert waiting.communicate(timeout=20)[0] == "143\n"
    following.communicate(timeout=20)
    seen = numbers(cli, "counter")
    assert seen == list(range(1, len(seen) + 1))
    cli("start", "counter")
    cli("rm", "-f", "counter")


def test_an_exit_while_nobody_looks_is_known_afterwards(mortal):
    mortal.docker("run", "-d", "--name", "box", "-v", "sign:/sign", "busybox", "sh", "-c",
                  "until [ -e /sign/go ]; do usleep 10000; done; echo last words; exit 42")
    mortal.docker("run", "-d", "--rm", "--name", "goes", "-v", "sign:/sign", "busybox", "sh", "-c",
                  "until [ -e /sign/go ]; do usleep 10000; done")
    mortal.kill()
    (mortal.data_root / "volumes/sign/_data/go").touch()
    wait_for(lambda: not mortal.supervisors(), "both to end")
    mortal.start()
    assert mortal.docker("wait", "box").line == "42"
    assert mortal.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box").line == "exited 42"
    assert mortal.docker("logs", "box").out == "last words\n"
    wait_for(lambda: mortal.docker("ps", "-a", "--format", "{{.Names}}").lines == ["box"], "--rm to be kept")


def test_exec_s_exit_codes_are_known_to_the_next_engines(mortal):
    api = mortal.client.api
    mortal.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    early, late = (api.exec_create("box", ["sh", "-c", command])["Id"] for command in ("exit 5", "until [ -e /go ]; do usleep 10000; done; exit 6"))
    api.exec_start(early)
    api.exec_start(late, detach=True)
    pid = mortal.pid_of("box")
    mortal.kill()
    Path(f"/proc/{pid}/root/go").touch()
    for _ in range(2):
        mortal.start()
        wait_for(lambda: not api.exec_inspect(late)["Running"], "the second process to end")
        assert [api.exec_inspect(session)["ExitCode"] for session in (early, late)] == [5, 6]
        mortal.kill()
    mortal.start()


def test_what_was_to_be_removed_at_its_end_is_not_kept(mortal):
    mortal.docker("create", "--rm", "-v", "/data", "--name", "box", "busybox", "true")
    mortal.docker("create", "-v", "/data", "--name", "kept", "busybox", "true")
    mortal.restart()
    assert mortal.docker("ps", "-a", "--format", "{{.Names}}").lines == ["kept"]
    assert len(mortal.docker("volume", "ls", "-q").lines) == 1


def test_ports_stay_open(mortal):
    port = free_port()
    mortal.docker("run", "-d", "--name", "web", "-p", f"{port}:8001", "busybox", *SERVER)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page")
    mortal.kill()
    assert fetch(f"http://127.0.0.1:{port}/") == "page\n"
    mortal.start()
    assert fetch(f"http://127.0.0.1:{port}/") == "page\n"
    refused = mortal.docker("run", "--rm", "-p", f"{port}:80", "busybox", "true", code=125)
    assert "port is already allocated" in refused.err
    mortal.docker("rm", "-f", "web")
    assert fetch(f"http://127.0.0.1:{port}/") is None


def test_a_terminal_and_stdin_outlive_the_engine(mortal):
    mortal.docker("run", "-d", "-i", "--name", "box", "busybox", "cat")
    mortal.restart()
    attached = mortal.docker.start("attach", "box", stdin=subprocess.PIPE, text=True)
    attached.stdin.write("still\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == "still\n"
    attached.kill()
    attached.communicate()


def test_a_restart_policy_outlives_the_engine(mortal):
    mortal.docker("run", "-d", "--restart", "always", "--name", "box", "busybox", "sleep", "600")
    first = mortal.pid_of("box")
    mortal.kill()
    os.kill(first, 9)
    wait_for(lambda: not mortal.supervisors(), "its supervisor to end")
    mortal.start()
    wait_for(lambda: mortal.pid_of("box") not in (0, first), "the container to come back")


def test_a_polite_end_leaves_containers_too(mortal):
    mortal.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    pid = mortal.pid_of("box")
    mortal.stop()
    assert not mortal.socket.exists()
    mortal.start()
    assert mortal.pid_of("box") == pid


def test_a_second_engine_in_the_same_place_is_refused(mortal):
    second = subprocess.run(
        [PROGRAMS / "skiffd", "--data-root", mortal.data_root, "--exec-root", mortal.exec_root, "--bridge", mortal.bridge],
        capture_output=True, text=True, timeout=20)
    assert second.returncode != 0 and "another engine is at work here" in second.stderr
    assert mortal.client.ping()


def moments(count, longest):
    """Moments at which to strike, spread over how long the thing takes."""
    return [longest * (number + 0.5) / count for number in range(count)]


def test_killed_during_run_leaves_nothing(mortal):
    quiet = Census.take(mortal)
    took = time.monotonic()
    mortal.docker("run", "--rm", "busybox", "true")
    took = time.monotonic() - took
    for moment in moments(8, took):
        strike(mortal, moment, "run", "--name", "victim", "-p", "8001", "-v", "/data", "busybox", "true")
        mortal.start()
        mortal.clean()
        assert mortal.docker("run", "--rm", "--name", "victim", "busybox", "echo", "fine").out == "fine\n"
    quiet.assert_same(mortal)


def test_killed_during_build_leaves_nothing(mortal, context):
    directory = context({"Dockerfile": "FROM busybox\nCOPY f /f\nRUN echo a > /a\nRUN head -c 300000 /dev/zero > /b\n", "f": "x" * 100000})
    took = time.monotonic()
    mortal.docker("build", "-t", "built", directory)
    took = time.monotonic() - took
    forget(mortal)
    quiet, layers = Census.take(mortal), mortal.layers()
    for moment in moments(6, took):
        strike(mortal, moment, "build", "-t", "built", directory)
        mortal.start()
        mortal.docker("build", "-t", "built", directory)
        assert mortal.docker("run", "--rm", "built", "sh", "-c", "cat /a; wc -c < /b").out == "a\n300000\n"
        forget(mortal)
    quiet.assert_same(mortal)
    assert mortal.layers() == layers


def forget(engine):
    engine.docker("rmi", "-f", "built", code=None)
    engine.docker("image", "prune", "-f")
    engine.docker("builder", "prune", "-af")


def strike(engine, moment, *command):
    """Kills the engine so many seconds after the command has begun."""
    client = engine.docker.start(*command)
    try:
        client.wait(moment)
    except subprocess.TimeoutExpired:
        pass
    engine.kill()
    client.communicate(timeout=20)


def test_environments_are_not_mixed_up_by_a_crash(mortal):
    """The environment of one container is never another's, also when both have one image and one is made after a crash."""
    for number in range(4):
        mortal.docker("create", "--name", f"box{number}", "-e", f"SECRET{number}={number}", "busybox", "env")
    starts = [mortal.docker.start("start", "-a", f"box{number}", text=True) for number in (0, 1)]
    for number, start in enumerate(starts):
        shown = start.communicate(timeout=30)[0]
        assert [line for line in shown.splitlines() if line.startswith("SECRET")] == [f"SECRET{number}={number}"]
    mortal.restart()
    for number in (2, 3):
        shown = mortal.docker("start", "-a", f"box{number}").lines
        assert [line for line in shown if line.startswith("SECRET")] == [f"SECRET{number}={number}"]
    mortal.docker("rm", "box3")
    assert "SECRET" not in mortal.docker("run", "--rm", "--name", "box3", "busybox", "env").out


def test_descriptors_do_not_grow(mortal):
    pid = mortal.process.pid
    mortal.docker("run", "--rm", "busybox", "true")
    kinds = ["pidfd", "anon_inode", "socket", "pipe", "net", "mnt"]

    def counts():
        now = descriptors(pid)
        return {kind: now.count(kind) for kind in kinds}

    before = counts()
    for _ in range(10):
        mortal.docker("run", "--rm", "busybox", "true")
    wait_for(lambda: all(counts()[kind] <= before[kind] + 2 for kind in kinds), f"descriptors to be closed: {before}")
