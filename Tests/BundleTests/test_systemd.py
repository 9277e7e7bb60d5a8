"""Containers in units of systemd (`--systemd-cgroup`), of the machine's and of a user's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import cgroups
from bundle import eventually

pytestmark = pytest.mark.systemd
MEBI = 1 << 20


def show(unit, *names, user=None):
    words = ["systemctl", "show", unit, "--property", ",".join(names)]
    if user:
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env", f"XDG_RUNTIME_DIR=/run/user/{user}",
                 *words[:1], "--user", *words[1:]]
    text = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture
def unit(bundle):
    bundle.global_options = ["--systemd-cgroup"]
    bundle.unit = f"skiff-{bundle.id}.scope"
    bundle.cgroup = f"/system.slice/{bundle.unit}"
    yield bundle
    bundle.remove()
    assert show(bundle.unit, "LoadState")["LoadState"] == "not-found"


def spec(bundle, resources=None, slice="system.slice", **members):
    spec = bundle.spec("sleep", "600")
    spec["linux"]["cgroupsPath"] = f"{slice}:skiff:{bundle.id}"
    spec["linux"]["resources"] |= resources or {}
    return spec | members


def test_a_container_lives_in_a_unit_with_its_limits(unit):
    unit.start_sleeping(spec(unit, {
        "memory": {"limit": 64 * MEBI, "reservation": 32 * MEBI, "swap": 96 * MEBI}, "pids": {"limit": 40},
        "cpu": {"shares": 2048, "quota": 150000, "period": 100000, "cpus": "0"}}))
    shown = show(unit.unit, "ActiveState", "Slice", "Delegate", "MemoryMax", "MemoryLow", "MemorySwapMax", "TasksMax", "CPUWeight",
                 "CPUQuotaPerSecUSec", "AllowedCPUs", "CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting")
    assert shown == {
        "ActiveState": "active", "Slice": "system.slice", "Delegate": "yes", "MemoryMax": str(64 * MEBI), "MemoryLow": str(32 * MEBI),
        "MemorySwapMax": str(32 * MEBI), "TasksMax": "40", "CPUWeight": "174", "CPUQuotaPerSecUSec": "1.500000s", "AllowedCPUs": "0",
        "CPUAccounting": "yes", "MemoryAccounting": "yes", "IOAccounting": "yes", "TasksAccounting": "yes"}
    assert cgroups.processes(unit.cgroup) == [unit.pid()]
    assert cgroups.read(unit.cgroup, "memory") == 64 * MEBI and cgroups.processor_limit(unit.cgroup) == (150000, 100000)


def test_systemd_looking_again_changes_nothing(unit):
    unit.start_sleeping(spec(unit, {"memory": {"limit": 64 * MEBI}, "cpu": {"quota": 12345, "period": 100000}}))
    subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=60)
    assert cgroups.read(unit.cgroup, "memory") == 64 * MEBI
    done = unit.call("exec", "--cap", "CAP_MKNOD", unit.id, "sh", "-c", "mknod /dev/mem-copy c 1 2; true </dev/mem-copy")
    assert "not permitted" in done.error, done


def test_an_update_reaches_systemd(unit):
    unit.start_sleeping(spec(unit))
    assert unit.call("update", "--memory", "48m", "--pids-limit", "44", "--cpu-quota", "50000", unit.id).code == 0
    shown = show(unit.unit, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec")
    assert shown == {"MemoryMax": str(48 * MEBI), "TasksMax": "44", "CPUQuotaPerSecUSec": "500ms"}
    assert cgroups.read(unit.cgroup, "memory") == 48 * MEBI and cgroups.read(unit.cgroup, "pids") == 44


def test_pause_exec_and_kill_work_in_a_unit(unit):
    unit.start_sleeping(spec(unit))
    assert unit.call("pause", unit.id).code == 0 and unit.status() == "paused"
    assert unit.call("resume", unit.id).code == 0
    process = subprocess.Popen(unit.command("exec", unit.id, "sleep", "600"), stdin=subprocess.DEVNULL)
    eventually(lambda: len(cgroups.processes(unit.cgroup)) == 2)
    assert unit.call("delete", "--force", unit.id).code == 0
    assert process.wait(20) == 137


def test_a_container_that_ends_takes_its_unit_along(unit):
    done = unit.run(spec(unit) | {"process": spec(unit)["process"] | {"args": ["cat", "/proc/self/cgroup"]}})
    assert done.code == 0 and done.output == "0::/\n", done
    assert show(unit.unit, "LoadState")["LoadState"] == "not-found"


def test_properties_by_annotations(unit):
    unit.start_sleeping(spec(unit, annotations={
        "org.systemd.property.TimeoutStopUSec": "uint64 12000000", "org.systemd.property.CollectMode": "'inactive-or-failed'",
        "org.systemd.property.RuntimeMaxSec": "900", "org.systemd.property.After": "['basic.target']"}))
    shown = show(unit.unit, "TimeoutStopUSec", "CollectMode", "RuntimeMaxUSec", "After")
    assert shown["TimeoutStopUSec"] == "12s" and shown["CollectMode"] == "inactive-or-failed" and shown["RuntimeMaxUSec"] == "15min"
    assert "basic.target" in shown["After"]


@pytest.mark.parametrize("path, text", [
    ("a/b", "slice:prefix:name"), ("system.slice:x:a/b", "name"), ("no-slice:x:y", "slice"), ("a--b.slice:x:y", "slice")])
def test_names_that_are_none_are_refused(unit, path, text):
    wrong = spec(unit)
    wrong["linux"]["cgroupsPath"] = path
    done = unit.run(wrong)
    assert done.code == 1 and text in done.error, done


@pytest.mark.ours
def test_a_property_that_systemd_does_not_know_stops_the_start(unit):
    done = unit.run(spec(unit, annotations={"org.systemd.property.NoSuchThing": "5"}))
    assert done.code == 1 and "unable to start unit" in done.error, done


def test_a_slice_of_several_levels(unit):
    unit.cgroup = f"/skiff.slice/skiff-test.slice/{unit.unit}"
    unit.start_sleeping(spec(unit, slice="skiff-test.slice"))
    assert cgroups.processes(unit.cgroup) == [unit.pid()]
    assert show(unit.unit, "ControlGroup")["ControlGroup"] == unit.cgroup


@pytest.mark.ours
def test_a_create_that_was_killed_leaves_no_unit(unit):
    unit.write(spec(unit))
    for delay in (0.02, 0.05, 0.1, 0.2):
        process = subprocess.Popen(unit.command("create", unit.id), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=unit.directory)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        assert unit.call("delete", "--force", unit.id).code == 0
        eventually(lambda: show(unit.unit, "LoadState")["LoadState"] == "not-found")


@pytest.mark.ours
def test_a_users_own_systemd_holds_containers_without_root(runtime, make_bundle):
    """Below `systemd --user`, with limits, for controllers that are delegated to users."""
    uid = 1000
    subprocess.run(["loginctl", "enable-linger", "tester"], check=True, timeout=60)
    eventually(Path(f"/run/user/{uid}/bus").exists, 60)
    bundle = make_bundle()
    for folder, _, files in os.walk(bundle.directory):
        for name in [folder, *(os.path.join(folder, file) for file in files)]:
            os.chown(name, uid, uid, follow_symlinks=False)
    wanted = spec(bundle, {"memory": {"limit": 32 * MEBI}, "pids": {"limit": 30}}, slice="user.slice")
    del wanted["linux"]["resources"]["devices"]
    wanted["linux"]["namespaces"] = [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts", "cgroup")]
    wanted["linux"] |= {"uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
                        "gidMappings": [{"containerID": 0, "hostID": uid, "size": 1}]}
    wanted["mounts"] = [one for one in wanted["mounts"] if one["type"] not in ("sysfs", "cgroup", "devpts")]
    wanted["process"]["args"] = ["sleep", "600"]
    bundle.write(wanted)
    os.chown(bundle.directory / "config.json", uid, uid)
    as_user = lambda *words: subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin", f"XDG_RUNTIME_DIR=/run/user/{uid}",
         str(runtime), "--root", str(bundle.states), "--systemd-cgroup", *words],
        stdin=subprocess.DEVNULL, stdout=open(bundle.directory / "out", "w"), stderr=subprocess.STDOUT, cwd=bundle.directory, timeout=60)
    name = f"skiff-{bundle.id}.scope"
    try:
        assert as_user("create", bundle.id).returncode == 0, (bundle.directory / "out").read_text()
        assert as_user("start", bundle.id).returncode == 0, (bundle.directory / "out").read_text()
        assert as_user("state", bundle.id).returncode == 0
        pid = json.loads((bundle.directory / "out").read_text())["pid"]
        place = Path(f"/proc/{pid}/cgroup").read_text().strip()
        assert place.endswith(f"/user@{uid}.service/user.slice/{name}"), place
        assert cgroups.read(place.removeprefix("0::"), "memory") == 32 * MEBI
        assert show(name, "MemoryMax", user=uid)["MemoryMax"] == str(32 * MEBI)
        assert as_user("exec", bundle.id, "cat", "/proc/self/cgroup").returncode == 0, (bundle.directory / "out").read_text()
    finally:
        deleted = as_user("delete", "--force", bundle.id)
        assert deleted.returncode == 0, (bundle.directory / "out").read_text()
    assert show(name, "LoadState", user=uid)["LoadState"] == "not-found"
