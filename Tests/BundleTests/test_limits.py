"""Limits of a container's cgroup: as asked for, as the kernel keeps them, and what happens to whoever breaks them."""

import os

import pytest

import cgroups
from bundle import eventually

MEBI = 1 << 20


def limited(bundle, resources, *args):
    spec = bundle.spec(*args)
    spec["linux"]["resources"] |= resources
    return spec


def test_limits_are_those_of_the_configuration(bundle):
    bundle.start_sleeping(limited(bundle, {
        "memory": {"limit": 64 * MEBI, "reservation": 32 * MEBI}, "cpu": {"shares": 512, "quota": 50000, "period": 100000},
        "pids": {"limit": 50}}, "sleep", "600"))
    assert cgroups.read(bundle.cgroup, "memory") == 64 * MEBI
    assert cgroups.read(bundle.cgroup, "reservation") == 32 * MEBI
    assert cgroups.read(bundle.cgroup, "pids") == 50
    assert cgroups.processor_limit(bundle.cgroup) == (50000, 100000)
    assert cgroups.weight(bundle.cgroup) in ((59, 20) if cgroups.is_version_two() else (512,))
    assert bundle.pid() in cgroups.processes(bundle.cgroup)


def test_processors_and_memory_nodes_are_chosen(bundle):
    done = bundle.run(limited(bundle, {"cpu": {"cpus": "0", "mems": "0"}}, "grep", "_allowed_list", "/proc/self/status"))
    assert done.output.split() == ["Cpus_allowed_list:", "0", "Mems_allowed_list:", "0"], done


def test_more_processes_than_allowed_cannot_be_made(bundle):
    done = bundle.run(limited(bundle, {"pids": {"limit": 4}}, "sh", "-c", "sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5"))
    assert done.code != 0 and "fork" in done.error, done


def test_memory_beyond_the_limit_kills(bundle):
    spec = limited(bundle, {"memory": {"limit": 16 * MEBI, "swap": 16 * MEBI}}, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    assert bundle.run(spec).code == 137


def test_a_container_starts_under_a_limit_of_two_mebibytes(bundle, is_ours):
    """The program under test may be one for debugging, which takes more than the one that is installed."""
    if not is_ours:
        pytest.skip("runc needs more itself")
    done = bundle.run(limited(bundle, {"memory": {"limit": 2 * MEBI}, "pids": {"limit": 1}}, "true"))
    assert done.code == 0, done


@pytest.mark.v2
def test_files_of_version_two_are_written_as_they_are_named(bundle):
    bundle.start_sleeping(limited(bundle, {"unified": {"memory.high": str(32 * MEBI), "memory.oom.group": "1", "pids.max": "77"}}, "sleep", "600"))
    group = cgroups.directory(bundle.cgroup)
    assert (group / "memory.high").read_text().strip() == str(32 * MEBI)
    assert (group / "memory.oom.group").read_text().strip() == "1"
    assert (group / "pids.max").read_text().strip() == "77"


@pytest.mark.v2
@pytest.mark.parametrize("unified", [{"no.such.file": "1"}, {"../cgroup.procs": "1"}, {"memory.max": "lots"}])
def test_a_file_of_version_two_that_cannot_be_written_stops_the_start(bundle, unified):
    done = bundle.run(limited(bundle, {"unified": unified}, "true"))
    assert done.code == 1, done
    assert next(iter(unified)).split("/")[-1] in done.error


@pytest.mark.v1
def test_files_of_version_two_are_refused_on_version_one(bundle):
    done = bundle.run(limited(bundle, {"unified": {"memory.high": "1000000"}}, "true"))
    assert done.code == 1 and "unified" in done.error, done


@pytest.mark.v2
def test_the_whole_container_dies_when_memory_runs_out_and_it_was_asked_to(bundle):
    bundle.start_sleeping(limited(bundle, {
        "memory": {"limit": 32 * MEBI, "swap": 32 * MEBI}, "unified": {"memory.oom.group": "1"}}, "sleep", "600"))
    pidfd = os.pidfd_open(bundle.pid())
    bundle.exec("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    eventually(lambda: bundle.status() == "stopped", what="the end of the first process")
    os.close(pidfd)


@pytest.mark.v2
def test_swap_is_what_remains_beyond_memory(bundle):
    bundle.start_sleeping(limited(bundle, {"memory": {"limit": 32 * MEBI, "swap": 48 * MEBI}}, "sleep", "600"))
    assert (cgroups.directory(bundle.cgroup) / "memory.swap.max").read_text().strip() == str(16 * MEBI)


@pytest.mark.v2
def test_controllers_are_handed_down_the_path(bundle):
    spec = limited(bundle, {"memory": {"limit": 32 * MEBI}, "cpu": {"cpus": "0"}, "pids": {"limit": 9}}, "sleep", "600")
    bundle.cgroup = f"/skiff-bundle-tests/a/b/{bundle.id}"
    spec["linux"]["cgroupsPath"] = bundle.cgroup
    bundle.start_sleeping(spec)
    group = cgroups.directory(bundle.cgroup)
    for parent in (group.parent, group.parent.parent, group.parent.parent.parent):
        assert {"cpu", "cpuset", "memory", "pids", "io"} <= set((parent / "cgroup.subtree_control").read_text().split())
    assert (group / "cpuset.cpus").read_text().strip() == "0"
    bundle.remove()
    assert not group.exists()


@pytest.mark.v2
def test_the_first_process_is_born_in_its_group(bundle):
    """Its memory is charged there from the first page on, and `/proc/self/cgroup` shows the root of a namespace of its own."""
    assert bundle.run(bundle.spec("cat", "/proc/self/cgroup")).output == "0::/\n"


@pytest.mark.v2
def test_a_container_sees_its_own_group_and_nothing_else(bundle):
    done = bundle.run(bundle.spec("sh", "-c", "cat /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x"))
    assert done.output == "1\n" and "Read-only" in done.error, done


def test_nothing_is_left_of_groups_that_a_container_made(bundle):
    spec = bundle.spec("sh", "-c", "mkdir -p /sys/fs/cgroup/in/ner /sys/fs/cgroup/memory/in/ner 2>/dev/null; true")
    spec["mounts"][-1]["options"] = ["nosuid", "noexec", "nodev", "rw"]
    bundle.start_sleeping(spec | {"process": spec["process"] | {"args": ["sh", "-c", spec["process"]["args"][2] + "; sleep 600"]}})
    inner = cgroups.directory(bundle.cgroup) / "in/ner"
    eventually(inner.exists, what="the inner group")
    bundle.remove()
    assert cgroups.existing(bundle.cgroup) == []
