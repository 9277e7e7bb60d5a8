"""The flags of `skiff build`: where the result goes, what is told, what is looked at."""

import io
import json
import tarfile

import pytest

from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from test_registry import registry  # noqa: F401
from waiting import wait_for


@pytest.fixture
def project(context):
    return context({"Dockerfile": "FROM scratch AS files\nCOPY f /d/f\nFROM busybox\nCOPY --from=files / /\nRUN ulimit -n; df -k /dev/shm | tail -n 1; grep db /etc/hosts; true\n", "f": "F"})


def test_files_and_archives(skiff, project, tmp_path):
    skiff("build", "--target", "files", "-o", tmp_path / "out", project)
    assert (tmp_path / "out/d/f").read_text() == "F" and [path.name for path in (tmp_path / "out").iterdir()] == ["d"]
    packed = skiff.binary("build", "--progress", "quiet", "--target", "files", "-o", "-", project)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["d", "d/f"]
    skiff("build", "--target", "files", "-o", f"type=tar,dest={tmp_path / 'files.tar'}", project)
    assert tarfile.open(tmp_path / "files.tar").extractfile("d/f").read() == b"F"
    assert skiff("images", "-q", "-a").lines == skiff("images", "-q", "busybox").lines
    skiff("build", "-t", "built", "-o", f"type=oci,dest={tmp_path / 'layout.tar'}", "--target", "files", project)
    assert "oci-layout" in tarfile.open(tmp_path / "layout.tar").getnames()
    skiff("build", "-t", "built", "-o", f"type=oci,dest={tmp_path / 'layout'},tar=false", "--target", "files", project)
    assert json.loads((tmp_path / "layout/oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"
    skiff("build", "-t", "built", "-o", f"type=docker,dest={tmp_path / 'docker.tar'}", "--target", "files", project)
    assert "manifest.json" in tarfile.open(tmp_path / "docker.tar").getnames()


def test_standard_output_is_for_the_result_alone(skiff, project, tmp_path):
    packed = skiff.binary("build", "--progress", "plain", "--target", "files", "-o", "-", project)
    skiff("build", "--target", "files", "-o", f"type=tar,dest={tmp_path / 'files.tar'}", project)
    assert packed == (tmp_path / "files.tar").read_bytes()
    assert skiff.binary("build", "-q", "--target", "files", "-o", "type=tar,dest=-", project) == packed


def test_files_take_no_image_away(skiff, context, tmp_path):
    out = ["-o", f"type=tar,dest={tmp_path / 'files.tar'}"]
    base = skiff("images", "-q", "busybox").line
    skiff("build", *out, context({"Dockerfile": "FROM busybox\n"}, "base"))
    assert skiff("images", "-q", "busybox").line == base
    project = context({"Dockerfile": "FROM busybox\nLABEL a=b\n"})
    skiff("build", *out, project)
    assert skiff("images", "-q", "-a").lines == [base]
    unnamed = skiff("build", "-q", project).line
    skiff("build", *out, project)
    assert skiff("inspect", "-f", "{{.Id}}", unnamed).line == unnamed
    skiff("rmi", unnamed)
    skiff("build", "-t", "built", project)
    skiff("build", *out, project)
    assert skiff("inspect", "-f", "{{.Id}}", "built").line == unnamed
    skiff("rmi", "built")
    skiff("build", *out, "--load", project)
    assert skiff("inspect", "-f", "{{.Id}}", unnamed).line == unnamed


def test_what_is_told(skiff, project, tmp_path):
    shown = skiff(
        "build", "-t", "built", "--iidfile", tmp_path / "id", "--metadata-file", tmp_path / "meta", "--progress", "rawjson",
        "--ulimit", "nofile=77:99", "--shm-size", "3m", "--add-host", "db=10.1.2.3", project).out
    messages = [json.loads(line) for line in shown.splitlines()]
    identity = skiff("inspect", "-f", "{{.Id}}", "built").line
    assert {"aux": {"ID": identity}} in messages
    text = "".join(message.get("stream", "") for message in messages)
    assert "77\n" in text and " 3072 " in text and "10.1.2.3\tdb" in text
    assert (tmp_path / "id").read_text() == identity
    metadata = json.loads((tmp_path / "meta").read_text())
    assert metadata["containerimage.config.digest"] == identity and metadata["image.name"] == "docker.io/library/built:latest"
    assert skiff("build", "--progress", "quiet", project).line.startswith("sha256:")


def test_some_stages_without_the_cache(skiff, context):
    project = context({"Dockerfile": "FROM busybox AS one\nRUN true\nFROM busybox AS two\nRUN echo\nFROM one\nCOPY --from=two /etc/group /g\n"})
    skiff("build", project)
    again = skiff("build", "--no-cache-filter", "two", project).out
    assert "CACHED" in again.split("Step 3/")[0] and "Running in" in again.split("Step 3/")[1].split("Step 5/")[0]


def test_a_look_at_the_dockerfile(skiff, context):
    project = context({"Dockerfile": "# check=skip=StageNameCasing\nARG V=1\n# app the program\nFROM busybox as App\nRUN --mount=type=secret,id=k,required --mount=type=cache,target=/c true\nENV a b\nCMD $nosuch\nUSER $nosuch\n"})
    checked = skiff("build", "--check", project, code=1).out
    assert "Check complete, 4 warnings have been found!" in checked
    for rule in ("FromAsCasing", "LegacyKeyValueFormat", "JSONArgsRecommended", "UndefinedVar"):
        assert f"WARNING: {rule}: " in checked
    assert "StageNameCasing" not in checked
    assert skiff("images", "-q", "-a").lines == skiff("images", "-q", "busybox").lines
    built = skiff("build", "--secret", "id=k,env=PATH", "-t", "built", project).out
    assert " 4 warnings found:\n - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 4)\n" in built
    outline = skiff("build", "--call", "outline", project).out
    assert "V           1" in outline and "k        true" in outline and "/c" in outline
    good = context({"Dockerfile": "# first the one\nFROM scratch AS first\nFROM busybox\n"}, "good")
    assert skiff("build", "--check", good).out == "Check complete, no warnings found.\n"
    assert skiff("build", "--print", "targets", good).out == "TARGET      DESCRIPTION\nfirst       the one\n(default)\n"
    strict = context({"Dockerfile": "# check=error=true\nFROM busybox AS A\nRUN echo never\n"}, "strict")
    failed = skiff("build", strict, code=1)
    assert "lint violation found for rules: StageNameCasing" in failed.err and "never" not in failed.out


def test_two_builds_of_the_same_are_the_same(skiff, own_engine, context, tmp_path):
    text = "FROM busybox\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nCOPY f .\nRUN hostname > name && date -r name > /dev/null && mkdir -p a/b && ln name a/hard\nCMD [\"a\"]\n"
    project = context({"Dockerfile": text, "f": "F"})
    archive = tmp_path / "busybox.tar"
    skiff("save", "-o", archive, "busybox")
    other = own_engine(image=False)
    other.skiff("load", "-i", archive)
    options = ["build", "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", project]
    first, second = skiff(*options).line, other.skiff(*options).line
    assert first == second and first.startswith("sha256:")
    assert "the same image" in skiff("build", "--verify", project).all
    differs = context({"Dockerfile": "FROM busybox\nRUN head -c 16 /dev/urandom > /random && echo x > /fixed\n"}, "differs")
    failed = skiff("build", "--verify", differs, code=1)
    assert "/random" in failed.all and "/fixed" not in failed.err


@pytest.mark.parametrize("options, message", [
    (["--ssh", "default=/nosuch"], "no such file"),
    (["--annotation", "a"], 'invalid annotation "a", expected key=value'),
    (["--annotation", "index:a=b"], "index annotations not supported for single platform export"),
    (["--annotation", "manifest[linux/s390x]:a=b"], "invalid annotation: no platform linux/s390x found in source"),
    (["--sbom", "generator=image"], "the engine makes it itself"),
    (["--attest", "type=sbom", "--sbom", "true"], "duplicate attestation field sbom"),
    (["--provenance", "mode=x"], 'invalid mode "x"'),
    (["--sbom", "true", "-o", "type=docker,dest=/nosuch/x.tar"], "does not currently support exporting manifest lists"),
    (["--cache-to", "type=gha"], "unknown cache exporter: gha"),
    (["--output", "type=what"], 'unsupported output type "what"'),
    (["--output", "type=local"], "dest is required"),
    (["--push"], "tag is needed"),
    (["--progress", "loud"], "invalid progress mode"),
    (["--secret", "src=x"], "id is missing"),
    (["--secret", "id=x,src=/nosuch"], "/nosuch"),
    (["--call", "what"], 'invalid call "what"'),
    (["--ulimit", "nofile"], "invalid ulimit argument"),
    (["--build-arg", "SOURCE_DATE_EPOCH=soon"], "invalid SOURCE_DATE_EPOCH"),
])
def test_what_cannot_be_is_refused(skiff, context, options, message):
    failed = skiff("build", *options, context({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}), code=None)
    assert failed.code != 0 and message in failed.err


def test_a_result_is_pushed(skiff, registry, project):  # noqa: F811
    name = f"{registry.host}/pushed:1"
    skiff("build", "--push", "-t", name, project)
    skiff("rmi", name)
    skiff("pull", name)
    skiff("rmi", name)


def test_why_a_step_is_done_again(skiff, context):
    files = {"Dockerfile": "FROM busybox\nARG V\nRUN echo $V\nCOPY a b /\nRUN echo last\n", "a": "1", "b": "1"}
    options = ["build", "--explain-cache", "-t", "explained"]
    assert "Not from the cache: it is new" in skiff(*options, context(files)).out
    assert "Not from the cache" not in skiff(*options, context(files)).out
    changed = skiff(*options, context({**files, "b": "2"})).out
    assert changed.count("Not from the cache") == 2
    assert "Not from the cache: b has changed" in changed and "what lies below it has changed" in changed
    assert "the build argument V has changed" in skiff(*options, "--build-arg", "V=secret", context(files)).out


def test_the_cache_has_a_limit(own_engine, context):
    engine = own_engine(arguments=["--build-cache-limit", "1MB"])
    engine.skiff("build", "-q", context({"Dockerfile": "FROM busybox\nRUN --mount=type=cache,target=/c head -c 4000000 /dev/zero > /c/big\n"}))
    wait_for(lambda: not [entry for entry in engine.client.api.df()["BuildCache"] if entry["Type"] == "exec.cachemount"], "the cache to go")


def test_one_layer_of_many(skiff, client, context):
    files = {"Dockerfile": """FROM busybox
RUN mkdir -p /d/sub && echo one > /d/one && echo two > /d/two && echo x > /etc/added && chmod 700 /home
RUN rm /d/one && rm -r /home/alice && ln /d/two /d/hard && echo changed > /etc/group && ln -s two /d/link
COPY --chown=1234 f /d/f
RUN rm -r /d/sub && mkdir /d/sub && chmod 1777 /d/sub && mv /bin/busybox /bin/bb && cp /bin/bb /bin/busybox && rm /bin/bb
""", "f": "F"}
    skiff("build", "-t", "many", context(files))
    skiff("build", "--squash", "-t", "one", context(files))
    many, one = (json.loads(skiff("inspect", name).out)[0] for name in ("many", "one"))
    base = json.loads(skiff("inspect", "busybox").out)[0]["RootFS"]["Layers"]
    assert len(one["RootFS"]["Layers"]) == len(base) + 1 and len(many["RootFS"]["Layers"]) == len(base) + 4
    assert "0 added/0 changed/0 removed files" in skiff("image", "diff", "many", "one").out
    # Overlays count the links of directories as they like.
    look = ["sh", "-c", "cd /; find . -xdev -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o "
                        "-exec stat -c '%n %F %a %u %g %h' {} + | grep -v etc/ | sed '/directory/s/ [0-9]*$//' | sort"]
    assert run(skiff, *look, image="one") == run(skiff, *look, image="many")
    assert skiff("history", "-q", "one").lines
    image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN touch /a\nRUN touch /b\n"), squash=True, tag="py")
    assert len(image.attrs["RootFS"]["Layers"]) == len(base) + 1
