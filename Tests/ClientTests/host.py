"""What exists on the host and outlives processes: mounts, links, cgroups, firewall rules, files."""

import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from engine import processes
from waiting import wait_until_equal


@dataclass
class Census:
    """Taken twice, it shows what was left between the two."""

    mounts: set = field(default_factory=set)
    links: set = field(default_factory=set)
    cgroups: set = field(default_factory=set)
    supervisors: set = field(default_factory=set)
    rules: Counter = field(default_factory=Counter)
    files: set = field(default_factory=set)

    @staticmethod
    def take(engine=None):
        """With an engine: also its own table, processes and files, and only those."""
        census = Census(mounts=mounts(), links=links(), cgroups=idle_cgroups())
        if engine:
            census.supervisors = set(engine.supervisors())
            census.rules = rules(engine.bridge)
            census.files = state_files(engine)
        return census

    def assert_nothing_new(self, of, seconds=20):
        """After the engine is gone, nothing of it exists: other engines of this host may come and go meanwhile."""
        wait_until_equal(lambda: new_things(self, Census.take(), of), {}, "left on the host", seconds)
        assert not of.directory.exists()
        assert not of.supervisors()
        assert not rules(of.bridge)

    def assert_same(self, engine, seconds=20):
        """While the engine runs: the state is again what it was when this census was taken."""
        wait_until_equal(lambda: differences(self, Census.take(engine), engine), {}, "left by containers", seconds)


def new_things(old, new, engine):
    found = {
        "mounts": {mount for mount in new.mounts - old.mounts if str(engine.directory) in mount},
        "links": {link for link in new.links - old.links if link[0] == engine.bridge or is_orphan(link)},
        "cgroups": new.cgroups - old.cgroups,
    }
    return {key: value for key, value in found.items() if value}


def differences(old, new, engine):
    found = new_things(old, new, engine)
    found["links"] = {link for link in new.links - old.links if is_orphan(link) or link[1] == engine.bridge}
    for name in ("supervisors", "files"):
        found[name] = getattr(new, name) ^ getattr(old, name)
    found["rules"] = list((new.rules - old.rules).elements()) + list((old.rules - new.rules).elements())
    return {key: value for key, value in found.items() if value}


def is_orphan(link):
    """A veth end that belongs to no bridge."""
    return link[0].startswith("vsk") and link[1] is None


def mounts():
    """Root, mount point, type and source of each mount."""
    found = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        dash = fields.index("-")
        found.add(f"{fields[3]} {fields[4]} {' '.join(fields[dash + 1:dash + 3])}")
    return found


def links():
    """Name and master of each network device."""
    listing = subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, text=True).stdout
    return {(link["ifname"], link.get("master")) for link in json.loads(listing or "[]")}


def idle_cgroups():
    """Cgroups of containers in which no process is: leftovers, once they stay."""
    found = set()
    roots = [Path("/sys/fs/cgroup/skiff"), *Path("/sys/fs/cgroup").glob("*/skiff")]
    for root in roots:
        for directory, children, _ in os.walk(root):
            try:
                if directory != str(root) and not children and not Path(directory, "cgroup.procs").read_text().strip():
                    found.add(directory)
            except OSError:
                continue  # It went away while we looked.
    return found


def cgroups_of(container_id):
    return [path for path in Path("/sys/fs/cgroup").glob(f"**/skiff/{container_id}")]


def limit_of(identity, controller, v1, v2):
    """A limit of the container, on whichever kind of cgroups the host has."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        path = f"/sys/fs/cgroup/skiff/{identity}/{v2}"
    else:
        path = f"/sys/fs/cgroup/{controller}/skiff/{identity}/{v1}"
    with open(path) as file:
        return file.read().strip()


def block_device():
    """The path and the numbers of a disk, whichever the host has."""
    for name in sorted(os.listdir("/sys/block"), reverse=True):
        if os.path.exists(f"/dev/{name}"):
            return f"/dev/{name}", Path(f"/sys/block/{name}/dev").read_text().strip()
    raise AssertionError("the host has no block device")


def rules(table):
    """How often each line of the table is there, without what changes by itself: its owner and its counters.

    As text: nft 1.0.6 writes broken JSON for a table with an owner.
    """
    listing = subprocess.run(["nft", "list", "table", "inet", table], capture_output=True)
    lines = listing.stdout.decode(errors="replace").splitlines() if listing.returncode == 0 else []
    plain = (re.sub(r" # .*|packets \d+ bytes \d+", "", line).strip() for line in lines)
    return Counter(line for line in plain if line and not line.startswith("flags"))


def state_files(engine):
    """What the engine keeps for containers, below both of its roots; sockets are files, too. Filters that later starts find
    again are nobody's."""
    found = set()
    for directory in (engine.exec_root, engine.data_root / "containers", engine.data_root / "volumes", engine.data_root / "tmp"):
        for path, children, files in os.walk(directory):
            if path == str(engine.exec_root) and "seccomp" in children: children.remove("seccomp")
            found.update(os.path.join(path, name) for name in children + files)
    return found


def namespaces_of(pid):
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net", "pid", "ipc", "uts", "cgroup")}


def descriptors(pid):
    """The open files of a process, by kind: paths lose their numbers."""
    found = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{entry}").split(":")[0])
        except FileNotFoundError:
            continue
    return sorted(found)


def programs_named(name):
    return [pid for pid, arguments in processes() if arguments and os.path.basename(arguments[0]) == name]
