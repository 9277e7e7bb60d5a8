"""`cp`, both ways, through pipes, and never past the container's root."""

import io
import os
import tarfile

import pytest


@pytest.fixture(params=["running", "stopped"])
def box(request, engine):
    """A container, running or not: copying works the same."""
    script = "mkdir -p /d/sub && echo one > /d/one && echo two > /d/sub/two && ln -s one /d/link && chmod 750 /d && chown -R alice /d && touch /ready"
    if request.param == "running":
        engine.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", script + "; exec sleep 600")
    else:
        engine.docker("run", "--name", "box", "busybox", "sh", "-c", script)
    engine.docker("exec", "box", "sh", "-c", "until [ -e /ready ]; do usleep 10000; done", code=None)
    return "box"


def test_a_file_comes_out(cli, box, tmp_path):
    cli("cp", f"{box}:/d/one", tmp_path / "here")
    assert (tmp_path / "here").read_text() == "one\n"
    cli("cp", f"{box}:/d/one", tmp_path)
    assert (tmp_path / "one").read_text() == "one\n"


def test_a_directory_comes_out(cli, box, tmp_path):
    cli("cp", f"{box}:/d", tmp_path)
    assert (tmp_path / "d/sub/two").read_text() == "two\n" and os.readlink(tmp_path / "d/link") == "one"
    cli("cp", f"{box}:/d/.", tmp_path / "new")
    assert (tmp_path / "new/one").read_text() == "one\n"


def test_a_file_goes_in(cli, box, tmp_path):
    (tmp_path / "file").write_text("mine")
    cli("cp", tmp_path / "file", f"{box}:/d")
    cli("cp", tmp_path / "file", f"{box}:/d/renamed")
    assert read(cli, box, "/d/file") == read(cli, box, "/d/renamed") == b"mine"


def test_a_directory_goes_in(cli, box, tmp_path):
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_text("mine")
    cli("cp", tmp_path / "tree", f"{box}:/")
    assert read(cli, box, "/tree/deep/file") == b"mine"
    cli("cp", f"{tmp_path}/tree/.", f"{box}:/d")
    assert read(cli, box, "/d/deep/file") == b"mine"


def read(cli, box, path):
    with tarfile.open(fileobj=io.BytesIO(cli.binary("cp", f"{box}:{path}", "-"))) as tar:
        [member] = tar.getmembers()
        return tar.extractfile(member).read()


def test_dash_is_a_tar(cli, box):
    with tarfile.open(fileobj=io.BytesIO(cli.binary("cp", f"{box}:/d", "-"))) as tar:
        members = {member.name.rstrip("/"): member for member in tar}
    assert {"d", "d/one", "d/sub", "d/sub/two", "d/link"} == set(members)
    assert members["d"].uid == 1234 and members["d"].mode & 0o777 == 0o750
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("from-tar")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    cli("cp", "-", f"{box}:/d", input=buffer.getvalue())
    assert read(cli, box, "/d/from-tar") == b"abc"


def test_what_is_missing_is_named(cli, box, tmp_path):
    assert "/nosuch" in cli("cp", f"{box}:/nosuch", tmp_path, code=1).err
    assert "no such container" in cli("cp", "nosuch:/x", tmp_path, code=1).err.lower()
    assert cli("cp", tmp_path / "none", f"{box}:/", code=1).err.strip()
    (tmp_path / "file").write_text("x")
    assert cli("cp", tmp_path / "file", f"{box}:/nosuch/dir/", code=1).err.strip()


def test_links_in_the_container_stay_in_the_container(cli, engine, tmp_path):
    """Links that point to the host's files, as absolute paths or with `..`, lead to the container's."""
    canary = tmp_path / "canary"
    canary.write_text("host")
    engine.docker("run", "--name", "evil", "busybox", "sh", "-c",
                  f"ln -s {tmp_path} /absolute; ln -s ../../../../../../..{tmp_path} /relative; ln -s /etc/passwd /etc-link")
    for link in ("absolute", "relative"):
        (tmp_path / "in").write_text("in")
        cli("cp", tmp_path / "in", f"evil:/{link}/canary", code=None)
        assert canary.read_text() == "host"
        assert cli("cp", f"evil:/{link}/canary", tmp_path / "out", code=None).code != 0
    cli("cp", "-L", "evil:/etc-link", tmp_path / "passwd")
    assert "alice" in (tmp_path / "passwd").read_text()


def test_a_tar_with_tricks_stays_in_the_container(cli, box, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("host")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        for name in ("link/canary", f"../../../../../../..{canary}", str(canary)):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    cli("cp", "-", f"{box}:/d", input=buffer.getvalue(), code=None)
    assert canary.read_text() == "host"


def test_copying_reaches_volumes(cli, engine, tmp_path):
    engine.docker("run", "-d", "--name", "box", "-v", "kept:/data", "-v", f"{tmp_path}:/host:ro", "busybox", "sleep", "600")
    (tmp_path / "file").write_text("mine")
    cli("cp", tmp_path / "file", "box:/data/file")
    assert cli("run", "--rm", "-v", "kept:/data", "busybox", "cat", "/data/file").out == "mine"
    assert read(cli, "box", "/host/file") == b"mine"
    assert cli("cp", tmp_path / "file", "box:/host/no", code=1).err.strip()
    assert not (tmp_path / "no").exists()
