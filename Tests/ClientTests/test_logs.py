"""`logs` and `attach`: what a container has said, and what it says."""

import re
import select
import subprocess

from waiting import wait_for

TALK = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"


def test_logs_keep_both_streams_apart(cli):
    cli("run", "--name", "talker", "busybox", "sh", "-c", TALK)
    shown = cli("logs", "talker")
    assert shown.out.splitlines() == [f"out {i}" for i in range(1, 6)]
    assert shown.err.splitlines() == [f"err {i}" for i in range(1, 6)]


def test_tail_gives_the_last_lines(cli):
    cli("run", "--name", "talker", "busybox", "seq", "1000")
    assert cli("logs", "--tail", "3", "talker").lines == ["998", "999", "1000"]
    assert cli("logs", "-n", "0", "talker").out == ""
    assert len(cli("logs", "--tail", "all", "talker").lines) == 1000


def test_timestamps_and_since(cli):
    cli("run", "--name", "talker", "busybox", "sh", "-c", "echo one; usleep 1100000; echo two")
    stamps = cli("logs", "-t", "talker").lines
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|two)", line) for line in stamps)
    second = stamps[1].split()[0]
    assert cli("logs", "--since", second, "talker").lines == ["two"]
    assert cli("logs", "--until", stamps[0].split()[0], "talker").lines == ["one"]
    assert cli("logs", "--since", "1h", "talker").lines == ["one", "two"]


def test_follow_shows_what_comes_and_ends_with_the_container(cli):
    cli("run", "-d", "-i", "--name", "talker", "busybox", "cat")
    following = cli.start("logs", "-f", "talker", text=True)
    with attach(cli, "talker") as writer:
        writer.stdin.write(b"first\n")
        writer.stdin.flush()
        assert following.stdout.readline() == "first\n"
        writer.stdin.write(b"second\n")
        writer.stdin.flush()
        assert following.stdout.readline() == "second\n"
        assert following.poll() is None
        cli("stop", "-t", "0", "talker")
        writer.stdin.close()
    assert following.communicate(timeout=20)[0] == "" and following.returncode == 0


def attach(cli, name):
    return cli.start("attach", name, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def test_follow_of_an_ended_container_ends(cli):
    cli("run", "--name", "talker", "busybox", "echo", "said")
    assert cli("logs", "-f", "talker").out == "said\n"


def test_long_lines_and_odd_bytes_are_whole(cli):
    cli("run", "--name", "talker", "busybox", "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; printf '\\nno end'")
    assert cli("logs", "talker").out == "x" * 100000 + "\nno end"


def test_a_terminal_s_output_is_logged(cli):
    cli("run", "-d", "-t", "--name", "talker", "busybox", "echo", "said")
    cli("wait", "talker")
    assert cli("logs", "talker").out == "said\r\n"


def test_logs_of_nothing(cli):
    assert "no such container: nosuch" in cli("logs", "nosuch", code=1).err.lower()


def test_attach_sees_output_and_gives_the_exit_code(cli):
    cli("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", "read line; echo got $line; exit 4")
    attached = cli.start("attach", "box", stdin=subprocess.PIPE, text=True)
    attached.stdin.write("hello\n")
    attached.stdin.flush()
    assert attached.communicate(timeout=20)[0] == "got hello\n"
    assert attached.returncode == 4


def test_start_attached(cli):
    cli("create", "--name", "box", "-i", "busybox", "sh", "-c", "cat; exit 6")
    assert cli("start", "-ai", "box", input="through\n", code=6).out == "through\n"


def test_two_who_are_attached_see_the_same(cli):
    cli("run", "-d", "-i", "--name", "box", "busybox", "cat")
    watchers = [cli.start("attach", "--no-stdin", "box", text=True) for _ in range(2)]
    with attach(cli, "box") as writer:
        # Whoever attaches sees what comes after that moment, so it is said until both have heard it.
        heard = []

        def both():
            writer.stdin.write(b"all\n")
            writer.stdin.flush()
            heard.extend(w for w in watchers if w not in heard and readable(w))
            return len(heard) == 2

        wait_for(both, "both to hear")
        cli("kill", "box")
    for watcher in watchers:
        assert "all\n" in watcher.communicate(timeout=20)[0]


def readable(process):
    return bool(select.select([process.stdout], [], [], 0.1)[0])
