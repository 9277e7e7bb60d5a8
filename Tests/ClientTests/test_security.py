"""Attacks that other engines have known."""

import io
import os
import socket
import stat
import tarfile

import pytest

from busybox import root_filesystem

MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/acpi", "/proc/scsi", "/sys/firmware",
          "/proc/sched_debug", "/proc/latency_stats", "/proc/asound", "/sys/devices/virtual/powercap"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"]


@pytest.fixture
def box(engine):
    engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    return "box"


def test_working_directories_lead_nowhere_else(engine, docker, box):
    """T07: a working directory that names the runtime's own descriptors."""
    host_root = os.stat("/").st_dev, os.stat("/").st_ino
    for number in range(0, 65, 4):
        path = f"/proc/self/fd/{number}"
        shown = docker("run", "--rm", "--network", "none", "-w", path, "busybox", "stat", "-c", "%d %i", "../../..", code=None)
        assert shown.code != 0 or tuple(map(int, shown.out.split())) != host_root
    for number in range(0, 65, 2):
        shown = docker("exec", "-w", f"/proc/self/fd/{number}", box, "cat", "../../../etc/hostname", code=None)
        assert shown.code != 0, shown
    inside = docker("exec", "-w", "/proc/1/cwd/..", box, "pwd", code=None)
    assert inside.code != 0 or inside.line == "/"


def test_programs_inherit_three_descriptors(cli, box):
    """T08: what the engine and the runtime have open stays theirs."""
    for shown in (cli("run", "--rm", "busybox", "ls", "/proc/self/fd"), cli("exec", box, "ls", "/proc/self/fd")):
        # 3 is the directory that ls reads.
        assert shown.out.split() == ["0", "1", "2", "3"]
    first = sorted(os.listdir(f"/proc/{pid_of(cli, box)}/fd"))
    assert first == ["0", "1", "2"]


def pid_of(cli, name):
    return cli("inspect", "-f", "{{.State.Pid}}", name).line


def test_masked_paths_are_empty_and_others_cannot_be_written(cli):
    """T12."""
    script = "".join(
        f"[ -e {p} ] && {{ [ -d {p} ] && [ -n \"$(ls -A {p})\" ] && echo shown {p}; [ -f {p} ] && [ -n \"$(head -c 1 {p} 2>/dev/null)\" ] && echo shown {p}; }}; "
        for p in MASKED)
    script += "".join(
        f"[ -d {p} ] && touch {p}/x 2>/dev/null && echo written {p}; [ -f {p} ] && (echo h > {p}) 2>/dev/null && echo written {p}; "
        for p in READ_ONLY)
    script += "(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo written core_pattern; true"
    assert cli("run", "--rm", "busybox", "sh", "-c", script).out == ""


@pytest.mark.parametrize("user, wanted", [
    ("4294967296", None), ("-1", None), ("1000", "1000"), ("0x0", None), ("alice:video:extra", None), ("4294967295", None),
    ("99999999999999999999", None), ("", "0"), ("root\nalice", None), ("../root", None),
])
@pytest.mark.parametrize("way", ["run", "exec"])
def test_users_are_exact_or_refused(engine, docker, box, user, wanted, way):
    """T18: a number is that number, a name is that name, anything else is an error. A number is never a name."""
    command = ["run", "--rm", "--network", "none", "-u", user, "busybox"] if way == "run" else ["exec", "-u", user, box]
    shown = docker(*command, "id", "-u", code=None)
    if wanted is None:
        assert shown.code != 0 and shown.out == "", shown
    else:
        assert shown.line == wanted


def test_the_engine_s_sockets_are_not_in_a_container(engine, docker):
    """T32: no socket of the engine is reached from inside, on any network."""
    for network in ("bridge", "none", "host"):
        shown = docker("run", "--rm", "--network", network, "busybox", "sh", "-c",
                       f"ls {engine.socket} {engine.exec_root} 2>&1 | grep -v 'No such file'; grep -c '@.*\\(skiff\\|docker\\)' /proc/net/unix", code=None)
        assert shown.line == "0", shown
    listening = docker("run", "--rm", "busybox", "sh", "-c", "netstat -tln | grep LISTEN | grep -vc '127.0.0.11:'", code=None)
    assert listening.line == "0"


def test_the_engine_listens_on_no_port(engine):
    inodes = {os.readlink(f"/proc/{engine.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{engine.process.pid}/fd")
              if os.path.lexists(f"/proc/{engine.process.pid}/fd/{fd}")}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{kind}") as file:
            for line in list(file)[1:]:
                fields = line.split()
                listens = kind.startswith("udp") or fields[3] == "0A"
                assert not (listens and f"socket:[{fields[9]}]" in inodes), line


@pytest.mark.parametrize("command", [
    ["unshare", "-U", "true"], ["mount", "-t", "proc", "none", "/tmp"], ["sh", "-c", "mknod /tmp/sda b 8 0 && cat /tmp/sda"],
    ["ls", "/proc/1/root/../../../lib64/ld-linux-x86-64.so.2"], ["sysctl", "-w", "kernel.hostname=x"], ["dmesg", "-c"],
    ["nsenter", "-t", "1", "-n", "true"], ["swapoff", "-a"], ["sh", "-c", "date -s 2000-01-01 2>&1 | grep -v 'not permitted' | grep date"], ["insmod", "/x.ko"],
    ["sh", "-c", "echo 1 > /sys/fs/cgroup/cgroup.procs"],
])
def test_the_kernel_refuses_what_a_container_must_not(cli, command):
    assert cli("run", "--rm", "busybox", *command, code=None).code != 0


def test_device_nodes_of_the_host_cannot_be_opened(cli):
    shown = cli("run", "--rm", "busybox", "sh", "-c", "mknod /tmp/d b 254 0; cat /tmp/d | head -c 1 | wc -c", code=None)
    assert shown.line == "0"
    assert set(cli("run", "--rm", "busybox", "ls", "/dev").out.split()) == {
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}


def test_setuid_programs_gain_nothing_when_told_so(cli):
    shown = cli("run", "--rm", "--security-opt", "no-new-privileges", "busybox", "grep", "NoNewPrivs", "/proc/self/status")
    assert shown.out.split()[1] == "1"


@pytest.mark.parametrize("place", ["/etc", "/dev", "/proc", "/sys", "/etc/hosts", "/dev/shm", "/dev/null", "/dev/pts"])
@pytest.mark.parametrize("target", ["/", "../../../../..", "/proc/self/root"])
def test_an_image_full_of_links_stays_inside(docker, place, target):
    """T09: where the engine mounts, the image has links. The host's directory must not change."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(root_filesystem())) as source, tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in source:
            if member.name.rstrip("/") != place.strip("/") and not member.name.startswith(place.strip("/") + "/"):
                tar.addfile(member, source.extractfile(member) if member.isfile() else None)
        link = tarfile.TarInfo(place.strip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)
    docker("import", "-", "links:1", input=buffer.getvalue())
    before = host_state()
    shown = docker("run", "--rm", "--network", "none", "links:1", "/bin/echo", "ran", code=None)
    assert shown.code != 0 or shown.out == "ran\n"
    assert host_state() == before


def host_state():
    """What such a link could have changed."""
    state = {}
    for path in ("/", "/etc", "/dev", "/etc/hosts", "/dev/null", "/dev/shm", "/dev/pts"):
        found = os.stat(path)
        state[path] = (found.st_dev, found.st_ino, stat.S_IFMT(found.st_mode), found.st_rdev)
    return state


def test_abstract_sockets_of_the_host_are_out_of_reach(cli):
    """T32: another network namespace has its own abstract names."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0skiff-test-canary")
        server.listen()
        assert cli("run", "--rm", "busybox", "grep", "-c", "skiff-test-canary", "/proc/net/unix", code=1).line == "0"


def test_what_an_image_says_of_itself_gives_it_no_rights(engine, docker, cli):
    """T20 and the rest of T17: labels, environment and a passwd file that mean something to some engine, runtime or manager."""
    labels = {
        "org.systemd.property.ExecStartPre": "'/bin/touch /skiff-canary'", "run.oci.keep_original_groups": "1", "run.oci.hooks.stdout": "/skiff-canary",
        "org.opencontainers.runc.checkpoint.enabled": "true", "io.podman.annotations.privileged": "TRUE", "cdi.k8s.io/devices": "vendor.com/gpu=all",
        "com.docker.network.bridge.name": "eth0", "skiff.privileged": "true", "io.containerd.image.config.stop-signal": "SIGKILL",
    }
    changes = [word for name, value in labels.items() for word in ("-c", f'LABEL "{name}"="{value}"')]
    passwd = b"root:x:0:0::/:\nevil:x:4294967296:0::/:\nname\\n:x:0:0::/:\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(root_filesystem())) as source, tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in source:
            if member.name.strip("./") != "etc/passwd":
                tar.addfile(member, source.extractfile(member) if member.isfile() else None)
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(passwd)
        tar.addfile(entry, io.BytesIO(passwd))
    docker("import", *changes, "-", "labels:1", input=buffer.getvalue())
    try:
        id = docker("run", "-d", "--network", "none", "-e", "A=1\nB=2", "labels:1", "sleep", "600").line
        config = next(engine.exec_root.glob(f"containers/{id}/config.json")).read_text()
        assert not [name for name in labels if name in config]
        assert docker("exec", id, "sh", "-c", 'echo "$A"; echo "<$B>"; grep CapEff /proc/self/status').out.split() == [
            "1", "B=2", "<>", "CapEff:", "00000000a80425fb"]
        shown = docker("exec", "-u", "evil", id, "id", "-u", code=None)
        assert shown.code != 0 and "no matching entries" in shown.err
        docker("rm", "-f", id)
        for driver in ("binary:///bin/sh", "file:///skiff-canary", "../../bin/sh"):
            refused = docker("run", "--rm", "--network", "none", "--log-driver", driver, "labels:1", "true", code=None)
            assert refused.code == 125, refused
        assert not os.path.exists("/skiff-canary")
    finally:
        docker("rmi", "-f", "labels:1", code=None)
