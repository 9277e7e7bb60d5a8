"""A bundle with busybox in a directory of its own, a state directory, and a way to call the runtime on it."""

import json
import os
import select
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import cgroups

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"]
LIMIT = 60


class Result:
    def __init__(self, code, output, error):
        # runc writes errors as log lines, in which quotation marks are escaped.
        self.code, self.output, self.error = code, output, error.replace('\\"', '"')

    def __repr__(self):
        return f"<{self.code}: {self.output!r} {self.error!r}>"


class Bundle:
    def __init__(self, runtime, directory):
        self.runtime = runtime
        self.directory = directory
        self.id = f"bundle-test-{uuid.uuid4().hex[:12]}"
        self.states = directory / "states"
        self.rootfs = directory / "rootfs"
        self.cgroup = f"/skiff-bundle-tests/{self.id}"
        self.global_options = []
        for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
            (self.rootfs / name).mkdir(parents=True)
        for path in (directory, self.rootfs):
            path.chmod(0o755)
        shutil.copy(shutil.which("busybox") or "/bin/busybox", self.rootfs / "bin/busybox")
        for name in ("sh", "ls", "cat", "true", "false", "sleep", "id", "mkdir", "touch", "readlink", "grep", "stat", "hostname", "head",
                     "tty", "mknod", "dd", "env", "kill", "seq", "taskset", "stty", "printf", "tail"):
            (self.rootfs / "bin" / name).symlink_to("busybox")

    def spec(self, *args, **process):
        """What Docker asks for; the arguments are the program's."""
        spec = {
            "ociVersion": "1.0.2",
            "process": {
                "args": list(args) or ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "terminal": False,
                "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")},
            } | process,
            "root": {"path": "rootfs"},
            "hostname": "bundle",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]},
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc")],
                "cgroupsPath": self.cgroup,
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                "maskedPaths": ["/proc/kcore", "/sys/firmware"],
                "readonlyPaths": ["/proc/sys"],
            },
        }
        if cgroups.is_version_two():
            spec["linux"]["namespaces"].append({"type": "cgroup"})
        return spec

    def write(self, spec):
        (self.directory / "config.json").write_text(json.dumps(spec))

    def command(self, *words):
        return [str(self.runtime), "--root", str(self.states), *self.global_options, *map(str, words)]

    def call(self, *words, input="", env=None, pass_fds=()):
        """Calls the runtime and waits, also for whoever inherited its output."""
        done = subprocess.run(self.command(*words), input=input, capture_output=True, text=True, timeout=LIMIT, cwd=self.directory,
                              env=env, pass_fds=pass_fds)
        return Result(done.returncode, done.stdout, done.stderr)

    def quiet(self, *words, **options):
        """The same for commands whose container would keep our pipes: output goes to files."""
        with open(self.directory / "out", "w+") as out, open(self.directory / "err", "w+") as err:
            done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=LIMIT, cwd=self.directory,
                                  **options)
            return Result(done.returncode, (self.directory / "out").read_text(), (self.directory / "err").read_text())

    def run(self, spec, **options):
        self.write(spec)
        return self.call("run", self.id, **options)

    def create(self, spec, *flags, **options):
        self.write(spec)
        created = self.quiet("create", *flags, self.id, **options)
        assert created.code == 0, created
        return created

    def start_sleeping(self, spec=None):
        """A container whose process sleeps; what it holds is `self.id`."""
        self.create(spec or self.spec("sleep", "600"))
        started = self.quiet("start", self.id)
        assert started.code == 0, started

    def state(self):
        return json.loads(self.call("state", self.id).output)

    def status(self):
        return self.state()["status"]

    def pid(self):
        return self.state()["pid"]

    def exec(self, *words, **options):
        return self.call("exec", self.id, *words, **options)

    def shell(self, script):
        return self.exec("sh", "-c", script)

    def kill_and_wait(self, name="KILL"):
        pidfd = os.pidfd_open(self.pid())
        try:
            killed = self.call("kill", self.id, name)
            assert killed.code == 0, killed
            wait_for_exit(pidfd)
        finally:
            os.close(pidfd)
        reap(0)

    def remove(self):
        self.call("delete", "--force", self.id)

    def left_behind(self):
        left = cgroups.existing(self.cgroup)
        left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.directory) in line]
        if self.states.exists():
            left += [str(path) for path in self.states.iterdir() if path.name == self.id]
        return left


def wait_for_exit(pidfd, seconds=20):
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    assert poller.poll(seconds * 1000), "the process did not end"


def reap(pid):
    """Takes note of children that have ended; 0 is all of them."""
    try:
        while os.waitpid(pid or -1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def eventually(question, seconds=20, what="it"):
    """Asks until the answer is true. For what tells nobody when it happens."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        select.select([], [], [], 0.02)
