"""Caches of builds that come from elsewhere and go elsewhere: registries, folders, images."""

import json
import shutil
import urllib.request

import pytest

from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from test_registry import registry  # noqa: F401
from web import free_port

UNIQUE = "cat /proc/sys/kernel/random/uuid"
CONFIG = "application/vnd.buildkit.cacheconfig.v0"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def project(context):
    """A step of each kind; no two runs of its commands give the same."""
    return context({
        "Dockerfile": f"FROM busybox AS one\nWORKDIR /w\nRUN {UNIQUE} > one\nFROM busybox\nENV A=b\nCOPY f /f\nCOPY --from=one /w/one /one\nRUN {UNIQUE} > /two\nCMD [\"cat\", \"/one\", \"/two\"]\n",
        "f": "F"})


def forget(cli, *images):
    """All that builds have left here."""
    for image in images or ["built"]:
        cli("rmi", "-f", image)
    cli("builder", "prune", "-af")


def manifest_of(registry, name, kind=MANIFEST):
    request = urllib.request.Request(f"http://{registry.host}/v2/{name}", headers={"Accept": kind})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def commands(said):
    return said.count("Running in")


def test_a_cache_in_a_registry(skiff, registry, project):
    where = f"type=registry,ref={registry.host}/cache:all"
    assert commands(build(skiff, project, "--cache-to", f"{where},mode=max").out) == 2
    first = run(skiff)
    manifest = manifest_of(registry, "cache/manifests/all")
    assert manifest["mediaType"] == MANIFEST and manifest["config"]["mediaType"] == CONFIG
    document = manifest_of(registry, f"cache/blobs/{manifest['config']['digest']}")
    assert [layer["blob"] for layer in document["layers"]] == [layer["digest"] for layer in manifest["layers"]]
    assert len(document["layers"]) == 5 and all(record["digest"].startswith("sha256:") for record in document["records"])
    forget(skiff)
    again = build(skiff, project, "--cache-from", where).out
    assert commands(again) == 0 and again.count("Importing") == 5 and again.count("CACHED") == 7
    assert run(skiff) == first
    # A plain name is the registry's. What was imported serves nobody who does not name the cache.
    assert build(skiff, project, "--cache-from", f"{registry.host}/cache:all").out.count("Importing") == 0
    skiff("rmi", "built")
    assert commands(build(skiff, project).out) == 2
    assert run(skiff) != first


def test_the_result_alone_with_zstd(skiff, registry, project):
    where = f"{registry.host}/cache:min"
    build(skiff, project, "--cache-to", f"type=registry,ref={where},compression=zstd")
    first = run(skiff)
    layers = manifest_of(registry, "cache/manifests/min")["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    # How a cache was packed says nothing of how an image is.
    skiff("tag", "built", f"{registry.host}/cache:image")
    skiff("push", f"{registry.host}/cache:image")
    layers = manifest_of(registry, "cache/manifests/image", "application/vnd.docker.distribution.manifest.v2+json")["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}
    forget(skiff, "built", f"{registry.host}/cache:image")
    # The first stage is not in it, and gives something else.
    again = build(skiff, project, "--cache-from", where).out
    assert commands(again) == 2 and again.count("Importing") == 1
    assert run(skiff) != first
    forget(skiff)


def test_a_cache_in_a_folder(skiff, project, tmp_path):
    folder = tmp_path / "cache"
    # Before there is one, it is told and nothing else.
    first = build(skiff, project, "--cache-from", f"type=local,src={folder}", "--cache-to", f"type=local,dest={folder},mode=max")
    assert "local cache import at" in first.err
    said = run(skiff)
    index = json.loads((folder / "index.json").read_text())
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "latest"}
    # Written again over itself it is still one, and what it had before is gone. Another tag stays beside it.
    before = {blob.name for blob in (folder / "blobs/sha256").iterdir()}
    build(skiff, project, "--cache-to", f"type=local,dest={folder},mode=max,compression=uncompressed")
    after = {blob.name for blob in (folder / "blobs/sha256").iterdir()}
    assert len(after) == len(before) and not after & before
    build(skiff, project, "--cache-to", f"type=local,dest={folder},tag=other")
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    assert sorted(entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries) == ["latest", "other"]
    assert after < {blob.name for blob in (folder / "blobs/sha256").iterdir()}
    assert sorted(place.name for place in folder.iterdir()) == ["blobs", "index.json", "oci-layout"]
    assert "it has no gone" in build(skiff, project, "--cache-from", f"type=local,src={folder},tag=gone").out
    forget(skiff)
    assert commands(build(skiff, project, "--cache-from", f"type=local,src={folder}").out) == 0
    assert run(skiff) == said
    # Layers with another content are refused, and so are documents.
    forget(skiff)
    blobs = sorted((folder / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    for blob in blobs:
        if not blob.read_bytes().startswith(b"{"):
            blob.write_bytes(blob.read_bytes()[:-20] + b"x" * 20)
    spoilt = build(skiff, project, "--cache-from", f"type=local,src={folder}").out
    assert commands(spoilt) == 2 and "[Warning] cache folder is not used any further: " in spoilt
    assert run(skiff) != said
    for blob in blobs:
        blob.write_bytes(b'{"a": 1}')
    assert "[Warning] cache folder is not used: " in build(skiff, project, "--no-cache-filter", "one", "--cache-from", f"type=local,src={folder}").out
    shutil.rmtree(folder / "blobs")
    (folder / "blobs").symlink_to("/etc")
    assert "[Warning] cache folder is not used: " in build(skiff, project, "--cache-from", f"type=local,src={folder}").out


def test_a_cache_in_the_image(cli, registry, context):
    project = context({"Dockerfile": f"FROM busybox\nENV A=b\nRUN {UNIQUE} > /two\nCMD [\"cat\", \"/two\"]\n"})
    name = f"{registry.host}/inline/{cli.name}"
    option = ["--cache-to", "type=inline"] if cli.name == "skiff" else ["--build-arg", "BUILDKIT_INLINE_CACHE=1"]
    build(cli, project, *option, tag=name)
    first = run(cli, image=name)
    cli("push", name)
    forget(cli, name)
    build(cli, project, "--cache-from", name)
    assert run(cli) == first
    # An image on it has its own history only, and one that is here is looked at before the registry.
    forget(cli)
    cli("pull", name)
    (project / "Dockerfile").write_text((project / "Dockerfile").read_text() + "LABEL c=d\n")
    assert commands(build(cli, project, "--cache-from", name).out) == 0
    assert run(cli) == first
    child = context({"Dockerfile": f"FROM {name}\nLABEL e=f\n"}, "child")
    build(cli, child, tag="child")
    saved = cli.binary("save", "child")
    assert b"moby.buildkit.cache.v0" not in saved


def test_cache_mounts_go_along_when_they_are_asked_for(skiff, context, tmp_path):
    def text(command):
        return f"FROM busybox\nRUN --mount=type=cache,target=/c,uid=1234,mode=700 {command}\n"

    project, folder = context({"Dockerfile": text("mkdir /c/d && echo kept > /c/d/f && chown 7:8 /c/d/f")}), tmp_path / "cache"
    build(skiff, project, "--cache-to", f"type=local,dest={folder},mode=max,mounts=true")
    (project / "Dockerfile").write_text(text("echo found: $(cat /c/d/f; stat -c %u:%g /c/d/f; stat -c %u:%a /c)"))
    for option, found in ((",mounts=true", "found: kept 7:8 1234:700\n"), ("", "found: 1234:700\n")):
        forget(skiff)
        assert found in build(skiff, project, "--cache-from", f"type=local,src={folder}{option}").out


def test_a_cache_that_is_no_cache(skiff, registry, context):
    project = context({"Dockerfile": "FROM busybox\nRUN echo here > /f\n"})
    skiff("tag", "busybox", f"{registry.host}/plain")
    skiff("push", f"{registry.host}/plain")
    skiff("rmi", f"{registry.host}/plain")
    said = build(skiff, project, "--cache-from", f"type=registry,ref={registry.host}/plain", "--cache-from", f"127.0.0.1:{free_port()}/gone").out
    assert f"[Warning] there is no build cache in {registry.host}/plain" in said and "[Warning] cache 127.0.0.1:" in said
    assert "unknown cache exporter: gha" in skiff("build", "--cache-to", "type=gha", project, code=125).err
    nowhere = f"type=registry,ref=127.0.0.1:{free_port()}/gone"
    assert "error writing cache to 127.0.0.1:" in skiff("build", "--cache-to", nowhere, project, code=1).err
    assert "[Warning] error writing cache" in skiff("build", "--cache-to", nowhere + ",ignore-error=true", project).out


def test_caches_of_docker_py(engine, registry, context):
    project = context({"Dockerfile": f"FROM busybox\nRUN {UNIQUE} > /two\nCMD [\"cat\", \"/two\"]\n"})
    client, name = engine.client, f"{registry.host}/py:1"
    client.images.build(path=str(project), tag=name, buildargs={"BUILDKIT_INLINE_CACHE": "1"})
    first = client.containers.run(name, remove=True)
    client.images.push(name)
    forget(engine.skiff, name)
    client.images.build(path=str(project), tag="built", cache_from=[name])
    assert client.containers.run("built", remove=True) == first
