"""`logs` and `attach`: what a container has said, and what it says."""

import gzip
import json
import os
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from engine import processes
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


def numbers(lines):
    return [int(line) for line in lines]


def test_a_full_log_makes_way_and_all_files_are_read_as_one(cli, engine):
    cli("run", "--name", "talker", "--log-opt", "max-size=10k", "--log-opt", "max-file=4", "busybox", "seq", "1000")
    path = Path(engine.docker("inspect", "--format", "{{.LogPath}}", "talker").line)
    files = sorted(path.parent.glob(f"{path.name}*"))
    assert len(files) == 4 and all(file.stat().st_size <= 10_000 for file in files)
    kept = numbers(cli("logs", "talker").lines)
    assert kept == list(range(kept[0], 1001)) and 300 < len(kept) < 1000
    for count in (1, 100, len(kept) - 1, len(kept) + 50):
        assert numbers(cli("logs", "--tail", count, "talker").lines) == kept[-count:]
    cli("rm", "talker")
    assert not path.parent.exists()


def test_one_file_begins_anew(cli):
    cli("run", "--name", "talker", "--log-opt", "max-size=5k", "busybox", "seq", "500")
    kept = numbers(cli("logs", "talker").lines)
    assert kept == list(range(kept[0], 501)) and 0 < len(kept) <= 60


def test_a_follower_misses_nothing_when_files_make_way(cli):
    steps = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; [ $((i % 40)) = 0 ] && usleep 10000; done; true"
    cli("run", "-d", "--name", "talker", "--log-opt", "max-size=20k", "--log-opt", "max-file=5", "busybox", "sh", "-c", "read go < /dev/null; " + steps)
    assert numbers(cli("logs", "-f", "talker").lines)[-1] == 2000
    seen = numbers(cli("logs", "-f", "talker").lines)
    assert seen == list(range(seen[0], 2001))


def test_a_follower_from_the_beginning_sees_every_line(cli):
    cli("run", "-d", "-i", "--name", "talker", "--log-opt", "max-size=8k", "--log-opt", "max-file=3", "busybox", "sh")
    following = cli.start("logs", "-f", "talker", text=True)
    seen = []
    with attach(cli, "talker") as writer:
        for start in range(1, 1001, 50):
            writer.stdin.write(f"seq {start} {start + 49}\n".encode())
            writer.stdin.flush()
            seen += [int(following.stdout.readline()) for _ in range(50)]
        writer.stdin.write(b"exit\n")
        writer.stdin.close()
    assert following.communicate(timeout=20)[0] == ""
    assert seen == list(range(1, 1001))


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_older_files_are_packed_and_read_as_before(docker, engine, driver):
    packs = ["--log-opt", "compress=true"] if driver == "json-file" else []
    identity = docker("run", "-d", "-i", "--name", "talker", "--log-driver", driver, "--log-opt", "max-size=8k", "--log-opt", "max-file=4",
                      *packs, "busybox", "sh").line
    path = engine.data_root / f"containers/{identity}"
    following = docker.start("logs", "-f", "talker", text=True)
    seen = []
    with attach(docker, "talker") as writer:
        for start in range(1, 1001, 100):
            writer.stdin.write(f"seq {start} {start + 99}\n".encode())
            writer.stdin.flush()
            seen += [int(following.stdout.readline()) for _ in range(100)]
            if start > 1: wait_for(lambda: (path / f"{identity}-json.log.1.gz").exists(), "the older file to be packed")
            assert len(list(path.glob("*json.log*"))) <= 5
        wait_for(lambda: sorted(file.name[len(identity):] for file in path.glob("*json.log*")) == [
            "-json.log", "-json.log.1.gz", "-json.log.2.gz", "-json.log.3.gz"], "all older files to be packed")
        kept = numbers(docker("logs", "talker").lines)
        assert kept == list(range(kept[0], 1001)) and len(kept) > 150
        for count in (1, 100, len(kept) - 1): assert numbers(docker("logs", "--tail", count, "talker").lines) == kept[-count:]
        writer.stdin.write(b"exit\n")
        writer.stdin.close()
    assert following.communicate(timeout=20)[0] == ""
    assert seen == list(range(1, 1001))


def packed(docker, engine, script, size="8k"):
    """A container that has filled its log, up to a line `1000`, and goes on; all of the log's older files are packed. The files,
    the newest first."""
    identity = docker("run", "-d", "--name", "talker", "--log-opt", f"max-size={size}", "--log-opt", "max-file=4", "--log-opt", "compress=true",
                      "busybox", "sh", "-c", f"{script}; exec sleep 600").line
    path = engine.data_root / f"containers/{identity}"
    names = [f"{identity}-json.log{end}" for end in ("", ".1.gz", ".2.gz", ".3.gz")]
    wait_for(lambda: docker("logs", "--tail", "1", "talker").out == "1000\n", "all to be written")
    wait_for(lambda: sorted(file.name for file in path.glob("*json.log*")) == names, "all older files to be packed")
    return [path / name for name in names]


def logged(file):
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt") as lines:
        return [json.loads(line)["log"] for line in lines]


def test_packed_parts_of_one_endless_line_are_all_there(docker, engine):
    files = packed(docker, engine, "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo 1000", size="100k")
    kept = "".join(text for file in reversed(files) for text in logged(file))
    assert len(kept) > 15 * 16384
    assert docker("logs", "talker").out == kept


def test_a_packed_file_that_is_damaged_is_shown_as_far_as_it_goes(docker, engine):
    files = packed(docker, engine, "seq 1000")
    cut, empty = files[2:]
    lines = [numbers(logged(file)) for file in files]
    assert numbers(docker("logs", "talker").lines) == [number for some in reversed(lines) for number in some]
    os.truncate(cut, cut.stat().st_size // 2)
    os.truncate(empty, 0)
    kept = numbers(docker("logs", "talker").lines)
    rest = lines[1] + lines[0]
    assert kept[-len(rest):] == rest
    beginning = kept[:-len(rest)]
    assert 0 < len(beginning) < len(lines[2]) and beginning == lines[2][:len(beginning)]
    assert docker("logs", "--tail", "1", "talker").line == "1000"
    assert "an older file of a log is damaged" in engine.log.read_text()


def test_packed_files_are_read_where_nothing_can_be_written(docker, engine):
    directory = packed(docker, engine, "seq 1000")[0].parent
    before = docker("logs", "talker").lines
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        assert docker("logs", "talker").lines == before
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_a_follower_of_the_newest_file_leaves_the_others_alone(docker, engine):
    identity = docker("run", "-d", "-i", "--name", "talker", "--log-opt", "max-size=8k", "--log-opt", "max-file=3", "busybox", "cat").line
    following = docker.start("logs", "-f", "talker", text=True)
    with attach(docker, "talker") as writer:
        def hears(text):
            writer.stdin.write(f"{text}\n".encode())
            writer.stdin.flush()
            return following.stdout.readline() == f"{text}\n"

        assert hears("first")
        # Whoever opens this one fails.
        older = engine.data_root / f"containers/{identity}/{identity}-json.log.1"
        older.symlink_to(older.name)
        assert all(hears(f"line {number}") for number in range(20))
        older.unlink()
        docker("kill", "talker")
        writer.stdin.close()
    assert following.communicate(timeout=20)[0] == "" and following.returncode == 0


def helpers(word, identity):
    return [pid for pid, arguments in processes() if word in arguments[1:2] and identity in " ".join(arguments)]


def test_a_log_that_does_not_block(docker, engine, tmp_path):
    """The process that writes the log hangs, as on a disk that has died: the container goes on. What had no room is missing."""
    identity = docker("run", "-d", "-i", "--name", "talker", "-v", f"{tmp_path}:/sign", "--log-opt", "mode=non-blocking",
                      "--log-opt", "max-buffer-size=64k", "busybox", "sh").line
    wait_for(lambda: any("--resume" in arguments and identity in arguments for _, arguments in processes()), "the supervisor to be small")
    with attach(docker, "talker") as writer:
        def say(text):
            writer.stdin.write(text.encode())
            writer.stdin.flush()

        say("seq 1 500\n")
        wait_for(lambda: len(docker("logs", "talker").lines) == 500, "every line of a log that keeps up")
        (pid,) = helpers("write-log", identity)
        # When that process dies another one goes on.
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not helpers("write-log", identity), "the process to be gone")
        say("seq 501 520\n")
        wait_for(lambda: len(docker("logs", "talker").lines) == 520, "the lines that came after")
        # Soon after that the next one is not started at once: what is said meanwhile waits for it.
        (pid,) = helpers("write-log", identity)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not helpers("write-log", identity), "the process to be gone")
        say("seq 521 540\n")
        wait_for(lambda: len(docker("logs", "talker").lines) == 540, "the lines that waited")
        (pid,) = helpers("write-log", identity)
        os.kill(pid, signal.SIGSTOP)
        say("seq 541 50000; touch /sign/done; exit 3\n")
        wait_for(lambda: (tmp_path / "done").exists(), "the container to go on")
        os.kill(pid, signal.SIGCONT)
        writer.stdin.close()
    assert docker("wait", "talker").line == "3"
    kept = numbers(docker("logs", "talker").lines)
    assert kept == sorted(set(kept)) and kept[:600] == list(range(1, 601)) and len(kept) < 49_000
    wait_for(lambda: not helpers("write-log", identity), "the process to end")


def test_a_log_has_a_limit_of_its_own_accord(engine):
    engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    words = next(arguments for pid, arguments in processes() if pid in engine.supervisors())
    assert words[words.index("--log-size") + 1] == "20000000" and words[words.index("--log-files") + 1] == "5"


@pytest.mark.parametrize("options, text", [
    (("max-size=0",), "max-size must be a positive number"),
    (("max-size=lots",), "invalid size: 'lots'"),
    (("max-size=1m", "max-file=0"), "max-file cannot be less than 1"),
    (("nosuch=1",), "unknown log opt 'nosuch' for json-file log driver"),
    (("max-size=1m", "compress=true"), "compress cannot be true when max-file is less than 2 or max-size is not set"),
    (("compress=perhaps",), 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
    (("mode=odd",), "logger: logging mode not supported: odd"),
    (("max-buffer-size=1m",), "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
    (("mode=non-blocking", "max-buffer-size=lots"), "error parsing option max-buffer-size: invalid size: 'lots'"),
])
def test_options_that_mean_nothing_are_refused(docker, options, text):
    flags = [word for option in options for word in ("--log-opt", option)]
    assert text in docker("create", *flags, "busybox", code=1).err


def test_the_driver_local(cli):
    cli("run", "--name", "talker", "--log-driver", "local", "--log-opt", "max-size=1m", "busybox", "echo", "kept")
    assert cli("logs", "talker").out == "kept\n"
    assert cli("inspect", "--format", "{{.HostConfig.LogConfig.Type}} [{{.LogPath}}]", "talker").line == "local []"


def test_the_journal_gets_every_line(cli, engine):
    assert "journald is not enabled on this host" in cli("run", "--rm", "--log-driver", "journald", "busybox", "true", code=125).err
    place = os.open(engine.journal.parent, os.O_PATH)  # The path itself may be too long for a socket.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(f"/proc/self/fd/{place}/{engine.journal.name}")
        journal.settimeout(20)
        try:
            cli("run", "--name", "talker", "--log-driver", "journald", "--log-opt", "labels=my.label", "--log-opt", "tag={{.Name}}!",
                "--label", "my.label=x", "--label", "other=y", "busybox", "sh", "-c", "echo out; echo err >&2; printf end")
            entries = sorted(journal.recv(1 << 16).decode() for _ in range(3))
        finally:
            engine.journal.unlink()
            os.close(place)
    assert [entry.splitlines()[:2] for entry in entries] == [
        ["MESSAGE=end", "PRIORITY=6"], ["MESSAGE=err", "PRIORITY=3"], ["MESSAGE=out", "PRIORITY=6"]]
    fields = set(entries[0].splitlines())
    assert {"CONTAINER_NAME=talker", "CONTAINER_TAG=talker!", "SYSLOG_IDENTIFIER=talker!", "IMAGE_NAME=busybox", "MY_LABEL=x"} < fields
    assert not any(field.startswith("OTHER") for field in fields)
    assert cli("logs", "talker").out == "out\nend"
