"""No space left: a clear message, an engine that goes on, and room again when things are removed."""

import io
import subprocess
import tarfile

import pytest


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    if request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place], check=True)
    else:
        image = tmp_path / "disk"
        with open(image, "wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def cramped(small_disk, own_engine):
    """An engine whose data root is that disk."""
    return own_engine(data_root=small_disk / "data")


def test_a_full_disk_is_said_and_survived(cramped, context):
    docker, skiff = cramped.docker, cramped.skiff
    fill = "dd if=/dev/zero of=/big bs=1M count=60"
    assert "No space left on device" in docker("run", "--name", "filler", "busybox", "sh", "-c", fill, code=1).err
    assert "no space left on device" in docker("build", "-t", "never", context({"Dockerfile": "FROM busybox\nCOPY f /f\n", "f": "x" * 3_000_000}), code=1).all.lower()
    create = skiff("run", "--rm", "busybox", "true", code=None)
    assert create.code == 0 or "disk is full" in create.err or "no space left on device" in create.err.lower(), create
    assert cramped.client.ping() and docker("ps", "-a", "--format", "{{.Names}}").lines == ["filler"]
    cramped.restart()
    assert docker("ps", "-a", "--format", "{{.Names}}").lines == ["filler"]
    docker("rm", "-f", "filler")
    assert skiff("run", "--rm", "busybox", "echo", "room").out == "room\n"


def test_a_build_that_fills_the_disk_leaves_room(cramped, context):
    for cli in cramped.commands.values():
        directory = context({"Dockerfile": "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=60\n"})
        failed = cli("build", "-t", "never", directory, code=None)
        assert failed.code != 0 and "No space left on device" in failed.all and "non-zero code: 1" in failed.all
        assert cli("images", "-q", "never").out == ""
        build = context({"Dockerfile": "FROM busybox\nRUN dd if=/dev/zero of=/ok bs=1M count=5 2>/dev/null && ls -s /ok\n"}, "second")
        assert cli("build", "--no-cache", "-t", "fits", build).code == 0
        cli("rmi", "fits")
        cli("builder", "prune", "-af", code=None)


def test_an_import_of_more_than_fits_is_refused(cramped, tmp_path):
    """A layer that is larger than the disk."""
    big = tmp_path / "big.tar"
    with tarfile.open(big, "w") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 40 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    failed = cramped.docker("import", big, "big:1", code=1)
    assert "no space left on device" in failed.err.lower()
    assert cramped.docker("run", "--rm", "busybox", "echo", "fine").out == "fine\n"
    assert cramped.docker("images", "-q", "big").out == ""
