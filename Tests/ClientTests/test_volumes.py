"""Volumes: named ones stay, anonymous ones go with their container."""

import json
import os

import pytest


@pytest.fixture
def image(engine, context):
    """Declares a volume whose place has content already."""
    directory = context({"Dockerfile": "FROM busybox\nRUN mkdir /data && echo first > /data/file && chown -R alice /data && chmod 750 /data\nVOLUME /data\n"})
    engine.docker("build", "-q", "-t", "holds-data", directory)
    return "holds-data"


def test_a_named_volume_outlives_its_container(cli):
    assert cli("volume", "create", "kept").line == "kept"
    cli("run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo x > /data/file")
    assert cli("run", "--rm", "--mount", "type=volume,source=kept,target=/other", "busybox", "cat", "/other/file").out == "x\n"
    assert cli("run", "--rm", "-v", "kept:/data:ro", "busybox", "touch", "/data/no", code=1)
    assert cli("volume", "ls", "-q").lines == ["kept"]
    [volume] = json.loads(cli("volume", "inspect", "kept").out)
    assert volume["Driver"] == "local" and volume["Mountpoint"].endswith("/kept/_data")
    assert cli("volume", "rm", "kept").line == "kept"
    assert "no such volume" in cli("volume", "inspect", "kept", code=1).err.lower()
    assert "conflicting options" in cli("volume", "create", "--name", "kept", "other", code=1).err


def test_a_volume_in_use_is_kept(cli):
    cli("create", "--name", "user", "-v", "kept:/data", "busybox")
    assert "volume is in use" in cli("volume", "rm", "kept", code=1).err
    cli("rm", "user")
    cli("volume", "rm", "kept")


def test_what_the_image_has_there_is_copied_once(cli, image):
    assert cli("run", "--rm", "-v", "kept:/data", image, "sh", "-c", "cat /data/file; stat -c '%a %U' /data").lines == ["first", "750 alice"]
    cli("run", "--rm", "-v", "kept:/data", image, "sh", "-c", "echo second > /data/file")
    assert cli("run", "--rm", "-v", "kept:/data", image, "cat", "/data/file").out == "second\n"
    assert cli("run", "--rm", "--mount", "type=volume,source=plain,target=/data,volume-nocopy", image, "ls", "/data").out == ""


def test_an_anonymous_volume_goes_with_rm(cli, image):
    cli("run", "--name", "box", image, "true")
    [mount] = json.loads(cli("inspect", "box").out)[0]["Mounts"]
    assert mount["Type"] == "volume" and mount["Destination"] == "/data" and len(mount["Name"]) == 64
    assert cli("volume", "ls", "-q").lines == [mount["Name"]]
    cli("rm", "box")
    assert cli("volume", "ls", "-q").lines == [mount["Name"]]
    cli("volume", "prune", "-f")
    cli("run", "--rm", image, "true")
    assert cli("volume", "ls", "-q").out == ""
    cli("run", "--name", "box", image, "true")
    cli("rm", "-v", "box")
    assert cli("volume", "ls", "-q").out == ""


def test_rm_keeps_named_volumes(cli):
    cli("run", "--rm", "-v", "kept:/data", "busybox", "true")
    assert cli("volume", "ls", "-q").lines == ["kept"]


def test_two_containers_share_one(cli):
    cli("run", "-d", "--name", "writer", "-v", "shared:/data", "busybox", "sh", "-c", "echo there > /data/x; exec sleep 600")
    assert cli("run", "--rm", "--volumes-from", "writer", "busybox", "sh", "-c",
               "until [ -s /data/x ]; do usleep 10000; done; cat /data/x").out == "there\n"


@pytest.mark.parametrize("name", ["../up", "a/b", "-a", ".", "ä", "x" * 4096, "a\0b", "a b"])
def test_names_that_cannot_be_are_refused(engine, name):
    answer = engine.client.api.post(engine.client.api.base_url + "/v1.44/volumes/create", json={"Name": name})
    assert answer.status_code == 400, answer.text
    assert engine.docker("volume", "ls", "-q").out == ""


@pytest.mark.parametrize("target", ["/", "relative", "/.."])
def test_targets_that_cannot_be_are_refused(cli, target):
    assert cli("create", "-v", f"kept:{target}", "busybox", code=None).code != 0


# -- owners

SHOW = "stat -c %u:%g /m /m/old; echo new > /m/new; stat -c %u:%g /m/new"


@pytest.fixture
def owned(tmp_path):
    """A directory with a file that belong to somebody of the host."""
    place = tmp_path / "owned"
    place.mkdir()
    (place / "old").write_text("old")
    for path in (place, place / "old"): os.chown(path, 5000, 6000)
    return place


def owner(path):
    return path.stat().st_uid, path.stat().st_gid


def test_a_bind_belongs_to_the_user_of_the_container(cli, owned):
    """`idmap`: whoever owns the source is the container's user, and on disk nothing changes."""
    flags = ["-v", f"{owned}:/m:idmap"] if cli.name == "docker" else ["--mount", f"type=bind,src={owned},dst=/m,idmap"]
    assert cli("run", "--rm", "-u", "1234:50", *flags, "busybox", "sh", "-c", SHOW).lines == ["1234:50"] * 3
    assert {owner(path) for path in (owned, *owned.iterdir())} == {(5000, 6000)}
    # For a container of root as well; the other way round root's own files are the owner's.
    os.chown(owned / "new", 0, 0)
    assert cli("run", "--rm", *flags, "busybox", "stat", "-c", "%u:%g", "/m/old", "/m/new").lines == ["0:0", "5000:6000"]
    assert cli("run", "--rm", "-v", f"{owned}:/m:ro", "busybox", "stat", "-c", "%u", "/m").line == "5000"


def test_files_are_copied_to_their_owners(skiff, owned, tmp_path):
    """`cp` into a container that does not run shows owners as its processes would see them."""
    skiff("create", "--name", "box", "-u", "1234", "--mount", f"type=bind,src={owned},dst=/m,idmap", "-v", "plain:/m/plain", "busybox", "sleep", "600")
    (tmp_path / "new").write_text("new")
    os.chown(tmp_path / "new", 1234, 0)
    skiff("cp", "-a", tmp_path / "new", "box:/m/new")
    assert owner(owned / "new")[0] == 5000
    skiff("cp", "-a", "box:/m/new", tmp_path / "back")
    assert owner(tmp_path / "back")[0] == 1234
    skiff("cp", tmp_path / "new", "box:/m/plain/new")
    assert not (owned / "plain" / "new").exists()


def test_nobody_becomes_root_on_disk(skiff, owned):
    """Who can put a link of his own in the place of the source would have root's files written by the user of a container."""
    os.chown(owned, 0, 0)
    refused = skiff("run", "--rm", "-u", "1234", "--mount", f"type=bind,src={owned},dst=/m,idmap", "busybox", "true", code=125).err
    assert f"idmap: {owned} belongs to root" in refused


def test_tables_of_owners(skiff, owned):
    mount = f"type=bind,src={owned},dst=/m,idmap=uids=5000-100-1#0-0-1;gids=6000-200-1"
    assert skiff("run", "--rm", "--mount", mount, "busybox", "stat", "-c", "%u:%g", "/m", "/m/old").lines == ["100:200"] * 2
    os.chown(owned / "old", 7000, 7000)
    assert skiff("run", "--rm", "--mount", mount, "busybox", "stat", "-c", "%u:%g", "/m/old").line == "65534:65534"


def test_a_volume_belongs_to_each_of_its_users(skiff):
    for user in ("1234:50", "4321:99"):
        shown = skiff("run", "--rm", "-u", user, "--mount", "type=volume,src=shared,dst=/m,idmap", "busybox", "sh", "-c",
                      "echo x >> /m/file; stat -c %u:%g /m /m/file").lines
        assert shown == [user] * 2
    part = "type=volume,src=shared,dst=/m,volume-subpath=part,idmap"
    skiff("run", "--rm", "-v", "shared:/m", "busybox", "mkdir", "/m/part")
    # Who may exchange the part for another directory would have root's files written.
    assert "belongs to root" in skiff("run", "--rm", "-u", "1234", "--mount", part, "busybox", "true", code=125).err
    skiff("run", "--rm", "-v", "shared:/m", "busybox", "chown", "5000:6000", "/m/part")
    for user in ("1234:50", "4321:99"):
        shown = skiff("run", "--rm", "-u", user, "--mount", part, "busybox", "sh", "-c",
                      "echo x >> /m/file; stat -c %u:%g /m /m/file").lines
        assert shown == [user] * 2
    assert skiff("run", "--rm", "-v", "shared:/m", "busybox", "stat", "-c", "%u:%g", "/m/part", "/m/part/file").lines == ["5000:6000"] * 2


@pytest.mark.parametrize("spec, message", [
    ("type=bind,src=/tmp,dst=/m,idmap=nonsense", "invalid idmap 'nonsense'"),
    ("type=bind,src=/tmp,dst=/m,idmap=uids=0-1", "invalid idmap 'uids=0-1'"),
    ("type=bind,src=/tmp,dst=/m,idmap=uids=0-1-5#3-9-1", "an id is there twice"),
    ("type=bind,src=/tmp,dst=/m,idmap=uids=4294967295-0-1", "invalid idmap"),
    ("type=tmpfs,dst=/m,idmap", "idmap is for binds and volumes"),
])
def test_owners_that_cannot_be_mapped_are_refused(skiff, spec, message):
    assert message in skiff("create", "--mount", spec, "busybox", code=1).err
    assert skiff("volume", "ls", "-q").out == ""


def test_a_file_system_that_cannot_map_owners_says_so(skiff):
    refused = skiff("run", "--rm", "--mount", "type=bind,src=/proc/sys,dst=/m,idmap=uids=0-1234-1", "busybox", "true", code=125).err
    assert "idmap: the file system cannot show other owners" in refused
    assert skiff("ps", "-aq").out == ""
