"""Create, start, stop, kill, restart, pause, rename, update, wait, remove; and what one sees meanwhile."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from host import block_device, cgroups_of, limit_of
from waiting import wait_for


def state(cli, name, field="Status"):
    return cli("inspect", "-f", "{{.State.%s}}" % field, name).line


@pytest.fixture
def box(engine):
    engine.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "trap 'exit 143' TERM; echo ready; sleep 600 & wait")
    # A first process gets no signal that it has no trap for.
    wait_for(lambda: engine.docker("logs", "box").out == "ready\n", "the trap")
    return "box"


def test_create_start_stop_start_remove(cli):
    identity = cli("create", "--name", "box", "busybox", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo hi; while :; do sleep 0.05; done").line
    assert state(cli, "box") == "created"
    assert cli("start", "box").line == "box"
    wait_for(lambda: cli("logs", "box").out == "hi\n", "the first words")
    assert cli("stop", "box").line == "box"
    assert (state(cli, "box"), state(cli, "box", "ExitCode")) == ("exited", "3")
    assert cli("logs", "box").out == "hi\nbye\n"
    cli("start", identity[:12])
    wait_for(lambda: cli("logs", "box").out == "hi\nbye\nhi\n", "the words of the second life")
    assert "cannot remove container" in cli("rm", "box", code=1).err
    assert cli("rm", "-f", "box").line == "box"
    assert "no such container" in cli("start", "box", code=1).err.lower()


def test_a_short_life_begins_before_it_ends(cli):
    names = ["one", "two", "three", "four"]
    for name in names:
        cli("run", "--name", name, "busybox", "true")
    for times in cli("inspect", "-f", "{{.State.StartedAt}} {{.State.FinishedAt}}", *names).lines:
        # Nine digits each, but for zeros at the end.
        began, ended = (time.strip("Z").ljust(29, "0") for time in times.split())
        assert began <= ended


def test_files_outlive_a_restart(cli):
    cli("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo x >> /count; wc -l < /count; exec sleep 600")
    wait_for(lambda: cli("logs", "box").lines == ["1"], "the first life")
    cli("restart", "-t", "0", "box")
    wait_for(lambda: cli("logs", "box").lines == ["1", "2"], "the second life")


def test_stop_kills_who_does_not_listen(cli):
    cli("run", "-d", "--name", "deaf", "busybox", "sleep", "600")
    started = time.monotonic()
    cli("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - started < 8
    assert state(cli, "deaf", "ExitCode") == "137"


def test_signals_can_be_chosen(cli):
    cli("run", "-d", "--name", "one", "--stop-signal", "USR1", "busybox", "sh", "-c", "trap 'exit 11' USR1; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: cli("logs", "one").out == "up\n", "the trap")
    cli("stop", "one")
    assert state(cli, "one", "ExitCode") == "11"
    cli("start", "one")
    wait_for(lambda: cli("logs", "one").out == "up\nup\n", "the trap")
    cli("kill", "-s", "SIGUSR1", "one")
    assert cli("wait", "one").line == "11"


def test_kill(cli, box):
    assert cli("kill", box).line == box
    assert cli("wait", box).line == "137"
    assert "is not running" in cli("kill", box, code=1).err
    cli("start", box)
    assert "invalid signal" in cli("kill", "-s", "NOSUCH", box, code=1).err.lower()


def test_wait_gives_every_code(cli):
    cli("run", "-d", "--name", "one", "busybox", "sh", "-c", "exit 1")
    cli("run", "-d", "--name", "two", "busybox", "sh", "-c", "exit 2")
    assert cli("wait", "one", "two").lines == ["1", "2"]


def test_wait_returns_when_it_ends(cli, box):
    waiting = cli.start("wait", box, text=True)
    assert waiting.poll() is None
    cli("kill", "-s", "TERM", box)
    assert waiting.communicate(timeout=20)[0].strip() == "143"


def test_pause_freezes_and_unpause_goes_on(cli):
    cli("run", "-d", "--name", "counter", "busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done")
    wait_for(lambda: len(cli("logs", "counter").lines) > 3, "numbers")
    cli("pause", "counter")
    assert state(cli, "counter") == "paused"
    assert "(Paused)" in cli("ps", "--format", "{{.Status}}").line
    frozen = cli("logs", "counter").lines
    assert "is paused" in cli("exec", "counter", "true", code=1).err
    assert cli("logs", "counter").lines == frozen
    cli("unpause", "counter")
    assert state(cli, "counter") == "running"
    wait_for(lambda: len(cli("logs", "counter").lines) > len(frozen), "more numbers")
    assert "is not paused" in cli("unpause", "counter", code=1).err


def test_a_paused_container_can_be_stopped_and_removed(cli, box):
    cli("pause", box)
    cli("rm", "-f", box)
    assert cli("ps", "-aq").out == ""


def test_rename(cli, box):
    identity = cli("inspect", "-f", "{{.Id}}", box).line
    cli("rename", box, "ship")
    assert cli("inspect", "-f", "{{.Id}} {{.Name}}", "ship").line == f"{identity} /ship"
    assert "no such container" in cli("stop", box, code=1).err.lower()
    cli("create", "--name", box, "busybox")
    assert "is already in use" in cli("rename", "ship", box, code=1).err


def test_update_changes_limits_of_a_running_container(cli, engine):
    identity = cli("run", "-d", "--name", "box", "--memory", "64m", "busybox", "sleep", "600").line
    cli("update", "--memory", "128m", "--memory-swap", "128m", "--pids-limit", "33", "box")
    assert limit_of(identity, "memory", "memory.limit_in_bytes", "memory.max") == str(128 << 20)
    assert limit_of(identity, "pids", "pids.max", "pids.max") == "33"
    cli("restart", "-t", "0", "box")
    assert limit_of(identity, "memory", "memory.limit_in_bytes", "memory.max") == str(128 << 20)


def test_update_changes_labels_and_environment(skiff, docker):
    skiff("run", "-d", "--name", "box", "-l", "a=1", "-l", "b=2", "-e", "KEPT=k", "-e", "OLD=o", "-e", "GONE=g", "busybox", "sleep", "600")
    warned = skiff("update", "-l", "b=3", "-l", "c", "--label-rm", "a", "-e", "OLD=n", "-e", "NEW=x=y", "--env-rm", "GONE", "--env-rm", "NOT", "box").err
    assert "environment holds for processes that are started from now on" in warned
    assert "environment" not in skiff("update", "-l", "d=4", "box").err
    assert json.loads(docker("inspect", "-f", "{{json .Config.Labels}}", "box").out) == {"b": "3", "c": "", "d": "4"}
    assert docker("ps", "-q", "--filter", "label=c").lines and not docker("ps", "-q", "--filter", "label=a").lines

    def variables():
        return {line for line in docker("exec", "box", "env").lines if line.split("=")[0] in ("KEPT", "OLD", "GONE", "NEW")}

    assert variables() == {"KEPT=k", "OLD=n", "NEW=x=y"}
    skiff("restart", "-t", "0", "box")
    assert variables() == {"KEPT=k", "OLD=n", "NEW=x=y"}
    assert b"NEW=x=y" in Path(f"/proc/{docker('inspect', '-f', '{{.State.Pid}}', 'box').line}/environ").read_bytes()


def test_update_refuses_what_is_no_variable(engine):
    engine.docker("create", "--name", "box", "-e", "A=1", "busybox")
    for body in ({"Env": ["=x"]}, {"Env": ["A"]}, {"EnvRemoved": ["A=1"]}, {"Labels": {"": "x"}}):
        answer = engine.client.api.post(f"{engine.client.api.base_url}/v1.51/containers/box/update", json=body)
        assert answer.status_code == 400 and "invalid" in answer.text
    assert engine.client.api.inspect_container("box")["Config"]["Env"][0] == "A=1"


def test_update_changes_everything_that_can_be(cli, engine):
    identity = cli("run", "-d", "--name", "box", "busybox", "sleep", "600").line
    cli("update", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--memory", "64m", "--memory-swap", "-1",
        "--memory-reservation", "32m", "--restart", "on-failure:3", "box")
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert limit_of(identity, "", "", "cpu.max").split() == ["50000", "100000"]
    else:
        assert limit_of(identity, "cpu", "cpu.cfs_quota_us", "") == "50000" and limit_of(identity, "cpu", "cpu.shares", "") == "512"
    assert limit_of(identity, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    assert limit_of(identity, "memory", "memory.soft_limit_in_bytes", "memory.low") == str(32 << 20)
    told = json.loads(cli("inspect", "box").out)[0]["HostConfig"]
    assert told["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3} and told["NanoCpus"] == 500_000_000
    refused = cli("update", "--cpu-quota", "5000", "box", code=1).err
    assert f"Cannot update container {identity}: Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set" in refused
    disk = block_device()
    answer = engine.client.api.post(
        f"{engine.client.api.base_url}/v1.51/containers/box/update", json={"BlkioDeviceReadBps": [{"Path": disk[0], "Rate": 1 << 20}]})
    assert answer.status_code == 200, answer.text
    assert limit_of(identity, "blkio", "blkio.throttle.read_bps_device", "io.max").startswith(disk[1])
    cli("rm", "-f", "box")
    wait_for(lambda: not cgroups_of(identity), "all cgroups to go, those that came later too")


def test_stats_shows_memory_and_processes(cli, box):
    shown = cli("stats", "--no-stream", "--format", "{{.Name}}|{{.MemUsage}}|{{.PIDs}}|{{.CPUPerc}}", box).line
    name, memory, pids, cpu = shown.split("|")
    assert name == "box" and " / " in memory and int(pids) >= 1 and cpu.endswith("%")
    assert re.match(r"[\d.]+\w*B / [\d.]+\w*B", memory)


def test_top_lists_the_processes(cli, box):
    lines = cli("top", box).lines
    assert "PID" in lines[0] and any("sleep 600" in line for line in lines[1:])
    lines = cli("top", box, "-o", "pid,comm").lines
    assert lines[0].split() == ["PID", "COMMAND"] and any(line.split()[1] == "sleep" for line in lines[1:])
    assert "Couldn't find PID field in ps output" in cli("top", box, "-o", "comm", code=1).err
    assert "is not running" in cli("top", cli("create", "busybox").line, code=1).err


def test_diff_shows_what_changed(cli):
    cli("run", "--name", "box", "busybox", "sh", "-c", "echo x > /new; rm /etc/group; echo y >> /etc/passwd; mkdir -p /tmp/a/b")
    shown = set(cli("diff", "box").lines)
    assert {"A /new", "D /etc/group", "C /etc/passwd", "C /etc", "A /tmp/a", "A /tmp/a/b"} <= shown
    assert not [line for line in shown if "/proc" in line or "/sys" in line or "/dev" in line]


def test_prune_removes_what_ended(cli, box):
    cli("run", "--name", "ended", "busybox", "true")
    cli("container", "prune", "-f")
    assert cli("ps", "-a", "--format", "{{.Names}}").lines == [box]


def test_state_tells_when_and_how_it_ended(cli):
    cli("run", "--name", "box", "busybox", "sh", "-c", "exit 9", code=9)
    told = json.loads(cli("inspect", "box").out)[0]["State"]
    assert (told["Status"], told["ExitCode"], told["Running"], told["OOMKilled"], told["Pid"]) == ("exited", 9, False, False, 0)
    assert told["StartedAt"] < told["FinishedAt"]


@pytest.mark.parametrize("name", [
    "../up", "a/b", "-a", ".", "..", "a b", "ä", "a\nb", "x" * 4096, "a", "/", " ", "a\0b",
])
def test_names_that_cannot_be_are_refused(engine, name):
    before = sorted(engine.data_root.rglob("*"))
    answer = engine.client.api.post(
        engine.client.api.base_url + "/v1.44/containers/create", params={"name": name},
        json={"Image": "busybox"})
    assert answer.status_code == 400, answer.text
    assert "Invalid container name" in answer.json()["message"]
    assert [path for path in sorted(engine.data_root.rglob("*")) if path not in before] == []


@pytest.mark.parametrize("path", [
    "containers/..%2f..%2fetc/json", "containers/%2e%2e/json", "containers/a%00b/json", "images/..%2f..%2fetc/json",
    "volumes/..%2f..%2fetc", "exec/..%2fx/json", "networks/..%2f..", "containers/" + "x" * 4096 + "/json",
])
def test_paths_with_tricks_find_nothing(engine, path):
    answer = engine.client.api.get(f"{engine.client.api.base_url}/v1.44/{path}")
    assert answer.status_code in (400, 404) and answer.json()["message"]


def test_ids_can_be_short_but_not_ambiguous(cli):
    ids = []
    while not any(a != b and a[0] == b[0] for a in ids for b in ids):
        ids.append(cli("create", "busybox").line)
    shared = next(a[0] for a in ids for b in ids if a != b and a[0] == b[0])
    failed = cli("rm", shared, code=1).err.lower()
    assert "multiple" in failed or "ambiguous" in failed
    assert cli("rm", ids[0][:12]).line == ids[0][:12]
