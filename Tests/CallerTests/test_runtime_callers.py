"""The programs that call an OCI runtime, with ours in place of runc: Docker's engine, containerd, Podman.

RUNTIME=runc runs the same tests with runc, which proves them. Each engine has roots and a state of its own below a temporary
directory. Where a program cannot work on this machine at all, even with runc, its tests are skipped and say why.
"""

import json
import os
import pty
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from busybox import root_filesystem

RUNTIME = shutil.which(os.environ.get("RUNTIME") or os.environ.get("SKIFF_RUNTIME")
                       or str(Path(__file__).resolve().parents[2] / ".build/debug/skiff-runtime"))
QUICK = 60


def run(*words, code=0, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=QUICK, **options)
    assert code is None or done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


def in_terminal(words):
    """What a command says that has a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(str(words[0]), [str(word) for word in words])
    text = b""
    try:
        while True:
            text += os.read(terminal, 4096)
    except OSError:
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode().replace("\r", "")


def eventually(question, seconds=30):
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory):
    program = shutil.which("dockerd")
    if program is None:
        pytest.skip("dockerd is not installed (package docker.io)")
    root = tmp_path_factory.mktemp("dockerd")
    socket = root / "docker.sock"
    log = open(root / "log", "w")
    # A network namespace of its own: the host's firewall and bridges are not touched.
    process = subprocess.Popen(
        ["unshare", "--net", program, "--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid", "--host",
         f"unix://{socket}", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--add-runtime", f"under-test={RUNTIME}",
         "--default-runtime", "under-test", "--storage-driver", "vfs"], stdout=log, stderr=log, start_new_session=True)
    docker = ["docker", "--host", f"unix://{socket}"]
    try:
        eventually(lambda: process.poll() is not None or subprocess.run([*docker, "version"], capture_output=True).returncode == 0, 60)
        if process.poll() is not None:
            pytest.skip(f"dockerd does not start here: {(root / 'log').read_text()[-300:]}")
        archive = root / "busybox.tar"
        archive.write_bytes(root_filesystem())
        run(*docker, "import", archive, "busybox")
        yield docker
        assert run(*docker, "ps", "-aq").stdout == ""
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def test_docker_runs_a_container(dockerd):
    done = run(*dockerd, "run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo hello; echo oops >&2; exit 7", code=7)
    assert (done.stdout, done.stderr) == ("hello\n", "oops\n")


def test_docker_knows_the_runtime(dockerd):
    assert "under-test" in run(*dockerd, "info", "--format", "{{json .Runtimes}}").stdout
    name = run(*dockerd, "create", "--network", "none", "busybox", "true").stdout.strip()
    assert run(*dockerd, "inspect", "--format", "{{.HostConfig.Runtime}}", name).stdout.strip() == "under-test"
    run(*dockerd, "rm", name)


def test_docker_says_why_a_program_cannot_start(dockerd):
    missing = run(*dockerd, "run", "--rm", "--network", "none", "busybox", "no-such-program", code=127)
    assert "executable file not found in $PATH" in missing.stderr
    denied = run(*dockerd, "run", "--rm", "--network", "none", "busybox", "/etc", code=126)
    assert "permission denied" in denied.stderr or "is a directory" in denied.stderr


def test_docker_gives_a_terminal(dockerd):
    code, text = in_terminal([*dockerd, "run", "--rm", "-it", "--network", "none", "busybox", "sh", "-c", "tty; exit 3"])
    assert code == 3 and "/dev/pts/0" in text, text


@pytest.fixture
def sleeper(dockerd):
    name = f"sleeper-{os.getpid()}"
    run(*dockerd, "run", "-d", "--name", name, "--network", "none", "--memory", "64m", "busybox", "sleep", "600")
    yield name
    run(*dockerd, "rm", "-f", name)


def test_docker_execs(dockerd, sleeper):
    assert run(*dockerd, "exec", "-e", "A=b", "-w", "/tmp", "-u", "7", sleeper, "sh", "-c", "echo $A $PWD $(id -u); exit 9", code=9).stdout == "b /tmp 7\n"
    code, text = in_terminal([*dockerd, "exec", "-it", sleeper, "sh", "-c", "tty; exit 4"])
    assert code == 4 and "/dev/pts/" in text
    missing = run(*dockerd, "exec", sleeper, "no-such-program", code=None)
    assert missing.returncode in (126, 127) and "executable file not found in $PATH" in missing.stdout + missing.stderr


def test_docker_pauses_updates_and_counts(dockerd, sleeper):
    run(*dockerd, "pause", sleeper)
    assert run(*dockerd, "inspect", "--format", "{{.State.Status}}", sleeper).stdout.strip() == "paused"
    run(*dockerd, "unpause", sleeper)
    run(*dockerd, "update", "--memory", "32m", "--memory-swap", "32m", "--pids-limit", "50", sleeper)
    pid = run(*dockerd, "inspect", "--format", "{{.State.Pid}}", sleeper).stdout.strip()
    assert "sleep" in run(*dockerd, "top", sleeper).stdout
    stats = json.loads(run(*dockerd, "stats", "--no-stream", "--format", "{{json .}}", sleeper).stdout)
    assert stats["MemUsage"].endswith("32MiB") and stats["PIDs"] == "1", (stats, pid)


def test_docker_kills_and_stops(dockerd, sleeper):
    run(*dockerd, "kill", "--signal", "KILL", sleeper)
    assert run(*dockerd, "wait", sleeper).stdout.strip() == "137"
    run(*dockerd, "start", sleeper)
    run(*dockerd, "stop", "-t", "1", sleeper)
    assert run(*dockerd, "inspect", "--format", "{{.State.Status}}", sleeper).stdout.strip() == "exited"


def test_docker_tells_that_memory_ran_out(dockerd):
    """Of a container that runs a while before and after: Docker begins to listen only after the start, and may hear of the end first."""
    name = f"greedy-{os.getpid()}"
    run(*dockerd, "run", "--name", name, "--network", "none", "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c",
        "sleep 1; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1")
    try:
        assert run(*dockerd, "inspect", "--format", "{{.State.OOMKilled}}", name).stdout.strip() == "true"
    finally:
        run(*dockerd, "rm", "-f", name)


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    program = shutil.which("containerd")
    if program is None or shutil.which("ctr") is None:
        pytest.skip("containerd is not installed")
    root = tmp_path_factory.mktemp("containerd")
    (root / "config.toml").write_text(
        f'version = 2\nroot = "{root}/data"\nstate = "{root}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{root}/containerd.sock"\n[ttrpc]\naddress = "{root}/ttrpc.sock"\n')
    log = open(root / "log", "w")
    process = subprocess.Popen([program, "--config", root / "config.toml"], stdout=log, stderr=log, start_new_session=True)
    words = ["ctr", "--address", str(root / "containerd.sock"), "--namespace", "test"]
    try:
        eventually(lambda: process.poll() is not None or subprocess.run([*words, "version"], capture_output=True).returncode == 0)
        if process.poll() is not None:
            pytest.skip(f"containerd does not start here: {(root / 'log').read_text()[-300:]}")
        rootfs = root / "rootfs"
        (root / "busybox.tar").write_bytes(root_filesystem())
        rootfs.mkdir()
        with tarfile.open(root / "busybox.tar") as archive:
            archive.extractall(rootfs)
        yield words, rootfs
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def test_containerd_runs_execs_and_kills(ctr):
    words, rootfs = ctr
    start = [*words, "run", "--runc-binary", RUNTIME, "--env", "PATH=/bin", "--rootfs"]
    assert run(*start, "--rm", rootfs, "first", "echo", "hello").stdout == "hello\n"
    run(*start, "--rm", rootfs, "second", "sh", "-c", "exit 5", code=5)
    run(*start, "-d", rootfs, "third", "sleep", "600")
    try:
        assert run(*words, "tasks", "exec", "--exec-id", "a", "third", "echo", "in").stdout == "in\n"
        run(*words, "tasks", "pause", "third")
        assert "PAUSED" in run(*words, "tasks", "ls").stdout
        run(*words, "tasks", "resume", "third")
        assert "RUNNING" in run(*words, "tasks", "ls").stdout
        assert len(run(*words, "tasks", "ps", "third").stdout.splitlines()) == 2
        run(*words, "tasks", "metrics", "third")
        code, text = in_terminal([*words, "tasks", "exec", "-t", "--exec-id", "b", "third", "tty"])
        assert code == 0 and "/dev/pts/" in text
    finally:
        run(*words, "tasks", "kill", "-s", "SIGKILL", "third")
        eventually(lambda: "STOPPED" in run(*words, "tasks", "ls").stdout)
        run(*words, "tasks", "rm", "third", code=None)
        run(*words, "containers", "rm", "third")


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    root = tmp_path_factory.mktemp("podman")
    words = ["podman", "--root", root / "data", "--runroot", root / "run", "--tmpdir", root / "tmp", "--storage-driver", "vfs",
             "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", RUNTIME]
    (root / "busybox.tar").write_bytes(root_filesystem())
    run(*words, "import", root / "busybox.tar", "busybox")
    options = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    proof = run(*words[:-1], shutil.which("runc") or "runc", "run", "--rm", *options, "busybox", "true", code=None)
    if proof.returncode:
        pytest.skip(f"podman cannot run a container here, with runc either: {proof.stderr[-300:]}")
    yield words, options
    run(*words, "rm", "-af", code=None)


def test_podman_runs_execs_and_removes(podman):
    words, options = podman
    assert run(*words, "run", "--rm", *options, "busybox", "sh", "-c", "echo hello; exit 6", code=6).stdout == "hello\n"
    missing = run(*words, "run", "--rm", *options, "busybox", "no-such-program", code=127)
    assert "not found" in missing.stderr
    name = run(*words, "run", "-d", *options, "busybox", "sleep", "600").stdout.strip()
    assert run(*words, "exec", name, "sh", "-c", "echo in; exit 8", code=8).stdout == "in\n"
    run(*words, "pause", name)
    run(*words, "unpause", name)
    code, text = in_terminal([*words, "exec", "-it", name, "tty"])
    assert code == 0 and "/dev/pts/" in text
    run(*words, "kill", name)
    assert run(*words, "wait", name).stdout.strip() == "137"
    run(*words, "rm", name)
    code, text = in_terminal([*words, "run", "--rm", "-it", *options, "busybox", "tty"])
    assert code == 0 and "/dev/pts/0" in text
