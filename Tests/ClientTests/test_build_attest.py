"""`build --annotation`, `--provenance`, `--sbom` and `--attest`: what goes with an image to registries, archives and folders."""

import hashlib
import io
import json
import socket
import subprocess
import tarfile
import threading
import urllib.request

from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from test_build_sources import repository, site  # noqa: F401
from test_registry import registry  # noqa: F401

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STATUS = "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n\n"
DOCKERFILE = """FROM busybox
ARG V
RUN --mount=type=secret,id=key cat /run/secrets/key > /dev/null; true
COPY status /var/lib/dpkg/status
COPY module.json /app/node_modules/left/package.json
LABEL l=plain-label
"""
SECRET = "a-planted-secret"


class Layout:
    """What an archive of an image holds."""

    def __init__(self, data):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        self.entry = json.loads(self.files["index.json"])["manifests"][0]
        self.top = self.document(self.entry)

    def blob(self, descriptor):
        data = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"] and len(data) == descriptor["size"]
        return data

    def document(self, descriptor):
        return json.loads(self.blob(descriptor))


class Pushed:
    """What a registry has."""

    def __init__(self, registry, name, reference):
        self.base = f"http://{registry.host}/v2/{name}"
        self.data, self.kind = self._get(f"manifests/{reference}")
        self.top = json.loads(self.data)

    def _get(self, path):
        request = urllib.request.Request(f"{self.base}/{path}", headers={"Accept": f"{INDEX}, {MANIFEST}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read(), answer.headers["Content-Type"]

    def document(self, descriptor):
        data = self._get(f"manifests/{descriptor['digest']}")[0]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"]
        return json.loads(data)

    def blob(self, descriptor):
        return self._get(f"blobs/{descriptor['digest']}")[0]


def statements(index):
    """By the type of what is stated, of the attestation manifest of a layout or a registry."""
    image, about = index.top["manifests"]
    assert image["platform"]["os"] == "linux" and about["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert about["annotations"] == {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]}
    found = {}
    for layer in index.document(about)["layers"]:
        assert layer["mediaType"] == "application/vnd.in-toto+json"
        statement = json.loads(index.blob(layer))
        assert statement["predicateType"] == layer["annotations"]["in-toto.io/predicate-type"]
        assert [subject["digest"]["sha256"] for subject in statement["subject"]] == [image["digest"].removeprefix("sha256:")]
        found[statement["predicateType"]] = statement
    return found


def project(context):
    return context({"Dockerfile": DOCKERFILE, "status": STATUS, "module.json": '{"name": "left", "version": "1.1.0"}'})


def packages(document):
    return [reference["referenceLocator"] for package in document["packages"] for reference in package.get("externalRefs", [])]


def test_annotations_are_in_what_stands_for_the_image(skiff, registry, context, tmp_path):
    name = f"{registry.host}/annotated:1"
    files = project(context)
    options = ["--annotation", "org.x=y z", "--annotation", "manifest-descriptor:beside=1", "-o", "type=image,annotation.out=put"]
    build(skiff, files, *options, "--push", "--metadata-file", tmp_path / "metadata", tag=name)
    digest = json.loads((tmp_path / "metadata").read_text())["containerimage.digest"]
    assert digest == "sha256:" + hashlib.sha256(Pushed(registry, "annotated", "1").data).hexdigest()
    build(skiff, files, tag="plain")
    identity = skiff("inspect", "-f", "{{.Id}}", "plain").line
    saved = Layout(skiff.binary("save", name))
    assert saved.top["annotations"] == {"org.x": "y z", "out": "put"} and saved.entry["annotations"]["beside"] == "1"
    assert saved.top["config"]["digest"] == identity == skiff("inspect", "-f", "{{.Id}}", name).line
    shown = json.loads(skiff("image", "inspect", "-f", "{{json .Descriptor}}", name).out)
    assert shown == {**{key: saved.entry[key] for key in ("mediaType", "digest", "size")}, "annotations": {"beside": "1"}}
    # The other name of the same image has none of it.
    assert "annotations" not in Layout(skiff.binary("save", "plain")).top
    assert "Descriptor" not in json.loads(skiff("image", "inspect", "plain").out)[0]
    skiff("push", name)
    pushed = Pushed(registry, "annotated", "1")
    assert pushed.kind == MANIFEST and pushed.top["annotations"] == {"org.x": "y z", "out": "put"}
    plain = f"{registry.host}/annotated:plain"
    skiff("tag", "plain", plain)
    skiff("push", plain)
    assert "annotations" not in Pushed(registry, "annotated", "plain").top
    # A further name has what the name has that it was made of.
    skiff("tag", name, "further")
    assert Layout(skiff.binary("save", "further")).top["annotations"] == {"org.x": "y z", "out": "put"}


def test_statements_go_to_registries_and_archives(skiff, registry, context, tmp_path):
    name = f"{registry.host}/stated:1"
    files = project(context)
    (tmp_path / "key").write_text(SECRET)
    build(
        skiff, files, "--sbom=true", "--attest", "type=provenance,mode=max", "--secret", f"id=key,src={tmp_path / 'key'}", "--build-arg",
        "V=argument", "--annotation", "index:top=1", tag=name)
    data = skiff.binary("save", name)
    assert SECRET.encode() not in data
    saved = Layout(data)
    assert saved.entry["mediaType"] == INDEX and saved.top["annotations"] == {"top": "1"}
    stated = statements(saved)
    sbom, provenance = (stated[kind]["predicate"] for kind in ("https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"))
    assert "pkg:npm/left@1.1.0" in packages(sbom) and "pkg:deb/debian/hello@2.10-3?arch=amd64" in packages(sbom)
    parameters = provenance["invocation"]["parameters"]
    assert parameters["args"] == {"build-arg:V": "argument"} and parameters["secrets"] == [{"id": "key", "optional": True}]
    (material,) = provenance["materials"]
    base = skiff("inspect", "-f", "{{.Id}}", "busybox").line
    assert material["uri"].startswith("pkg:oci/busybox@latest?platform=linux%2F") and "sha256:" + material["digest"]["sha256"] == base

    skiff("push", name)
    pushed = Pushed(registry, "stated", "1")
    assert pushed.kind == INDEX and statements(pushed).keys() == stated.keys()
    assert statements(pushed)["https://spdx.dev/Document"]["predicate"] == sbom
    (digest,) = json.loads(skiff("inspect", "-f", "{{json .RepoDigests}}", name).out)
    assert digest.endswith("@sha256:" + hashlib.sha256(pushed.data).hexdigest())
    shown = skiff("manifest", "inspect", name).out
    assert "attestation-manifest" in shown and '"unknown"' in shown
    skopeo = ["skopeo", "--insecure-policy"]
    look = [*skopeo, "inspect", "--tls-verify=false", f"docker://{name}"]
    assert subprocess.run([*look, "--raw"], check=True, capture_output=True).stdout == pushed.data
    assert json.loads(subprocess.run(look, check=True, capture_output=True).stdout)["Labels"] == {"l": "plain-label"}
    (tmp_path / "saved.tar").write_bytes(data)
    for source in (f"docker://{name}", f"oci-archive:{tmp_path / 'saved.tar'}", f"docker-archive:{tmp_path / 'saved.tar'}"):
        copy = [*skopeo, "copy", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path / 'copied'}:x"]
        subprocess.run(copy, check=True, capture_output=True, timeout=60)
    # The image works as any other, here and where it comes to.
    assert run(skiff, "cat", "/var/lib/dpkg/status", image=name) == STATUS
    assert "hello" not in skiff("history", name).out
    identity = skiff("inspect", "-f", "{{.Id}}", name).line
    skiff("rmi", name)
    skiff("pull", name)
    assert skiff("inspect", "-f", "{{.Id}}", name).line == identity
    assert run(skiff, "cat", "/var/lib/dpkg/status", image=name) == STATUS
    # So it goes on from here.
    other = f"{registry.host}/elsewhere:1"
    skiff("tag", name, other)
    skiff("push", other)
    again = Pushed(registry, "elsewhere", "1")
    assert again.top["manifests"][0] == pushed.top["manifests"][0] and again.top["annotations"] == {"top": "1"}
    assert {kind: each["predicate"] for kind, each in statements(again).items()} == {kind: each["predicate"] for kind, each in stated.items()}
    assert Layout(skiff.binary("save", name)).entry["digest"] == saved.entry["digest"]
    # Without the statements, when the registry has lost one.
    lost = again.document(again.top["manifests"][1])["layers"][0]["digest"].removeprefix("sha256:")
    (registry.directory / "storage/docker/registry/v2/blobs/sha256" / lost[:2] / lost / "data").unlink()
    skiff("rmi", name, other)
    skiff("pull", other)
    assert Layout(skiff.binary("save", other)).entry["mediaType"] == MANIFEST


def test_a_short_provenance_has_no_values(skiff, context, tmp_path):
    build(skiff, project(context), "--provenance=true", "--build-arg", "V=argument", "--label", "mine=label")
    (statement,) = statements(Layout(skiff.binary("save", "built"))).values()
    text = json.dumps(statement["predicate"])
    assert "argument" not in text and "mine" not in text
    assert statement["predicate"]["metadata"]["completeness"] == {"parameters": False, "environment": True, "materials": False}
    build(skiff, project(context), "--provenance=mode=min,version=v1,builder-id=https://x")
    (statement,) = statements(Layout(skiff.binary("save", "built"))).values()
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1" and "runDetails" in statement["predicate"]
    build(skiff, project(context), "--provenance=false", "--sbom=false")
    assert Layout(skiff.binary("save", "built")).entry["mediaType"] == MANIFEST
    # A build has what was asked for, whatever was said of the same image before.
    kinds = [Layout(skiff.binary("build", "--progress", "quiet", *flags, "-o", "type=oci", project(context))).entry["mediaType"]
             for flags in (["--sbom=true"], [])]
    assert kinds == [INDEX, MANIFEST]


def test_statements_that_are_asked_for_have_to_be_there(engine):
    api = engine.client.api
    for path in ("/images/busybox/rootfs", "/images/get"):
        answer = api._get(api._url(path), params={"names": "busybox", "attestations": "1"})
        assert answer.status_code == 409 and "the image busybox has no attestations" in answer.text


def test_an_engine_that_would_leave_statements_out_is_not_asked(skiff, context, tmp_path):
    received = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nServer: Skiff/0.1 (linux)\r\nContent-Length: 2\r\n\r\nOK")
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        command = [skiff.argv[0], "-H", f"unix://{tmp_path}/s", "build", "--sbom=true", project(context)]
        failed = subprocess.run(command, env=skiff.env, capture_output=True, text=True, timeout=20)
        server.join(20)
    assert failed.returncode == 1 and "the engine knows no annotations and attestations" in failed.stderr, failed
    assert b"/_ping" in received[0]


def test_what_a_build_fetches_is_its_material(skiff, site, repository, tmp_path):
    site.pages["/f?token=query-secret"] = b"content"
    site.pages["/Dockerfile"] = f"FROM busybox\nADD {site.url}/f?token=query-secret /f\nADD {repository.url}?tag=v1 /git\n".encode()
    build(skiff, f"{site.url}/Dockerfile", "--provenance=true")
    data = skiff.binary("save", "built")
    (statement,) = statements(Layout(data)).values()
    source = {"uri": f"{site.url}/Dockerfile", "digest": {"sha256": hashlib.sha256(site.pages["/Dockerfile"]).hexdigest()}}
    assert statement["predicate"]["invocation"]["configSource"].items() >= source.items()
    materials = statement["predicate"]["materials"]
    assert source in materials and {"uri": f"{repository.url}?tag=v1", "digest": {"sha1": repository.first}} in materials
    assert [each["digest"]["sha256"] for each in materials if "/f?" in each["uri"]] == [hashlib.sha256(b"content").hexdigest()]
    assert "query-secret" not in json.dumps(statement)


def test_folders_get_statements_as_files(skiff, context, tmp_path):
    files = context({"Dockerfile": "FROM scratch\nCOPY f /d/f\n", "f": "F"})
    skiff("build", "--sbom=true", "--provenance=true", "-o", tmp_path / "out", files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["d", "provenance.json", "sbom.spdx.json"]
    statement = json.loads((tmp_path / "out/provenance.json").read_text())
    assert statement["subject"] == [{"name": "d/f", "digest": {"sha256": hashlib.sha256(b"F").hexdigest()}}]
    assert json.loads((tmp_path / "out/sbom.spdx.json").read_text())["predicate"]["spdxVersion"] == "SPDX-2.3"
    options = ["build", "--sbom=true", "--provenance=mode=min,inline-only=true", "--progress", "quiet"]
    packed = skiff.binary(*options, "-o", "type=tar,attestation-prefix=x-", files)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["d", "d/f", "x-sbom.spdx.json"]
    taken = context({"Dockerfile": "FROM scratch\nCOPY f /provenance.json\n", "f": "F"}, "taken")
    failed = skiff("build", "--provenance=true", "-o", tmp_path / "no", taken, code=1)
    assert "has a file provenance.json already" in failed.err
    assert skiff("images", "-q", "-a").lines == skiff("images", "-q", "busybox").lines


def test_two_engines_make_the_same_index(skiff, own_engine, registry, context, tmp_path):
    archive = tmp_path / "busybox.tar"
    skiff("save", "-o", archive, "busybox")
    other = own_engine(image=False)
    other.skiff("load", "-i", archive)
    name = f"{registry.host}/same:1"
    (tmp_path / "key").write_text(SECRET)
    options = ["--sbom=true", "--provenance=mode=max", "--annotation", "a=b", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache"]
    # From outside the context, under a name that the client makes up.
    outside = tmp_path / "Elsewhere"
    outside.write_text(DOCKERFILE)
    digests = []
    for engine in (skiff, other.skiff):
        build(engine, project(context), *options, "-f", outside, "--secret", f"id=key,src={tmp_path / 'key'}", tag=name)
        digests.append((Layout(engine.binary("save", name)).entry["digest"], engine("push", "-q", name).out, Pushed(registry, "same", "1").data))
    assert digests[0] == digests[1]
    (sbom,) = [each["predicate"] for kind, each in statements(Pushed(registry, "same", "1")).items() if "spdx" in kind]
    assert sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
