"""A stranger's program: the host and its neighbours do not notice, and the operator sees what happened."""

import json
import os

from waiting import wait_for

LIMITS = ["--memory", "32m", "--memory-swap", "32m", "--cpus", "1", "--pids-limit", "30", "--network", "none", "--read-only"]


def test_deleting_everything_deletes_nothing(cli, tmp_path):
    (tmp_path / "canary").write_text("host")
    cli("run", "--rm", *LIMITS, "-v", f"{tmp_path}:/data:ro", "busybox", "rm", "-rf", "/bin", "/etc", "/data", "/proc/sys", "/sys/fs", code=None)
    assert (tmp_path / "canary").read_text() == "host"
    assert cli("run", "--rm", "busybox", "rm", "-rf", "--no-preserve-root", "/", code=None) is not None
    assert cli("run", "--rm", "busybox", "cat", "/etc/not-a-program").out == "just text\n"


def test_a_fork_bomb_is_held(cli):
    bomb = cli("run", "-d", "--name", "bomb", *LIMITS, "busybox", "sh", "-c", "b() { b | b & }; b; while :; do sleep 1; done").line
    neighbour = cli("run", "--rm", "busybox", "echo", "fine", timeout=30)
    assert neighbour.out == "fine\n"
    assert processes_in(bomb) <= 30
    assert int(cli("stats", "--no-stream", "--format", "{{.PIDs}}", "bomb", timeout=30).line) <= 30
    cli("rm", "-f", "bomb")
    wait_for(lambda: processes_in(bomb) == 0, "all of its processes to be gone")


def processes_in(identity):
    for path in (f"/sys/fs/cgroup/pids/skiff/{identity}", f"/sys/fs/cgroup/skiff/{identity}"):
        if os.path.exists(path):
            with open(f"{path}/cgroup.procs") as file:
                return len(file.readlines())
    return 0


def test_a_memory_hog_is_killed_and_inspect_says_so(cli):
    cli("run", "--name", "hog", *LIMITS, "busybox", "sh", "-c", "exec tail /dev/zero", code=137, timeout=60)
    state = json.loads(cli("inspect", "hog").out)[0]["State"]
    assert (state["OOMKilled"], state["ExitCode"], state["Status"]) == (True, 137, "exited")


def test_a_full_place_to_write_is_its_own(cli):
    full = cli("run", "--rm", *LIMITS, "--tmpfs", "/tmp:size=1m", "busybox", "dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=5", code=1)
    assert "No space left on device" in full.err


def test_without_network_nobody_is_reached(cli):
    assert "Network is unreachable" in cli("run", "--rm", *LIMITS, "busybox", "ping", "-c", "1", "192.0.2.1", code=None).all


def test_processor_time_is_limited(cli):
    """Half a processor, while the program takes all that it gets."""
    identity = cli("run", "-d", "--cpus", "0.5", "--name", "busy", "busybox", "sh", "-c", "while :; do :; done").line
    path = next(p for p in (f"/sys/fs/cgroup/cpu/skiff/{identity}/cpu.stat", f"/sys/fs/cgroup/skiff/{identity}/cpu.stat") if os.path.exists(p))

    def throttled():
        with open(path) as file:
            return int(dict(line.split() for line in file)["nr_throttled"]) > 3

    wait_for(throttled, "the kernel to hold it back")
