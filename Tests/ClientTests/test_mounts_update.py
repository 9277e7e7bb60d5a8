"""Mounts of a container that runs come and go while it does (`update --mount`, `--mount-rm`)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def box(skiff, request):
    """A container that does nothing."""
    flags = getattr(request, "param", [])
    skiff("run", "-d", "--name", "box", *flags, "busybox", "sleep", "600")
    return lambda *command, **options: skiff("exec", "box", *command, **options)


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    (place / "file").write_text("of the host\n")
    return place


def mounts(skiff):
    [found] = json.loads(skiff("inspect", "box").out)
    asked = [(mount["Type"], mount["Target"]) for mount in found["HostConfig"].get("Mounts") or []]
    return [(mount["Type"], mount["Destination"]) for mount in found["Mounts"]], asked


def test_a_bind_comes_and_goes(engine, skiff, box, source):
    skiff("update", "--mount", f"type=bind,src={source},dst=/a/b", "--mount", f"type=bind,src={source}/file,dst=/c/file,ro", "box")
    assert box("cat", "/a/b/file", "/c/file").lines == ["of the host"] * 2
    box("sh", "-c", "echo x > /a/b/new")
    assert (source / "new").read_text() == "x\n"
    assert "Read-only" in box("sh", "-c", "echo x > /c/file", code=1).err
    both = [("bind", "/a/b"), ("bind", "/c/file")]
    assert mounts(skiff) == (both, both)
    assert "Duplicate mount point: /a/b" in skiff("update", "--mount", "type=tmpfs,dst=/a/b/", "box", code=1).err
    # The same after a restart of the engine and of the container.
    [found] = json.loads(skiff("inspect", "box").out)
    skiff("volume", "create", "cut-off")
    (engine.data_root / "containers" / found["Id"] / "volumes-in-motion").write_text("cut-off\n")
    engine.restart()
    assert mounts(skiff) == (both, both)
    assert not skiff("volume", "ls", "-q").lines  # What a crash had left, made for a mount that did not come.
    # What is listed and not there goes from the list.
    subprocess.run(["nsenter", "-t", str(engine.pid_of("box")), "-m", "umount", "/a/b"], check=True)
    skiff("update", "--mount-rm", "/a/b", "box")
    skiff("update", "--mount", f"type=bind,src={source},dst=/a/b", "box")
    assert sorted(mounts(skiff)[0]) == both
    skiff("restart", "-t", "0", "box")
    assert box("cat", "/a/b/file", "/c/file").lines == ["of the host"] * 2
    skiff("update", "--mount-rm", "/a/b", "--mount-rm", "/c/file", "box")
    assert box("ls", "/a/b").out == "" and box("cat", "/c/file").out == ""
    assert mounts(skiff) == ([], [])
    assert "nothing is mounted at /a/b" in skiff("update", "--mount-rm", "/a/b", "box", code=1).err
    skiff("restart", "-t", "0", "box")
    assert box("ls", "/a/b").out == "" and (source / "file").exists()
    assert str(source) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("box", [["--read-only"]], indirect=True)
def test_a_volume_comes_to_a_read_only_root(skiff, box):
    """Its place is made as at a start, it is filled as at a start, and nobody takes it away meanwhile."""
    skiff("update", "--mount", "type=volume,src=kept,dst=/etc/new/place", "--mount", "type=volume,src=filled,dst=/home", "box")
    box("touch", "/etc/new/place/x")
    assert "Read-only" in box("touch", "/etc/new/y", code=1).err
    skiff("run", "--rm", "-v", "filled:/home", "busybox", "true")
    assert box("ls", "/home").lines == skiff("run", "--rm", "busybox", "ls", "/home").lines
    assert "volume is in use" in skiff("volume", "rm", "kept", code=1).err
    skiff("volume", "prune", "-a", "-f")
    assert skiff("volume", "ls", "-q").lines == ["filled", "kept"]
    skiff("update", "--mount-rm", "/etc/new/place", "box")
    skiff("volume", "rm", "kept")
    skiff("update", "--mount", "type=volume,dst=/anonymous", "box", code=0)
    assert len(skiff("volume", "ls", "-q").lines) == 2
    skiff("rm", "-f", "-v", "box")
    assert skiff("volume", "ls", "-q").lines == ["filled"]


def test_a_volume_with_options_is_mounted_while_it_is_needed(skiff, box):
    skiff("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "small")
    place = skiff("volume", "inspect", "-f", "{{.Mountpoint}}", "small").line
    skiff("update", "--mount", "type=volume,src=small,dst=/m", "box")
    assert os.path.ismount(place) and box("sh", "-c", "df -k /m | tail -1").out.split()[1] == "1024"
    skiff("update", "--mount-rm", "/m", "box")
    assert not os.path.ismount(place)


def test_a_paused_container_gets_them_too(skiff, box):
    skiff("pause", "box")
    skiff("update", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=750", "box")
    skiff("unpause", "box")
    assert box("stat", "-c", "%a %T", "-f", "/t", code=None).code == 0
    assert box("sh", "-c", "stat -c %a /t; df -k /t | tail -1").out.split()[:3:2] == ["750", "1024"]
    skiff("pause", "box")
    skiff("update", "--mount-rm", "/t", "box")
    skiff("unpause", "box")
    assert "/t" not in [line.split()[4] for line in box("cat", "/proc/1/mountinfo").lines]


def test_a_mount_in_use_stays_unless_that_is_asked_for(skiff, source):
    skiff("run", "-d", "--name", "box", "--mount", f"type=bind,src={source},dst=/m", "busybox", "sh", "-c", "exec 3</m/file; sleep 600 & wait")
    assert "/m: the mount is in use" in skiff("update", "--mount", "type=tmpfs,dst=/t", "--mount-rm", "/m", "box", code=1).err
    assert mounts(skiff) == ([("bind", "/m")], [("bind", "/m")])
    points = skiff("exec", "box", "cut", "-d", " ", "-f", "5", "/proc/1/mountinfo").lines
    assert "/m" in points and "/t" not in points
    skiff("update", "--mount-rm", "/m", "--mount-rm-lazy", "box")
    assert mounts(skiff) == ([], [])
    assert skiff("exec", "box", "sh", "-c", "ls /m; cat /proc/1/fd/3").lines == ["of the host"]


def test_all_of_a_change_happens_or_nothing(skiff, box, source):
    wrong = ["--mount", "type=bind,src=/not/there,dst=/w"]
    good = ["--mount", "type=volume,src=named,dst=/v", "--mount", "type=volume,dst=/anonymous", "--mount", f"type=bind,src={source},dst=/m"]
    assert "bind source path does not exist" in skiff("update", *good, *wrong, "box", code=1).err
    # A place that cannot be one is found out inside the container.
    assert "Not a directory" in skiff("update", *good, "--mount", f"type=bind,src={source},dst=/etc/passwd", "box", code=1).err
    assert mounts(skiff) == ([], []) and skiff("volume", "ls", "-q").lines == ["named"]
    assert not {"/v", "/m", "/anonymous"} & {line.split()[4] for line in box("cat", "/proc/1/mountinfo").lines}
    for place in ("/etc", "/proc", "/dev", "/sys/fs"):
        assert "would cover" in skiff("update", "--mount", f"type=tmpfs,dst={place}", "box", code=1).err
    assert "inside /proc" in skiff("update", "--mount", "type=tmpfs,dst=/proc/sys", "box", code=1).err
    assert "must be absolute" in skiff("update", "--mount-rm", "relative", "box", code=1).err


def test_a_stopped_container_has_them_at_its_next_start(skiff, source):
    skiff("create", "--name", "box", "-v", f"{source}:/old", "--tmpfs", "/t", "busybox", "sleep", "600")
    skiff("update", "--mount", f"type=bind,src={source},dst=/m", "--mount-rm", "/old", "--mount-rm", "/t", "box")
    [found] = json.loads(skiff("inspect", "box").out)
    assert not found["HostConfig"]["Binds"] and not found["HostConfig"]["Tmpfs"]
    skiff("start", "box")
    assert skiff("exec", "box", "sh", "-c", "cat /m/file; ls /old /t", code=None).lines == ["of the host"]


def test_owners_are_shown_as_asked_for(skiff, source):
    os.chown(source, 5000, 5000)
    skiff("run", "-d", "--name", "box", "-u", "1234", "busybox", "sleep", "600")
    skiff("update", "--mount", f"type=bind,src={source},dst=/m,idmap", "box")
    skiff("exec", "box", "touch", "/m/new")
    assert skiff("exec", "box", "stat", "-c", "%u", "/m", "/m/new").lines == ["1234"] * 2
    assert (source / "new").stat().st_uid == 5000


def test_exchanged_directories_lead_nowhere_else(skiff, box, source):
    """What the container moves about decides neither what is taken away nor what is covered."""
    masked = ["ls", "/proc/acpi", "/sys/firmware"]
    assert box(*masked).lines == ["/proc/acpi:", "", "/sys/firmware:"]
    skiff("update", "--mount", "type=tmpfs,dst=/x/acpi", "--mount", f"type=bind,src={source},dst=/y/firmware", "box")
    box("sh", "-c", "mv /x /x2; mv /y /y2; ln -s /proc /x; ln -s /sys /y")
    for path in ("/x/acpi", "/y/firmware"):
        assert "does not lead to the mount" in skiff("update", "--mount-rm", path, "--mount-rm-lazy", "box", code=1).err
    assert box(*masked).lines == ["/proc/acpi:", "", "/sys/firmware:"]
    assert "leads to /proc" in skiff("update", "--mount", "type=tmpfs,dst=/x/sys", "box", code=1).err
    # Links out of the root lead into it.
    box("ln", "-s", f"../../../..{source}", "/out")
    skiff("update", "--mount", "type=tmpfs,dst=/out/deep", "box")
    assert box("stat", "-c", "%n", f"{source}/deep").out and not (source / "deep").exists()
    # What is not in its place is not gone.
    box("rm", "/x", "/y")
    assert "does not lead to the mount" in skiff("update", "--mount-rm", "/y/firmware", "--mount-rm-lazy", "box", code=1).err
    box("sh", "-c", "mv /x2 /x; mv /y2 /y")
    skiff("update", "--mount-rm", "/x/acpi", "--mount-rm", "/y/firmware", "--mount-rm", "/out/deep", "box", code=None)


RACER = """
import ctypes, os, sys
rename, place = ctypes.CDLL(None).renameat2, os.open(sys.argv[1], os.O_PATH)
while rename(place, b"l", place, b"m", 2) == 0: pass
"""
SECONDS = 60 if os.environ.get("SKIFF_LONG_TESTS") else 2


def test_a_racing_container_stays_inside(skiff, engine, box, source):
    """A directory and a link to /proc are exchanged at full speed."""
    box("sh", "-c", "mkdir -p /w/l; ln -s /proc /w/m")
    racer = subprocess.Popen([sys.executable, "-c", RACER, f"/proc/{engine.pid_of('box')}/root/w"])
    (came, refused, astray), begin = (0, 0, 0), time.monotonic()
    try:
        while time.monotonic() < begin + SECONDS or not min(came, refused, astray) and time.monotonic() < begin + 60:
            answer = skiff("update", "--mount", f"type=bind,src={source},dst=/w/l/acpi", "box", code=None)
            if answer.code:
                assert "leads to /proc" in answer.err or "symbolic links" in answer.err, answer
                refused += 1
                continue
            came += 1
            while (answer := skiff("update", "--mount-rm", "/w/l/acpi", "--mount-rm-lazy", "box", code=None)).code:
                assert "does not lead to the mount" in answer.err or "symbolic links" in answer.err, answer
                astray += 1
    finally:
        running = racer.poll() is None
        racer.kill()
        racer.wait()
    assert running and came and refused and astray
    assert box("ls", "/proc/acpi").out == ""
    own = box("cat", "/proc/1/mountinfo").out
    assert str(source) not in own and own.count(" /proc/acpi ") == 1
    assert str(source) not in Path("/proc/self/mountinfo").read_text()


def test_nothing_lands_on_a_mount_that_the_host_shares(skiff, source):
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        (source / "x").mkdir()
        skiff("run", "-d", "--name", "box", "-v", f"{source}:/srv:rshared", "busybox", "sleep", "600")
        skiff("exec", "box", "ln", "-s", "/srv", "/data")
        for place in ("/data/x", "/srv/x"):
            assert "is in a shared mount" in skiff("update", "--mount", f"type=tmpfs,dst={place}", "box", code=1).err
        skiff("update", "--mount", "type=tmpfs,dst=/own", "box")
        assert f"{source}/x" not in Path("/proc/self/mountinfo").read_text()
    finally:
        subprocess.run(["umount", "-l", source], check=True)
