"""`exec`: more programs in a running container."""

import pytest

from waiting import wait_for


@pytest.fixture
def box(engine):
    engine.docker("run", "-d", "--name", "box", "-e", "FROM=run", "-w", "/tmp", "--hostname", "boat", "busybox", "sleep", "600")
    return "box"


def test_output_errors_and_exit_code(cli, box):
    done = cli("exec", box, "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (done.out, done.err) == ("out\n", "err\n")


@pytest.mark.parametrize("command, code", [(["nosuch"], 127), (["/etc/not-a-program"], 126), (["sh", "-c", "kill -9 $$"], 137)])
def test_exit_codes_are_docker_s(cli, box, command, code):
    cli("exec", box, *command, code=code)


def test_stdin_goes_through_and_ends(cli, box):
    assert cli("exec", "-i", box, "cat", input="a\nb").out == "a\nb"
    assert cli("exec", box, "cat", input="ignored").out == ""


def test_user_directory_and_environment(cli, box):
    shown = cli("exec", "-u", "alice", "-w", "/home", "-e", "A=b", box, "sh", "-c", "id -un; pwd; echo $A $FROM $HOME; hostname").lines
    assert shown == ["alice", "/home", "b run /home/alice", "boat"]
    assert cli("exec", box, "pwd").line == "/tmp"


def test_detached(cli, box):
    assert cli("exec", "-d", box, "sh", "-c", "echo done > /tmp/result; sleep 600").out == ""
    wait_for(lambda: cli("exec", box, "cat", "/tmp/result", code=None).out == "done\n", "the detached command")
    assert "sleep 600" in cli("top", box).out


def test_it_sees_the_container_and_not_the_host(cli, box):
    assert cli("exec", box, "cat", "/proc/1/comm").line in ("sleep", "busybox")
    for kind in ("mnt", "net", "pid", "ipc", "uts"):
        assert cli("exec", box, "readlink", f"/proc/self/ns/{kind}").out == cli("exec", box, "readlink", f"/proc/1/ns/{kind}").out


def test_it_counts_towards_the_container_s_limits(cli, engine):
    engine.docker("run", "-d", "--name", "small", "--pids-limit", "5", "busybox", "sleep", "600")
    failed = cli("exec", "small", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait", code=None)
    assert "can't fork" in failed.err.lower() or "resource temporarily unavailable" in failed.err.lower()


def test_privileged_exec(cli, box):
    plain = int(cli("exec", box, "grep", "CapEff", "/proc/self/status").out.split()[1], 16)
    more = int(cli("exec", "--privileged", box, "grep", "CapEff", "/proc/self/status").out.split()[1], 16)
    assert more & ~plain


def test_a_container_that_does_not_run(cli, engine):
    identity = engine.docker("create", "--name", "still", "busybox").line
    assert f"container {identity} is not running" in cli("exec", "still", "true", code=1).err
    assert "no such container: nosuch" in cli("exec", "nosuch", "true", code=1).err.lower()


def test_megabytes_go_through_unchanged(cli, box):
    data = "0123456789abcdef\n" * 200_000
    assert cli("exec", "-i", box, "cat", input=data).out == data


def test_a_child_that_keeps_the_pipe_does_not_hold_up_the_end(cli, box):
    done = cli("exec", box, "sh", "-c", "sleep 600 & echo started; exit 2", code=2, timeout=30)
    assert done.out == "started\n"
