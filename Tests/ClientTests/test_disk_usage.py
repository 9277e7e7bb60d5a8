"""`system df` says what `du` says, and pruning gives the room back at once."""

import json
import re
import subprocess

import pytest


def du(path):
    return int(subprocess.run(["du", "-s", "-B1", path], check=True, capture_output=True, text=True).stdout.split()[0])


def close(one, other):
    return abs(one - other) <= max(one, other) * 0.01


@pytest.fixture
def used(own_engine, context):
    """An engine with images that share layers, a container, a volume and steps of a build that no image has."""
    engine = own_engine()
    docker = engine.docker
    many = "RUN mkdir /many && for i in $(seq 300); do echo $i > /many/$i; done && ln /many/1 /many/hard && dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null\n"
    docker("build", "-t", "many", context({"Dockerfile": "FROM busybox\n" + many}))
    docker("build", "-t", "more", context({"Dockerfile": "FROM busybox\n" + many + "RUN dd if=/dev/zero of=/more bs=1M count=2 2>/dev/null\n"}, "more"))
    docker("build", "-t", "gone", context({"Dockerfile": "FROM many\nRUN dd if=/dev/zero of=/gone bs=1M count=4 2>/dev/null\n"}, "gone"))
    docker("rmi", "gone")
    docker("run", "--name", "writer", "-v", "kept:/v", "many", "sh", "-c", "cp -r /many /copy; ln /copy/1 /copy/hard; cp /big /v/big; ln /v/big /v/hard")
    return engine


def test_df_is_what_du_says(used):
    usage = used.client.df()
    layers = used.data_root / "layers"
    images = {hex for image in used.client.api.images() for hex in layer_names(used, image["Id"])}
    assert close(usage["LayersSize"], sum(du(layers / name) for name in images))
    cache = sum(entry["Size"] for entry in usage["BuildCache"] if not entry["Shared"])
    assert cache > 4 << 20 and close(usage["LayersSize"] + cache, du(layers) - du(layers / "empty"))
    [container] = usage["Containers"]
    assert close(container["SizeRw"], du(used.data_root / "containers" / container["Id"] / "upper"))
    [volume] = usage["Volumes"]
    assert close(volume["UsageData"]["Size"], du(used.data_root / "volumes/kept/_data")) and volume["UsageData"]["RefCount"] == 1
    for image in usage["Images"]:
        own = sum(du(layers / name) for name in layer_names(used, image["Id"]))
        assert close(image["Size"], own) and 0 < image["SharedSize"] <= image["Size"]
        assert image["Containers"] == (1 if image["RepoTags"] == ["many:latest"] else 0)


def layer_names(engine, image):
    return [digest.removeprefix("sha256:") for digest in engine.client.api.inspect_image(image)["RootFS"]["Layers"]]


def test_df_has_dockers_columns(used):
    for cli in used.commands.values():
        assert [line.split()[0] for line in cli("system", "df").lines] == ["TYPE", "Images", "Containers", "Local", "Build"]
        text = cli("system", "df", "-v").out
        for header in ("SHARED SIZE", "UNIQUE SIZE", "LINKS", "LAST USED", "USAGE", "SHARED"):
            assert header in text, f"{cli}: {header}"
        assert "kept" in text and "writer" in text
    rows = [json.loads(line) for line in used.skiff("system", "df", "--format", "json").lines]
    assert [row["Type"] for row in rows] == ["Images", "Containers", "Local Volumes", "Build Cache"]


@pytest.mark.parametrize("name", ["docker", "skiff"])
def test_pruning_gives_the_room_back_at_once(used, name):
    cli, data = used.commands[name], used.data_root
    before = du(data / "layers")
    cli("builder", "prune", "-f")
    assert before - du(data / "layers") > 4 << 20
    cli("builder", "prune", "-af")
    before = du(data / "layers")
    answer = used.client.images.prune(filters={"dangling": False})
    assert close(answer["SpaceReclaimed"], before - du(data / "layers")) and answer["SpaceReclaimed"] > 2 << 20
    said = cli("system", "prune", "-af", "--volumes").out
    assert "Deleted Containers:" in said and "Total reclaimed space:" in said
    assert cli("images", "-q").lines == [] and used.client.df()["LayersSize"] == 0
    assert du(data / "layers") < 64 << 10 and du(data / "containers") < 64 << 10


def test_both_clients_say_the_same_when_pruning(own_engine, context):
    said = {}
    for name in ("docker", "skiff"):
        engine = own_engine()
        engine.docker("build", "-q", "-t", "a", context({"Dockerfile": "FROM busybox\nRUN echo a > /a\nLABEL x=1\n"}))
        engine.docker("rmi", "a")
        said[name] = engine.commands[name]("image", "prune", "-af").out
        said[name] = re.sub("[0-9a-f]{64}", "<digest>", said[name])
    assert said["docker"] == said["skiff"] != ""


def test_images_are_pruned_by_label_and_age(cli, context):
    for label in ("keep", "drop"):
        cli("build", "-q", "-t", label, context({"Dockerfile": f"FROM busybox\nLABEL {label}=1\n"}, label))
    cli("image", "prune", "-af", "--filter", "until=24h", "--filter", "label=drop")
    assert cli("images", "-q", "drop").lines
    cli("image", "prune", "-af", "--filter", "label=drop", "--filter", "until=2099-01-01")
    assert cli("images", "-q", "drop").lines == [] and cli("images", "-q", "keep").lines
    cli("image", "prune", "-af", "--filter", "label!=keep", "--filter", "label=keep")
    assert cli("images", "-q", "keep").lines
    assert "as a time or duration" in cli("image", "prune", "-af", "--filter", "until=yesterday", code=1).err
    cli("rmi", "keep")
    assert cli("images", "-q", "busybox").lines


def test_images_are_listed_by_age(cli):
    assert cli("images", "-q", "--filter", "until=2099-01-01T00:00:00", "busybox").lines
    assert cli("images", "-q", "--filter", "until=1h", "--filter", "reference=busybox").lines == []


def test_the_last_use_of_an_image_is_noted(skiff, context):
    skiff("build", "-q", "-t", "fresh", context({"Dockerfile": "FROM busybox\nLABEL fresh=1\n"}))
    used = ["image", "inspect", "-f", "{{.Metadata.LastUsedTime}}", "fresh"]
    assert skiff(*used, code=None).out.strip() in ("", "<no value>")
    skiff("create", "fresh")
    assert skiff(*used).line.startswith("20")
    skiff("rm", skiff("ps", "-aqn1").line)
    skiff("rmi", "fresh")
