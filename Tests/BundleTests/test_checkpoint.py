"""Checkpoint and restore, by CRIU where its kernel lets it. In the virtual machine it does, and has to."""

import functools
import os
import select
import shutil
import socket
import subprocess

import pytest

import cgroups
from bundle import LIMIT, eventually, reap
from test_commands import received

COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


@functools.cache
def obstacle():
    if shutil.which("criu") is None:
        return "criu is not installed"
    done = subprocess.run(["criu", "check"], capture_output=True, text=True)
    return None if done.returncode == 0 else "criu check fails: " + (done.stderr.strip().splitlines() or ["?"])[0]


@pytest.fixture
def criu():
    if obstacle():
        (pytest.fail if os.environ.get("SKIFF_VM") else pytest.skip)(obstacle())


class Output:
    """What a container writes into a pipe, line by line."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self.text = b""

    def give(self, bundle, *words):
        """Calls a command whose container gets the pipe."""
        done = subprocess.run(bundle.command(*words), stdin=subprocess.DEVNULL, stdout=self.writer, stderr=self.writer, timeout=LIMIT,
                              cwd=bundle.directory)
        os.close(self.writer)
        assert done.returncode == 0, b"".join(iter(lambda: os.read(self.reader, 4096), b"")).decode()
        return self

    def line(self):
        while b"\n" not in self.text:
            assert select.select([self.reader], [], [], 20)[0], "nothing comes any more"
            more = os.read(self.reader, 4096)
            assert more, f"the end came after {self.text}"
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return line.decode()

    def rest(self):
        """Up to the end, when nobody has the pipe any more."""
        while more := os.read(self.reader, 4096):
            self.text += more
        return self.text.decode().split()

    def close(self):
        os.close(self.reader)


def begin(bundle, spec):
    bundle.write(spec)
    output = Output().give(bundle, "create", bundle.id)
    assert bundle.quiet("start", bundle.id).code == 0
    return output


def test_a_program_counts_on_after_a_restore(bundle, criu, is_ours):
    images, pids = bundle.directory / "images", bundle.directory / "pid"
    # A file without a name that is too large for CRIU, as long as it is open.
    script = "echo kept >/dev/shm/file; exec 3>/tmp/x; head -c 2000000 /dev/zero >&3; rm /tmp/x; until [ -e /tmp/go ]; do sleep 0.02; done; exec 3>&-; "
    spec = bundle.spec("sh", "-c", "echo 0; " + script + COUNT)
    # CRIU locks a network by iptables, which takes its time.
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
    output = begin(bundle, spec)
    assert output.line() == "0"
    done = bundle.quiet("checkpoint", "--image-path", images, bundle.id)
    assert done.code == 1 and "dump.log" in done.error, done
    assert not is_ours or "ghost file" in done.error and f"{images}/dump.log" in done.error, done
    assert bundle.status() == "running" and bundle.exec("touch", "/tmp/go").code == 0
    first = int(output.line())
    done = bundle.quiet("checkpoint", "--leave-running", "--image-path", images, "--work-path", bundle.directory / "work", bundle.id)
    assert done.code == 0 and bundle.status() == "running", done
    assert (bundle.directory / "work/dump.log").exists() and (not is_ours or images.stat().st_mode & 0o777 == 0o700)
    bundle.remove()
    last = int(output.rest()[-1])
    output.close()

    # In the foreground, to the end.
    output = Output()
    restore = subprocess.Popen(bundle.command("restore", "--image-path", images, "--pid-file", pids, bundle.id), stdin=subprocess.DEVNULL,
                               stdout=output.writer, stderr=output.writer, cwd=bundle.directory)
    os.close(output.writer)
    assert first < int(output.line()) <= last + 1
    state = bundle.state()
    eventually(pids.exists)
    assert state["status"] == "running" and state["pid"] == int(pids.read_text())
    shown = bundle.shell("cat /dev/shm/file; hostname; id -u; head -c 1 /proc/kcore; touch /proc/sys/kernel/hostname 2>&1")
    assert shown.output.startswith("kept\nbundle\n0\ntouch: "), shown
    assert len(cgroups.processes(bundle.cgroup)) >= 1
    assert bundle.call("kill", bundle.id, "KILL").code == 0 and restore.wait(LIMIT) == 137
    output.rest()
    output.close()
    assert bundle.left_behind() == []

    if is_ours:  # Images are data: rights come from the configuration.
        def refused(changed):
            bundle.write(changed)
            done = bundle.quiet("restore", "--detach", "--image-path", images, bundle.id)
            assert done.code == 1, done
            reap(0)
            assert bundle.left_behind() == []
            return done.error

        # The images say that the network was the host's.
        linux = {**spec["linux"], "namespaces": [*spec["linux"]["namespaces"], {"type": "network"}]}
        assert "the images do not fit the configuration: namespaces: net: process " in refused({**spec, "linux": linux})
        spec["process"]["capabilities"] = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")}
        assert "the images do not fit the configuration: process " in refused(spec)
        images.joinpath("inventory.img").chmod(0o666)
        assert f"{images}/inventory.img: others than its owner may write there" in refused(spec)
        images.joinpath("inventory.img").chmod(0o600)
    # Images that lack a part leave nothing, and the log tells why.
    (images / "pages-1.img").unlink()
    done = bundle.quiet("restore", "--detach", "--image-path", images, bundle.id)
    assert done.code == 1 and "restore.log" in done.error, done
    assert not is_ours or f"{images}/restore.log" in done.error and "Error (criu/" in done.error, done
    assert bundle.left_behind() == []


def test_a_terminal_with_binds_is_restored_from_the_last_of_two_dumps(bundle, criu, is_ours):
    (bundle.directory / "data").mkdir()
    (bundle.directory / "data/file").write_text("of the host\n")
    (bundle.rootfs / "link").symlink_to("tmp")
    spec = bundle.spec("sh", "-c", "stty -echo; n=0; while read line; do n=$((n+1)); echo $n: $line; done", terminal=True)
    spec["root"]["readonly"] = True
    spec["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(bundle.directory / "data"), "options": ["rbind", "ro"]},
        {"destination": "/link/file", "type": "bind", "source": "data/file", "options": ["bind"]},
    ]
    bundle.write(spec)
    path = bundle.directory / "console"

    def terminal(*words):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            done = bundle.quiet(*words, "--console-socket", path, bundle.id)
            assert done.code == 0, done
            connection, _ = listener.accept()
        path.unlink()
        with connection:
            return received(connection)

    def say(terminal, word, answer):
        os.write(terminal, f"{word}\n".encode())
        text = b""
        while answer.encode() not in text:
            text += os.read(terminal, 1024)

    before = terminal("create")
    assert bundle.quiet("start", bundle.id).code == 0
    say(before, "a", "1: a")
    done = bundle.quiet("checkpoint", "--pre-dump", "--image-path", bundle.directory / "images/first", bundle.id)
    assert done.code == 0, done
    say(before, "b", "2: b")
    images = bundle.directory / "images/last"
    done = bundle.quiet("checkpoint", "--image-path", images, "--parent-path", "../first", bundle.id)
    assert done.code == 0, done
    assert os.readlink(images / "parent") == "../first"
    assert "does not exist" in bundle.call("state", bundle.id).error
    os.close(before)
    reap(0)
    assert bundle.left_behind() == []
    after = terminal("restore", "--detach", "--image-path", images)
    say(after, "c", "3: c")
    shown = bundle.shell("cat /data/file /tmp/file; touch /data/x; touch /x; readlink /proc/1/fd/0")
    assert shown.output == "of the host\n" * 2 + "/dev/pts/0\n", shown
    # runc's root can be written after a restore.
    assert shown.error.count("Read-only file system") == 1 + is_ours, shown
    bundle.kill_and_wait()
    os.close(after)
    assert bundle.call("delete", bundle.id).code == 0
    assert bundle.left_behind() == []
