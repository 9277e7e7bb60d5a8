"""Volumes: named ones stay, anonymous ones go with their container."""

import json

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
