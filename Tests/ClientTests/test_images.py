"""Images: listed, named, carried out and in, removed."""

import gzip
import io
import json
import tarfile

import pytest

from waiting import wait_for


@pytest.fixture
def two_layers(engine, context):
    """An image with a layer of its own on busybox."""
    directory = context({"Dockerfile": "FROM busybox\nLABEL made=here\nRUN echo one > /one && mkdir /d && ln -s ../one /d/link\nCMD [\"cat\", \"/one\"]\n"})
    engine.docker("build", "-q", "-t", "two:1", directory)
    yield "two:1"
    engine.docker("rmi", "-f", "two:1", code=None)


def test_images_lists_name_tag_id_and_size(cli, two_layers):
    rows = dict(line.split("|", 1) for line in cli("images", "--format", "{{.Repository}}:{{.Tag}}|{{.ID}}|{{.Size}}").lines)
    assert {"busybox:latest", "two:1"} <= set(rows)
    identity, size = rows["two:1"].split("|")
    assert len(identity) == 12 and size.endswith("MB")
    assert cli("images", "-q", "two").line == identity
    assert cli("image", "ls", "-q", "--no-trunc", "two").line == cli("image", "inspect", "-f", "{{.Id}}", "two:1").line


def test_images_as_a_tree_have_platforms_below(skiff, two_layers):
    skiff("create", "--name", "user", two_layers)
    lines = skiff("images", "--tree", "two").lines
    skiff("rm", "user")
    assert lines[0].split() == ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "EXTRA"]
    assert lines[1].startswith("two:1 ") and lines[2].startswith("└─ linux/") and lines[1].split()[-1] == "U"
    assert "--quiet is not yet supported with --tree" in skiff("images", "--tree", "-q", code=1).err


def test_filters_of_a_list_of_images(cli, two_layers):
    def listed(*filters):
        return cli("images", "--format", "{{.Repository}}:{{.Tag}}", *(part for one in filters for part in ("--filter", one))).lines

    assert listed("label=made", "label=made=here") == ["two:1"] and listed("label=made=there") == []
    assert listed("since=busybox") == ["two:1"] and listed("before=two:1") == ["busybox:latest"]
    assert listed("reference=tw*:?") == ["two:1"] and listed("reference=busybox") == ["busybox:latest"]
    cli("tag", "busybox", "second:1")
    assert listed("reference=second") == ["second:1"] and cli("images", "-q", "second").lines == cli("images", "-q", "busybox").lines
    cli("rmi", "second:1")
    assert listed("dangling=true") == [] and set(listed("dangling=false")) == {"two:1", "busybox:latest"}
    assert "invalid filter" in cli("images", "--filter", "nosuch=1", code=1).err
    digests = cli("images", "--digests", "two").lines
    assert "DIGEST" in digests[0] and "<none>" in digests[1]


def test_history_has_dockers_flags(cli, two_layers):
    sizes = cli("history", "--human=false", "--format", "{{.Size}}", two_layers).lines
    assert all(size.isdigit() for size in sizes)
    dates = cli("history", "--human=false", "--format", "{{.CreatedAt}}", two_layers).lines
    assert all(date.startswith("20") or date == "" for date in dates)
    assert cli("history", "-q", "--no-trunc", two_layers).lines[0].startswith("sha256:")
    assert json.loads(cli("history", "--format", "json", two_layers).lines[0])["ID"]


def test_history_names_each_step(cli, two_layers):
    steps = cli("history", "--no-trunc", "--format", "{{.CreatedBy}}", two_layers).lines
    assert "CMD" in steps[0] and "echo one > /one" in steps[1] and "LABEL" in steps[2]
    sizes = cli("history", "--format", "{{.Size}}", two_layers).lines
    assert sizes[0] == "0B" and sizes[2] == "0B" and sizes[1] != "0B"
    assert cli("image", "history", "-q", two_layers).out == cli("history", "-q", two_layers).out


def test_image_inspect_shows_config_and_layers(cli, two_layers):
    [image] = json.loads(cli("image", "inspect", two_layers).out)
    assert image["Config"]["Labels"] == {"made": "here"} and image["Config"]["Cmd"] == ["cat", "/one"]
    assert len(image["RootFS"]["Layers"]) == 2 and image["Os"] == "linux" and image["Architecture"] in ("amd64", "arm64")
    [base] = json.loads(cli("image", "inspect", "busybox").out)
    assert image["RootFS"]["Layers"][0] == base["RootFS"]["Layers"][0]


def test_a_tag_is_a_second_name(cli, two_layers):
    cli("tag", "two:1", "eu.gcr.io/project-id/a/b/c:1.0")
    assert cli("inspect", "-f", "{{.Id}}", "eu.gcr.io/project-id/a/b/c:1.0").out == cli("inspect", "-f", "{{.Id}}", "two:1").out
    assert cli("run", "--rm", "eu.gcr.io/project-id/a/b/c:1.0").out == "one\n"
    assert cli("rmi", "eu.gcr.io/project-id/a/b/c:1.0").lines == ["Untagged: eu.gcr.io/project-id/a/b/c:1.0"]
    assert cli("run", "--rm", "two:1").out == "one\n"


@pytest.mark.parametrize("name", ["UPPER", "a//b", "-a", "a:b:c", "../up", "a/../b", "x" * 300, "a:" + "t" * 129, "a@sha256:12"])
def test_names_that_cannot_be_are_refused(cli, name):
    assert cli("tag", "--", "busybox", name, code=None).code != 0
    assert cli("images", "-q", "--no-trunc").lines == cli("images", "-q", "--no-trunc", "busybox").lines


def test_short_ids_name_images_and_unknown_ones_are_unknown(cli, two_layers):
    identity = cli("images", "-q", "two").line
    assert cli("run", "--rm", identity[:6]).out == "one\n"
    assert "no such image" in cli("rmi", "nosuch", code=1).err.lower()
    assert "no such image" in cli("history", "nosuch", code=1).err.lower()


def test_an_image_in_use_is_kept(cli, two_layers):
    cli("create", "--name", "user", two_layers)
    identity = cli("images", "-q", "two").line
    message = cli("rmi", two_layers, code=1).err
    assert "conflict" in message and "unable to remove" in message
    assert cli("images", "-q", "two").line == identity
    cli("rm", "user")
    removed = cli("rmi", two_layers).lines
    assert removed[0] == "Untagged: two:1" and removed[1].startswith("Deleted: sha256:")
    assert cli("images", "-q", "two").line == ""
    assert cli("run", "--rm", "busybox", "echo", "still here").out == "still here\n"


def test_save_and_load_keep_every_digest(cli, two_layers, tmp_path):
    before = json.loads(cli("image", "inspect", two_layers).out)[0]
    archive = tmp_path / "two.tar"
    cli("save", "-o", archive, two_layers)
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        assert manifest[0]["RepoTags"] == ["two:1"] and len(manifest[0]["Layers"]) == 2
    cli("rmi", two_layers)
    assert cli("load", "-i", archive).line == "Loaded image: two:1"
    after = json.loads(cli("image", "inspect", two_layers).out)[0]
    assert (after["Id"], after["RootFS"], after["Config"]) == (before["Id"], before["RootFS"], before["Config"])
    assert cli("run", "--rm", two_layers, "cat", "/d/link").out == "one\n"


def test_what_was_saved_twice_is_the_same(cli, two_layers):
    assert layers_of(cli.binary("save", two_layers)) == layers_of(cli.binary("save", two_layers))


def layers_of(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return sorted(member.name for member in tar if "blobs/" in member.name and member.isfile())


def test_load_reads_a_pipe_with_gzip(cli, two_layers):
    packed = gzip.compress(cli.binary("save", two_layers), 1)
    cli("rmi", two_layers)
    assert "Loaded image: two:1" in cli("load", input=packed).out
    assert cli("run", "--rm", two_layers).out == "one\n"


@pytest.mark.parametrize("junk", [b"", b"no archive at all" * 100, bytes(10240)])
def test_load_of_something_else_is_refused(cli, junk):
    failed = cli("load", input=junk, code=None)
    assert failed.code != 0 and failed.err.strip()
    assert cli("images", "-q").lines == cli("images", "-q", "busybox").lines


def test_load_checks_what_the_names_promise(cli, two_layers):
    """A blob with another content than its digest says is refused."""
    archive = bytearray(cli.binary("save", two_layers))
    cli("rmi", two_layers)
    place = archive.index(b'"made":"here"')
    archive[place:place + 13] = b'"made":"evil"'
    assert cli("load", input=bytes(archive), code=None).code != 0
    assert cli("images", "-q", "two").line == ""


def test_export_leaves_a_running_container_alone(cli):
    """A second overlay of the same directories would take the first one's place for what is removed."""
    cli("run", "-d", "--name", "runs", "--tmpfs", "/cache", "busybox", "sh", "-c", "echo new > /new; echo hidden > /cache/file; exec sleep 600")
    wait_for(lambda: cli("exec", "runs", "cat", "/cache/file", code=None).out == "hidden\n", "the files")
    for _ in range(2):
        with tarfile.open(fileobj=io.BytesIO(cli.binary("export", "runs"))) as tar:
            names = {member.name.removeprefix("./").rstrip("/") for member in tar}
        assert {"new", "bin/busybox", "cache"} <= names and "cache/file" not in names
        # A file of the image, which takes a white-out, and a new one.
        assert cli("exec", "runs", "sh", "-c", "rm /etc/group && rm /new && echo again > /new && echo x > /etc/group").all == ""


def test_export_and_import_carry_a_container(cli):
    cli("run", "--name", "changed", "busybox", "sh", "-c", "echo new > /new; rm /etc/not-a-program; chown alice /new; chmod 640 /new")
    exported = cli.binary("export", "changed")
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        names = {member.name.removeprefix("./").rstrip("/"): member for member in tar}
    assert "new" in names and "etc/not-a-program" not in names and "bin/busybox" in names
    assert (names["new"].uid, names["new"].mode) == (1234, 0o640)
    identity = cli("import", "--change", 'CMD ["cat", "/new"]', "--change", "ENV X=y", "-", "flat:1", input=exported).line
    assert identity.startswith("sha256:")
    assert cli("run", "--rm", "flat:1").out == "new\n"
    assert cli("run", "--rm", "flat:1", "sh", "-c", "echo $X").out == "y\n"
    assert len(json.loads(cli("image", "inspect", "flat:1").out)[0]["RootFS"]["Layers"]) == 1
    cli("rmi", "flat:1")


def test_commit_keeps_what_a_container_changed(cli):
    cli("run", "--name", "work", "busybox", "sh", "-c", "echo done > /result; rm /etc/group")
    cli("commit", "--change", 'CMD ["sh", "-c", "cat /result; ls /etc/group"]', "-m", "a message", "work", "result:1")
    assert cli("run", "--rm", "result:1", code=1).out == "done\n"
    assert "a message" in cli("history", "result:1").out
    cli("rmi", "result:1")


@pytest.mark.parametrize("command", ["pull", "push"])
def test_a_registry_that_is_not_there_is_said_at_once(cli, command):
    cli("tag", "busybox", "127.0.0.1:9/x:1")
    failed = cli(command, "127.0.0.1:9/x:1", code=1, timeout=5)
    cli("rmi", "127.0.0.1:9/x:1")
    assert "connection refused" in failed.err


def test_image_prune_takes_what_has_no_name(cli, context):
    directory = context({"Dockerfile": "FROM busybox\nRUN echo a > /a\n"})
    cli("build", "-q", "-t", "named", directory)
    context({"Dockerfile": "FROM busybox\nRUN echo b > /a\n"})
    cli("build", "-q", "-t", "named", directory)
    assert len(cli("images", "-q", "--filter", "dangling=true").lines) == 1
    cli("image", "prune", "-f")
    assert cli("images", "-q", "--filter", "dangling=true").lines == []
    assert cli("run", "--rm", "named", "cat", "/a").out == "b\n"
    cli("rmi", "named")
