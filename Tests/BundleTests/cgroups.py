"""The same questions to cgroups of version 1 and 2."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Question: file of version 1 (in which hierarchy), file of version 2.
FILES = {
    "memory": ("memory", "memory.limit_in_bytes", "memory.max"),
    "reservation": ("memory", "memory.soft_limit_in_bytes", "memory.low"),
    "memory used": ("memory", "memory.usage_in_bytes", "memory.current"),
    "pids": ("pids", "pids.max", "pids.max"),
    "cpus": ("cpuset", "cpuset.cpus", "cpuset.cpus"),
    "mems": ("cpuset", "cpuset.mems", "cpuset.mems"),
}


def is_version_two():
    return (ROOT / "cgroup.controllers").exists()


def directory(path, controller="memory"):
    return ROOT / path.lstrip("/") if is_version_two() else ROOT / controller / path.lstrip("/")


def read(path, question):
    controller, one, two = FILES[question]
    text = (directory(path, controller) / (two if is_version_two() else one)).read_text().strip()
    return int(text) if text.isdigit() else text


def processor_limit(path):
    """(quota, period), a quota of None is no limit."""
    if is_version_two():
        quota, period = (directory(path) / "cpu.max").read_text().split()
        return (None if quota == "max" else int(quota)), int(period)
    group = directory(path, "cpu")
    quota = int((group / "cpu.cfs_quota_us").read_text())
    return (None if quota == -1 else quota), int((group / "cpu.cfs_period_us").read_text())


def weight(path):
    """Processor shares as version 1 counts them, or the weight of version 2."""
    name = "cpu.weight" if is_version_two() else "cpu.shares"
    return int((directory(path, "cpu") / name).read_text())


def processes(path):
    return [int(line) for line in (directory(path) / "cgroup.procs").read_text().split()]


def existing(path):
    """The directories of a group that exist, in any hierarchy."""
    places = [ROOT] if is_version_two() else [ROOT / name for name in
        ("memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio", "unified", "systemd")]
    return [str(place / path.lstrip("/")) for place in places if (place / path.lstrip("/")).exists()]
