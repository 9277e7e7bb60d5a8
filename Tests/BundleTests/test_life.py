"""Create, start, pause, kill, delete: states, texts and exit codes as callers compare them, and nothing left."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import cgroups
from bundle import eventually, reap, wait_for_exit


def test_the_states_of_a_life(bundle):
    bundle.create(bundle.spec("sleep", "600"))
    assert bundle.status() == "created"
    assert bundle.quiet("start", bundle.id).code == 0
    assert bundle.status() == "running"
    assert bundle.call("pause", bundle.id).code == 0
    assert bundle.status() == "paused"
    assert bundle.call("resume", bundle.id).code == 0
    bundle.kill_and_wait("SIGKILL")
    state = bundle.state()
    assert state["status"] == "stopped" and state.get("pid", 0) == 0
    assert bundle.call("delete", bundle.id).code == 0
    assert bundle.left_behind() == []


def test_a_paused_container_stands_still(bundle):
    bundle.start_sleeping(bundle.spec("sh", "-c", "while :; do echo >>/tmp/ticks; done"))
    ticks = bundle.rootfs / "tmp/ticks"
    eventually(lambda: ticks.exists() and ticks.stat().st_size > 10)
    assert bundle.call("pause", bundle.id).code == 0
    before = ticks.stat().st_size
    assert bundle.call("ps", "--format", "json", bundle.id).code == 0
    assert ticks.stat().st_size == before
    assert bundle.call("resume", bundle.id).code == 0
    eventually(lambda: ticks.stat().st_size > before)


def test_a_paused_container_can_be_deleted_by_force(bundle):
    bundle.start_sleeping()
    assert bundle.call("pause", bundle.id).code == 0
    done = bundle.call("delete", "--force", bundle.id)
    assert done.code == 0, done
    assert bundle.left_behind() == []


def test_without_a_pid_namespace_all_processes_die_with_the_first(bundle):
    spec = bundle.spec("sh", "-c", "sleep 600 & sleep 600 & echo >/tmp/ready; sleep 600")
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]
    bundle.start_sleeping(spec)
    eventually((bundle.rootfs / "tmp/ready").exists)
    eventually(lambda: len(cgroups.processes(bundle.cgroup)) >= 3)
    pidfds = [os.pidfd_open(pid) for pid in cgroups.processes(bundle.cgroup)]
    done = bundle.call("delete", "--force", bundle.id)
    assert done.code == 0, done
    for pidfd in pidfds:
        wait_for_exit(pidfd)
        os.close(pidfd)


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "15", "term"])
def test_a_signal_by_any_name(bundle, name):
    bundle.start_sleeping(bundle.spec("sh", "-c", "trap 'echo >/tmp/heard; exit' TERM; echo >/tmp/ready; while :; do sleep 0.05; done"))
    eventually((bundle.rootfs / "tmp/ready").exists)
    assert bundle.call("kill", bundle.id, name).code == 0
    eventually((bundle.rootfs / "tmp/heard").exists)
    eventually(lambda: bundle.status() == "stopped")


def test_what_callers_read_in_errors(bundle):
    refused = lambda *words: (lambda done: (done.code, done.error.strip()))(bundle.call(*words))
    assert "container does not exist" in refused("state", bundle.id)[1]
    assert refused("start", bundle.id)[0] == 1
    assert refused("delete", bundle.id)[0] == 1
    assert bundle.call("delete", "--force", bundle.id).code == 0
    bundle.start_sleeping()
    code, text = refused("delete", bundle.id)
    assert code == 1 and "that is not stopped" in text
    assert "cannot start an already running container" in refused("start", bundle.id)[1]
    assert "already exists" in refused("create", bundle.id)[1]
    bundle.kill_and_wait()
    assert "container not running" in refused("kill", bundle.id)[1]
    assert bundle.call("kill", "--all", bundle.id).code == 0


@pytest.mark.parametrize("wrong", ["a/b", "", "..", "a b", "ü"])
def test_an_id_is_a_name(bundle, wrong):
    bundle.write(bundle.spec())
    done = bundle.call("run", wrong)
    assert done.code == 1 and "invalid container ID format" in done.error or wrong == "", done


def test_an_exit_code_is_passed_on(bundle):
    assert bundle.run(bundle.spec("sh", "-c", "exit 42")).code == 42
    assert bundle.run(bundle.spec("sh", "-c", "kill -9 $$")).code in (137, 0)  # The first of a pid namespace is immune to itself.


def test_a_program_that_is_missing_fails_the_create(bundle):
    bundle.write(bundle.spec("no-such-program"))
    done = bundle.quiet("create", bundle.id)
    assert done.code == 1 and 'exec: "no-such-program": executable file not found in $PATH' in done.error
    bundle.write(bundle.spec("/etc"))
    done = bundle.quiet("create", bundle.id)
    assert done.code == 1 and "permission denied" in done.error or "is a directory" in done.error


@pytest.mark.ours
def test_a_container_without_a_readable_configuration_can_be_killed(bundle):
    bundle.start_sleeping()
    (bundle.states / bundle.id / "config.json").write_text("{")
    bundle.kill_and_wait()
    assert bundle.call("delete", bundle.id).code == 0
    assert bundle.left_behind() == []


@pytest.mark.ours
def test_the_caller_may_be_killed_between_create_and_start(bundle):
    """A create that was killed at any moment leaves nothing that `delete --force` cannot remove."""
    bundle.write(bundle.spec("sleep", "600"))
    for delay in (0, 0.001, 0.003, 0.01, 0.03):
        process = subprocess.Popen(bundle.command("create", bundle.id), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=bundle.directory)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        assert bundle.call("delete", "--force", bundle.id).code == 0
        reap(0)
        assert [path for path in cgroups.existing(bundle.cgroup)] == [], delay


def test_the_log_has_one_object_a_line(bundle):
    log = bundle.directory / "log.json"
    done = bundle.call("--log", log, "--log-format", "json", "state", "nobody")
    assert done.code == 1 and "container does not exist" in done.error
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["level"] == "error" and last["msg"] in done.error and last["time"]


def test_a_pid_file_is_there_when_create_returns(bundle):
    file = bundle.directory / "pid"
    bundle.create(bundle.spec("sleep", "600"), "--pid-file", file)
    assert file.read_text() == str(bundle.pid())


def test_signals_for_a_run_in_the_foreground_are_passed_on(bundle):
    bundle.write(bundle.spec("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"))
    process = subprocess.Popen(bundle.command("run", bundle.id), stdout=subprocess.PIPE, cwd=bundle.directory, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 9
    process.stdout.close()


def test_many_lives_leave_nothing_and_become_no_slower(bundle):
    """Create, start, kill, delete: 1,000 times with SKIFF_LONG_TESTS. Only a doubling counts as slower, measured in CPU time."""
    cycles = 1000 if os.environ.get("SKIFF_LONG_TESTS") else 8
    tenth = cycles // 10
    spec = bundle.spec("sleep", "600")
    mounts = lambda: Path("/proc/self/mountinfo").read_text().splitlines()
    before = mounts()
    times = []
    for _ in range(cycles):
        used = os.times()
        bundle.start_sleeping(spec)
        bundle.kill_and_wait()
        assert bundle.call("delete", bundle.id).code == 0
        after = os.times()
        times.append(after.children_user + after.children_system - used.children_user - used.children_system)
    assert bundle.left_behind() == [] and mounts() == before
    if cycles >= 1000:
        assert sum(times[-tenth:]) < 2 * sum(times[:tenth]), (sum(times[:tenth]), sum(times[-tenth:]))
