"""Archives between Skiff and other tools: what they write is read, what we write they read, and no digest changes."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import pytest


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=120, **options)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def skopeo(*arguments):
    return run("skopeo", "--insecure-policy", *arguments)


@pytest.fixture
def image(engine, context):
    directory = context({"Dockerfile": "FROM busybox\nRUN echo one > /one && ln -s one /link\nENTRYPOINT [\"cat\"]\nCMD [\"/one\"]\n"})
    engine.docker("build", "-q", "-t", "two:1", directory)
    yield "two:1"
    engine.docker("rmi", "-f", "two:1", code=None)


@pytest.fixture
def saved(engine, image, tmp_path):
    """The archive that we make of it, and the image's id; the image itself is gone."""
    archive = tmp_path / "saved.tar"
    engine.skiff("save", "-o", archive, image)
    identity = engine.skiff("image", "inspect", "-f", "{{.Id}}", image).line
    engine.skiff("rmi", image)
    return archive, identity


def assert_is_back(cli, name, identity):
    assert cli("image", "inspect", "-f", "{{.Id}}", name).line == identity
    assert cli("run", "--rm", name).out == "one\n"
    cli("rmi", name)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_skopeo_reads_what_we_save(saved, kind):
    archive, identity = saved
    config = skopeo("inspect", "--raw", "--config", f"{kind}:{archive}")
    assert "sha256:" + hashlib.sha256(config).hexdigest() == identity


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_skopeo_saves_is_loaded(cli, saved, tmp_path, kind):
    archive, identity = saved
    skopeo("copy", f"{kind}:{archive}", f"{kind}:{tmp_path}/copy:two:1")
    assert "Loaded image: two:1" in cli("load", "-i", tmp_path / "copy").out
    assert_is_back(cli, "two:1", identity)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_layout_directory_is_loaded(skiff, saved, tmp_path, compression):
    archive, identity = saved
    layout = tmp_path / "layout"
    skopeo("copy", "--dest-compress-format", compression, f"oci-archive:{archive}", f"oci:{layout}:two:1")
    assert skiff("load", "-i", f"oci:{layout}:two:1").line == "Loaded image: two:1"
    assert_is_back(skiff, "two:1", identity)
    assert skiff("load", "-i", f"oci:{layout}").line == "Loaded image: two:1"
    assert_is_back(skiff, "two:1", identity)
    assert "no image other" in skiff("load", "-i", f"oci:{layout}:other", code=1).err
    assert "no image layout" in skiff("load", "-i", f"oci:{tmp_path}", code=1).err


def test_a_mere_tag_gets_the_name_of_the_directory(skiff, saved, tmp_path):
    archive, identity = saved
    skopeo("copy", f"oci-archive:{archive}", f"oci:{tmp_path}/boat:3")
    assert skiff("load", "-i", f"oci:{tmp_path}/boat:3").line == "Loaded image: boat:3"
    assert_is_back(skiff, "boat:3", identity)


def test_umoci_unpacks_what_we_save_and_we_load_what_it_changes(skiff, saved, tmp_path):
    archive, _ = saved
    layout = tmp_path / "layout"
    skopeo("copy", f"oci-archive:{archive}", f"oci:{layout}:two")
    run("umoci", "unpack", "--image", f"{layout}:two", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/one").read_text() == "one\n"
    (tmp_path / "bundle/rootfs/one").write_text("changed\n")
    run("umoci", "repack", "--image", f"{layout}:new", tmp_path / "bundle")
    skiff("load", "-i", f"oci:{layout}:new")
    assert skiff("run", "--rm", "layout:new").out == "changed\n"
    skiff("rmi", "layout:new")


@pytest.fixture
def podman():
    """Podman with a storage of its own, whose path it wants to be short."""
    place = tempfile.mkdtemp(prefix="p-", dir="/tmp")
    command = ["podman", "--root", f"{place}/s", "--runroot", f"{place}/r", "--storage-driver", "vfs"]
    yield lambda *arguments: run(*command, *arguments)
    run(*command, "rmi", "-a", "-f")
    shutil.rmtree(place)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_takes_ours_and_we_take_its(cli, saved, podman, tmp_path, form):
    archive, identity = saved
    podman("load", "-i", archive)
    [name] = {line for line in podman("images", "--format", "{{.Repository}}:{{.Tag}}").decode().splitlines()}
    podman("save", "--format", form, "-o", tmp_path / "theirs", name)
    [theirs] = json.loads(podman("image", "inspect", name))
    loaded = cli("load", "-i", tmp_path / "theirs").line.removeprefix("Loaded image: ")
    assert loaded.removeprefix("localhost/") == "two:1"
    if form == "docker-archive":
        assert theirs["Id"] == identity.removeprefix("sha256:")
        assert_is_back(cli, loaded, identity)
    else:  # Podman writes the configuration anew, in OCI's form.
        assert cli("image", "inspect", "-f", "{{json .RootFS.Layers}}", loaded).line == json.dumps(theirs["RootFS"]["Layers"], separators=(",", ":"))
        cli("rmi", loaded)


def test_several_images_share_their_layers_in_one_archive(cli, image, tmp_path):
    names = ["busybox:latest", "two:1", "two:again"]
    cli("tag", "two:1", "two:again")
    before = {name: cli("image", "inspect", "-f", "{{.Id}}", name).line for name in names}
    archive = tmp_path / "all.tar"
    cli("save", "-o", archive, *names)
    layers = [line for line in run("tar", "tf", archive).decode().splitlines() if line.startswith("blobs/sha256/") and not line.endswith("/")]
    assert len(layers) == len(set(layers)) == 2 + 2 + 2, "two layers, two configurations, two manifests"
    cli("rmi", *names[1:])
    assert set(cli("load", "-i", archive).lines) == {f"Loaded image: {name}" for name in names}
    assert {name: cli("image", "inspect", "-f", "{{.Id}}", name).line for name in names} == before
    cli("rmi", *names[1:])


def test_a_platform_is_chosen_or_said_to_be_missing(skiff, image, tmp_path):
    architecture = skiff("image", "inspect", "-f", "{{.Architecture}}", image).line
    archive = tmp_path / "one.tar"
    skiff("save", "--platform", f"linux/{architecture}", "-o", archive, image)
    assert "does not provide the specified platform" in skiff("save", "--platform", "linux/s390x", "-o", tmp_path / "no", image, code=1).err
    assert "Loaded image" in skiff("load", "--platform", architecture, "-i", archive).out
    assert "no image for linux/s390x" in skiff("load", "--platform", "linux/s390x", "-i", archive, code=1).err
    assert skiff("image", "inspect", "--platform", f"linux/{architecture}", "-f", "{{.Os}}", image).line == "linux"
    assert skiff("image", "inspect", "--platform", "windows/amd64", image, code=1).err


def multi_platform_layout(tmp_path, archive):
    """A layout with an index of two platforms, the second of which differs in its configuration only."""
    layout = tmp_path / "multi"
    skopeo("copy", f"oci-archive:{archive}", f"oci:{layout}:x")
    blobs = layout / "blobs/sha256"

    def put(document):
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    top = json.loads((layout / "index.json").read_text())
    own = {key: top["manifests"][0][key] for key in ("mediaType", "digest", "size")}
    manifest = json.loads((blobs / own["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    mine, other = config["architecture"], "s390x"
    foreign = manifest | {"config": manifest["config"] | put(config | {"architecture": other})}
    entries = [
        {"mediaType": own["mediaType"], "platform": {"os": "linux", "architecture": other}} | put(foreign),
        own | {"platform": {"os": "linux", "architecture": mine}},
    ]
    index = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries})
    top["manifests"] = [{"mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"org.opencontainers.image.ref.name": "many:1"}} | index]
    (layout / "index.json").write_text(json.dumps(top))
    return layout, mine, other


def test_of_several_platforms_the_hosts_or_the_wanted_is_loaded(skiff, saved, tmp_path):
    layout, mine, other = multi_platform_layout(tmp_path, saved[0])
    packed = tmp_path / "multi.tar"
    run("tar", "-C", layout, "-cf", packed, "index.json", "oci-layout", "blobs")
    for source in (packed, f"oci:{layout}:many:1"):
        skiff("load", "-i", source)
        assert skiff("image", "inspect", "-f", "{{.Architecture}}", "many:1").line == mine
        assert skiff("run", "--rm", "many:1").out == "one\n"
        skiff("rmi", "many:1")
        skiff("load", "-i", source, "--platform", f"linux/{other}")
        assert skiff("image", "inspect", "-f", "{{.Architecture}}", "many:1").line == other
        skiff("rmi", "many:1")


SPARSE = [["--format=gnu"], ["--format=oldgnu"]] + [["--format=posix", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")]


@pytest.mark.parametrize("options", SPARSE, ids=" ".join)
def test_sparse_files_of_gnu_tar_arrive_with_their_holes(skiff, tmp_path, options):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    run("cp", "/bin/busybox", root / "bin/busybox")
    with open(root / "holes", "wb") as file:
        for index in range(40):
            file.seek(index * (1 << 20))
            file.write(b"data%d" % index)
        file.truncate(60 << 20)
    archive = run("tar", *options, "--sparse", "-C", root, "-cf", "-", ".")
    assert len(archive) < 10 << 20
    skiff("import", "-c", 'ENTRYPOINT ["/bin/busybox"]', "-", "sparse:1", input=archive)
    found = skiff("run", "--rm", "sparse:1", "sha256sum", "/holes").line.split()[0]
    assert found == hashlib.sha256((root / "holes").read_bytes()).hexdigest()
    assert int(skiff("run", "--rm", "sparse:1", "du", "/holes").line.split()[0]) < 1000
    # What was sparse comes out as it came in.
    saved = skiff.binary("save", "sparse:1")
    skiff("rmi", "sparse:1")
    skiff("load", input=saved)
    assert skiff("run", "--rm", "sparse:1", "sha256sum", "/holes").line.split()[0] == found
    skiff("rmi", "sparse:1")


def test_what_is_odd_about_files_arrives(skiff, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    run("cp", "/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    odd = os.fsencode(root) + b"/\xff\xfe odd"
    open(odd, "w").close()
    os.chown(odd, 3_000_000_000, 4_000_000_000)
    os.chmod(odd, 0o6711)
    os.utime(odd, ns=(0, -5 * 10**9))
    archive = run("tar", "--format=posix", "--numeric-owner", "-C", root, "-cf", "-", ".")
    skiff("import", "-", "odd:1", input=archive)
    line = skiff("run", "--rm", "odd:1", "/bin/busybox", "sh", "-c", "/bin/busybox stat -c '%a %u %g %Y' /*odd").line
    assert line == "6711 3000000000 4000000000 -5"
    skiff("rmi", "odd:1")
