"""A power cut: what a disk holds at that moment, without what only memory held, is a store that is whole.

The disk is a file behind a loop device. What the kernel has not yet written to the device is not in the file, so a copy of
the file is what a machine would find after the cut.
"""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def mounted(disk, place):
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = tmp_path / "disk"
    with open(disk, "wb") as file:
        file.truncate(200 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    return disk


def after_the_cut(disk, tmp_path, own_engine, look):
    copy = tmp_path / "found"
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    with mounted(copy, tmp_path / "later") as place:
        engine = own_engine(data_root=place / "data", image=False)
        look(engine)
        engine.stop()


@pytest.mark.parametrize("how", ["import", "load", "build"])
def test_an_image_that_was_acknowledged_is_whole(disk, tmp_path, own_engine, context, how):
    with mounted(disk, tmp_path / "now") as place:
        engine = own_engine(data_root=place / "data")
        name = "busybox"
        if how == "load":
            archive = engine.docker.binary("save", name)
            engine.docker("rmi", name)
            engine.docker("load", input=archive)
        elif how == "build":
            name = "built"
            engine.docker("build", "-t", name, context({"Dockerfile": "FROM busybox\nRUN echo made > /made\n"}))

        def look(later):
            later.docker("save", "-o", tmp_path / "saved", name)
            assert later.docker("run", "--rm", name, "echo", "whole").out == "whole\n"

        after_the_cut(disk, tmp_path, own_engine, look)
        engine.stop()


def test_an_image_that_was_removed_leaves_no_half(disk, tmp_path, own_engine):
    with mounted(disk, tmp_path / "now") as place:
        engine = own_engine(data_root=place / "data")
        subprocess.run(["sync", "-f", place], check=True)
        engine.docker("rmi", "busybox")

        def look(later):
            assert later.docker("images", "-aq").lines == []
            assert "missing" not in later.log.read_text() and "cannot be read" not in later.log.read_text()

        after_the_cut(disk, tmp_path, own_engine, look)
        engine.stop()
