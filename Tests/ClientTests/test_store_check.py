"""`skiff system check`: what a crash or a bad disk did to the store is named, and mended where nothing is lost by it."""

import json
import random
import subprocess
import time

from waiting import wait_for


def check(engine, *options, code=0):
    return engine.skiff("system", "check", *options, code=code)


def layer(engine, name="busybox"):
    [digest] = engine.client.api.inspect_image(name)["RootFS"]["Layers"]
    return engine.data_root / "layers" / digest.removeprefix("sha256:"), digest


def test_a_store_that_is_whole_is_said_to_be(own_engine):
    engine = own_engine()
    assert "all whole" in check(engine).err and check(engine).out == ""
    assert check(engine, "--format", "json").out == ""


def test_a_flipped_bit_is_found_and_mended_by_loading_again(own_engine):
    engine = own_engine()
    saved = engine.docker.binary("save", "busybox")
    place, digest = layer(engine)
    with open(place / "diff/etc/passwd", "r+b") as file:
        file.write(b"R")
    found = check(engine, code=1)
    assert "layer damaged" in found.out and digest in found.out and "busybox" in found.out and "1 defects" in found.err
    [defect] = [json.loads(line) for line in check(engine, "--format", "json", code=1).out.splitlines()]
    assert defect["Subject"] == digest and defect["Repaired"] == "false"
    check(engine, "--repair", code=1)
    assert engine.skiff("run", "--rm", "busybox", "echo", "runs").out == "runs\n", "what is damaged is still there"
    engine.docker("load", input=saved)
    assert "all whole" in check(engine).err
    assert engine.docker.binary("save", "busybox") == saved


def test_a_container_that_lost_its_files_is_named(own_engine):
    engine = own_engine()
    saved = engine.docker.binary("save", "busybox")
    identity = engine.docker("create", "--name", "hollow", "-v", "lost:/v", "busybox").line
    place, digest = layer(engine)
    place.rename(engine.data_root / "elsewhere")
    (engine.data_root / "volumes/lost/_data").rmdir()
    text = check(engine, code=1).out
    assert "layer missing" in text and "container broken" in text and "hollow" in text and "volume broken" in text
    assert "is missing" in engine.docker("start", "hollow", code=1).err or "no such file" in engine.docker("start", "hollow", code=1).err.lower()
    (engine.data_root / "volumes/lost/_data").mkdir()
    engine.docker("load", input=saved)
    assert "all whole" in check(engine).err
    engine.docker("start", "hollow")


def test_an_engine_that_is_killed_while_it_loads_leaves_a_whole_store(own_engine, tmp_path, context):
    engine = own_engine()
    engine.docker("build", "-q", "-t", "large", context({"Dockerfile": "FROM busybox\nRUN mkdir /m && for i in $(seq 2000); do echo $i > /m/$i; done\n"}))
    archive = tmp_path / "large.tar"
    engine.docker("save", "-o", archive, "large")
    engine.docker("rmi", "large")
    engine.docker("builder", "prune", "-af")
    chance = random.Random(7)
    for _ in range(8):
        load = engine.docker.start("load", "-i", archive)
        # Somewhere in the middle: sometimes before the first byte, sometimes after the last.
        wait_for(lambda: load.poll() is not None or any((engine.data_root / "tmp").iterdir()), "the load to begin")
        until = time.monotonic() + chance.random() * 0.5
        wait_for(lambda: time.monotonic() > until, "a moment")
        engine.restart()
        load.wait(20)
        load.stdout.close()
        assert "all whole" in check(engine).err
        assert not any((engine.data_root / "tmp").iterdir())
    engine.docker("load", "-i", archive)
    assert engine.docker("run", "--rm", "large", "cat", "/m/2000").out == "2000\n"


def test_images_may_come_and_go_while_the_store_is_checked(own_engine, tmp_path):
    engine = own_engine()
    saved = engine.docker.binary("save", "busybox")
    checking = [engine.skiff.start("system", "check", "--repair", stderr=subprocess.PIPE) for _ in range(3)]
    while any(process.poll() is None for process in checking):
        engine.docker("rmi", "busybox")
        engine.docker("load", input=saved)
    for process in checking:
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)


def test_pruning_never_takes_what_is_being_made(own_engine, context):
    """Builds and loads go on while everything that nobody needs is removed over and over."""
    engine = own_engine()
    saved = engine.docker.binary("save", "busybox")
    engine.docker("create", "--name", "holder", "busybox")
    build = context({"Dockerfile": "FROM busybox\n" + "".join(f"RUN echo {step} > /{step}\n" for step in range(6))})
    for turn in range(2):
        making = engine.docker.start("build", "--no-cache", "-t", "made", build)
        while making.poll() is None:
            engine.skiff("image", "prune", "-f")
            engine.skiff("builder", "prune", "-af")
            engine.docker("load", input=saved)
        assert making.returncode == 0, making.communicate()[0].decode()
        making.stdout.close()
        assert engine.docker("run", "--rm", "made", "cat", "/0", "/5").out == "0\n5\n"
        engine.docker("rmi", "made")
    assert "all whole" in check(engine).err


def test_what_is_different_in_another_image_is_shown(skiff, context):
    first = "Package: boat\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n\n"
    directory = context({
        "Dockerfile": "FROM busybox AS one\nCOPY status /var/lib/dpkg/status\nRUN echo a > /a && echo b > /b\n"
        "FROM one AS two\nCOPY status2 /var/lib/dpkg/status\nRUN rm /a && echo longer > /b && chmod 600 /etc/passwd && mkdir /new && echo n > /new/n\n",
        "status": first, "status2": first.replace("1.0", "2.0") + first.replace("boat", "oar")})
    for target in ("one", "two"):
        skiff("build", "-q", "--target", target, "-t", target, directory)
    text = skiff("image", "diff", "one", "two").out
    rows = [line.split() for line in text.splitlines()]
    assert ["D", "-", "2B", "/a"] in rows and ["C", "7B", "2B", "/b", "content"] in rows
    assert ["A", "2B", "-", "/new/n"] in rows and any(row[-2:] == ["/etc/passwd", "mode"] for row in rows)
    assert ["C", "boat", "1.0", "2.0"] in rows and ["A", "oar", "-", "1.0"] in rows
    difference = json.loads(skiff("image", "diff", "--format", "json", "one", "two").out)
    assert {package["Name"]: package["Kind"] for package in difference["Packages"]} == {"boat": "changed", "oar": "added"}
    assert json.loads(skiff("image", "diff", "--format", "json", "two", "two").out)["Files"] == []
    assert "no such image" in skiff("image", "diff", "one", "nosuch", code=1).err.lower()
    skiff("rmi", "one", "two")
