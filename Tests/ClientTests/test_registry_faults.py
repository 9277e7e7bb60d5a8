"""Registries that stall, drop, lie and break off; engines that are killed; disks that are full."""

import io
import json
import os
import random
import subprocess
import tarfile
import threading

import pytest

from registries import (
    DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST, FaultRegistry, HandMadeImage, Plan, digest_of, make_authority, make_layer,
)
from waiting import wait_for

SEED = 20


@pytest.fixture
def faulty():
    registry = FaultRegistry()
    yield registry
    registry.stop()


@pytest.fixture
def name(engine, faulty):
    """Where the image of the test is; it goes from the engine afterwards."""
    yield f"{faulty.host}/faults:latest"
    for image in engine.client.images.list():
        if any(faulty.host in tag for tag in image.tags + image.attrs["RepoDigests"]):
            engine.docker("rmi", "-f", image.id, code=None)


@pytest.fixture(scope="module")
def patient(before):
    """An engine that does not wait long for a connection that brings nothing."""
    from engine import Engine

    engine = Engine(arguments=["--stall-timeout", "1"]).start()
    yield engine
    engine.remove()
    before.assert_nothing_new(of=engine)


def noise(size, seed=1):
    """Bytes that cannot be compressed."""
    return random.Random(seed).randbytes(size)


def small_image(registry, **options):
    return HandMadeImage([make_layer({"file": noise(300_000)}), make_layer({"other": b"other"})], **options).put(registry, "faults")


def blob_sends(registry, image):
    return [registry.sent.get(digest_of(data), 0) for data in image.layers]


# -- what must be refused


def refusal(cli, name):
    failed = cli("pull", name, code=1).err
    assert cli("images", "-q", name.rsplit(":", 1)[0]).out == ""
    return failed


def test_a_layer_with_other_bytes_is_refused(cli, faulty, name):
    image = small_image(faulty)
    wrong = bytearray(image.layers[0])
    wrong[len(wrong) // 2] ^= 1
    faulty.blobs[digest_of(image.layers[0])] = bytes(wrong)
    assert f"filesystem layer verification failed for digest {digest_of(image.layers[0])}" in refusal(cli, name)
    faulty.blobs[digest_of(image.layers[0])] = image.layers[0]
    cli("pull", name)


def test_a_layer_that_the_configuration_does_not_name_is_refused(cli, faulty, name):
    layer, _ = make_layer({"file": b"one"})
    _, other = make_layer({"file": b"two"})
    HandMadeImage([(layer, other)]).put(faulty, "faults")
    assert "layers from manifest don't match image configuration" in refusal(cli, name)


def test_a_configuration_with_other_bytes_is_refused(cli, faulty, name):
    image = small_image(faulty)
    faulty.blobs[image.id] = image.config.replace(b"/bin/true", b"/bin/evil")
    assert "verification failed" in refusal(cli, name)


@pytest.mark.parametrize("change, words", [
    (lambda d: d.update(manifests=[]), "ambiguous manifest"),
    (lambda d: d.update(mediaType=OCI_MANIFEST), "ambiguous manifest"),
    (lambda d: d.update(schemaVersion=1), "schema 1 support has been removed"),
    (lambda d: d["layers"][0].update(size=-1), "size below zero"),
    (lambda d: d["layers"][0].update(digest="sha256:../../../etc/passwd"), "invalid manifest"),
    (lambda d: d["layers"][0].update(mediaType="application/x-evil"), "unsupported media type"),
    (lambda d: d["layers"].pop(), "don't match image configuration"),
    (lambda d: d["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json"), "unsupported media type"),
    (lambda d: d["layers"][0].update(size=12), "longer than its descriptor says"),
], ids=["both", "other type", "schema 1", "size", "path", "layer type", "layers", "artifact", "short"])
def test_manifests_that_are_wrong_or_mean_two_things_are_refused(cli, faulty, name, change, words):
    image = small_image(faulty)
    change(image.document)
    faulty.put_manifest("faults", "latest", image.manifest, DOCKER_MANIFEST)
    assert words in refusal(cli, name)


def test_a_manifest_with_a_member_twice_is_refused(cli, faulty, name):
    image = small_image(faulty)
    faulty.put_manifest("faults", "latest", image.manifest[:-1] + b', "schemaVersion": 2}', DOCKER_MANIFEST)
    assert "invalid manifest" in refusal(cli, name)


def test_a_manifest_that_is_too_large_is_refused(cli, faulty, name):
    faulty.put_manifest("faults", "latest", b" " * (5 << 20), DOCKER_MANIFEST)
    assert "longer than" in refusal(cli, name)


def test_a_manifest_with_another_digest_than_asked_for_is_refused(cli, faulty, name):
    image = small_image(faulty)
    wanted = "sha256:" + "1" * 64
    faulty.manifests[("faults", wanted)] = (image.manifest, DOCKER_MANIFEST)
    assert f"manifest verification failed for digest {wanted}" in cli("pull", f"{faulty.host}/faults@{wanted}", code=1).err


def test_indexes_give_the_image_of_the_machine(cli, faulty, name):
    ours = small_image(faulty)
    other = HandMadeImage([make_layer({"arm": b"arm"})], architecture="arm64").put(faulty, "faults", "arm")
    def entry(image, architecture):
        return {"mediaType": DOCKER_MANIFEST, "digest": digest_of(image.manifest), "size": len(image.manifest), "platform": {"os": "linux", "architecture": architecture}}
    def about(image, kind):
        statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind, "subject": [], "predicate": {}}).encode()
        faulty.blobs[digest_of(statement)] = statement
        layer = {"mediaType": "application/vnd.in-toto+json", "digest": digest_of(statement), "size": len(statement)}
        # A size can be any number.
        layers = [layer, *({**layer, "size": 2**63 - 1} for _ in range(2))]
        document = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layer, "layers": layers}).encode()
        faulty.put_manifest("faults", kind, document, OCI_MANIFEST)
        return {"mediaType": OCI_MANIFEST, "digest": digest_of(document), "size": len(document), "platform": {"os": "unknown", "architecture": "unknown"},
                "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest_of(image.manifest)}}
    def stated():
        with tarfile.open(fileobj=io.BytesIO(cli.binary("save", name))) as tar:
            documents = [tar.extractfile(member).read() for member in tar if member.isfile() and member.size < 100_000]
        return [json.loads(document)["predicateType"] for document in documents if b'"predicateType"' in document]
    entries = [entry(other, "arm64"), entry(ours, "amd64"), about(ours, "of-amd"), about(other, "of-arm")]
    index = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}).encode()
    faulty.put_manifest("faults", "latest", index, DOCKER_LIST)
    assert f"Digest: {digest_of(index)}" in cli("pull", name).out
    assert cli("image", "inspect", "-f", "{{.Id}}", name).line == ours.id and stated() == ["of-amd"]
    cli("pull", "--platform", "linux/arm64", name)
    assert cli("image", "inspect", "-f", "{{.Architecture}}", name).line == "arm64" and stated() == ["of-arm"]
    missing = cli("pull", "--platform", "linux/s390x", name, code=1).err
    assert "no matching manifest for linux/s390x in the manifest list entries" in missing


# -- what must not keep a pull from its end


def test_dropped_truncated_and_refused_answers_are_asked_for_again(cli, faulty, name):
    image = small_image(faulty)
    def broken(request):
        if "/blobs/" in request.path and random_.random() < 0.5:
            request.drop()
            return True
        if random_.random() < 0.3:
            request.failure(503, "UNAVAILABLE", "later", {"Retry-After": "0"})
            return True
        return False
    random_ = random.Random(SEED)
    faulty.fault = Plan(6, "/faults/", lambda request: broken(request))
    assert "Downloaded newer image" in cli("pull", name).out
    assert image.id.startswith("sha256:")


def test_a_link_that_drops_again_and_again_carries_each_byte_once(cli, faulty, name):
    image = HandMadeImage([make_layer({"file": noise(3 << 20, seed=hash(cli.name))})]).put(faulty, "faults")
    digest = digest_of(image.layers[0])
    def cut(request):
        if "/blobs/" + digest not in request.path or request.command != "GET":
            return False
        data = faulty.blobs[digest]
        start = int(request.headers["Range"].split("=")[1].split("-")[0]) if "Range" in request.headers else 0
        end = min(len(data), start + 400_000)
        if start:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.pour(digest, data, start, end)
        if end < len(data):
            request.close_connection = True
        return True
    faulty.fault = cut
    cli("pull", name)
    # Only what stood in buffers when a connection broke may have to come again: far less than every broken part.
    assert 0 <= faulty.sent[digest] - len(image.layers[0]) <= 2 * 400_000


def test_a_connection_that_brings_nothing_is_replaced(patient, faulty):
    image = small_image(faulty)
    digest = digest_of(image.layers[0])
    release = threading.Event()
    def stall(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(image.layers[0])))
        request.end_headers()
        request.pour(digest, image.layers[0], 0, 100_000)
        release.wait(30)
        return True
    faulty.fault = Plan(1, digest, stall)
    try:
        assert "Downloaded newer image" in patient.skiff("pull", f"{faulty.host}/faults", timeout=20).out
    finally:
        release.set()
    assert faulty.sent[digest] == len(image.layers[0])
    patient.skiff("rmi", f"{faulty.host}/faults")


def test_large_layers_come_over_several_connections(cli, faulty, name):
    image = HandMadeImage([make_layer({"big": noise(80 << 20, seed=3)}, compress=True)]).put(faulty, "faults")
    cli("pull", name)
    digest = digest_of(image.layers[0])
    parts = [headers["Range"] for method, path, headers in faulty.requests if digest in path]
    assert len(parts) > 3 and len(set(parts)) == len(parts) and faulty.sent[digest] == len(image.layers[0])
    cli("rmi", name)
    faulty.ranges = False
    faulty.sent.clear()
    cli("pull", name)
    assert faulty.sent[digest] == len(image.layers[0])


def test_a_layer_is_fetched_once_for_all_who_want_it(engine, faulty, name):
    image = HandMadeImage([make_layer({"file": noise(2 << 20, seed=5)})]).put(faulty, "faults")
    image.put(faulty, "faults", "second")
    faulty.bytes_per_second = 4 << 20
    pulls = [cli.start("pull", f"{faulty.host}/faults:{tag}") for cli in engine.commands.values() for tag in ("latest", "second")]
    for pull in pulls:
        output = pull.communicate(timeout=60)[0].decode()
        assert pull.returncode == 0 and ("Pull complete" in output or "Already exists" in output), output
    assert blob_sends(faulty, image) == [len(image.layers[0])]


def test_a_pull_stops_with_its_client_and_goes_on_with_the_next(cli, faulty, name):
    image = HandMadeImage([make_layer({"file": noise(4 << 20, seed=11)})]).put(faulty, "faults")
    faulty.bytes_per_second = 2 << 20
    pull = cli.start("pull", name)
    wait_for(lambda: sum(blob_sends(faulty, image)) > 1 << 20, "the first bytes")
    pull.kill()
    pull.communicate()
    faulty.bytes_per_second = None
    def quiet():
        before = sum(blob_sends(faulty, image))
        threading.Event().wait(0.3)
        return sum(blob_sends(faulty, image)) == before and before < len(image.layers[0])
    # Without a client nobody goes on fetching.
    assert wait_for(lambda: quiet() or sum(blob_sends(faulty, image)) == len(image.layers[0]), "the pull to stop")
    cli("pull", name)
    extra = sum(blob_sends(faulty, image)) - len(image.layers[0])
    # What was on its way when the client left: the buffers of the sockets, and one of ours.
    assert 0 <= extra < 6 << 20


# -- credentials stay where they belong


def test_redirects_take_no_credentials_elsewhere(cli, engine, faulty, name):
    elsewhere = FaultRegistry()
    try:
        image = small_image(faulty)
        elsewhere.blobs.update(faulty.blobs)
        def send_away(request):
            if request.headers.get("Authorization") is None:
                request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="here"'})
                return True
            if "/blobs/" in request.path:
                digest = request.path.rsplit("/", 1)[1]
                request.reply(307, b"", {"Location": f"http://{elsewhere.host}/storage/{digest}?signature=x"})
                return True
            return False
        faulty.fault = send_away
        cli("login", "-u", "ann", "--password-stdin", faulty.host, input="word")
        cli("pull", name)
        cli("logout", faulty.host)
        assert len(elsewhere.paths("/storage/")) >= len(image.layers)
        assert all("Authorization" not in headers for _, _, headers in elsewhere.requests)
        assert "word" not in engine.log.read_text() and "YW5uOndvcmQ" not in engine.log.read_text()
    finally:
        elsewhere.stop()


def test_a_challenge_from_elsewhere_is_not_answered(cli, faulty, name):
    """The registry redirects to a host that asks for a password, or names a token server of another site."""
    elsewhere = FaultRegistry()
    try:
        small_image(faulty)
        def greedy(request):
            request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="give"'})
            return True
        elsewhere.fault = greedy
        def ask(request):
            if request.headers.get("Authorization") is None:
                request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="here"'})
                return True
            if "/blobs/" in request.path:
                request.reply(307, b"", {"Location": f"http://{elsewhere.host}/storage/{request.path.rsplit('/', 1)[1]}"})
                return True
            return False
        faulty.fault = ask
        cli("login", "-u", "ann", "--password-stdin", faulty.host, input="word")
        cli("pull", name, code=1)
        if cli.name == "docker":  # What cannot be reached is tried again for half a minute.
            faulty.fault = lambda request: request.reply(401, b"{}", {"WWW-Authenticate": 'Bearer realm="http://tokens.invalid/token",service="x"'}) or True
            cli("pull", name, code=1)
        cli("logout", faulty.host)
        assert all("Authorization" not in headers for _, _, headers in elsewhere.requests)
    finally:
        elsewhere.stop()


def test_layers_of_foreign_addresses_are_not_fetched_from_there(cli, faulty, name):
    elsewhere = FaultRegistry()
    try:
        image = small_image(faulty)
        image.document["layers"][0]["urls"] = [f"http://{elsewhere.host}/storage/{digest_of(image.layers[0])}"]
        faulty.put_manifest("faults", "latest", image.manifest, DOCKER_MANIFEST)
        cli("pull", name)
        assert elsewhere.requests == []
    finally:
        elsewhere.stop()


# -- mirrors


def test_mirrors_are_asked_in_order_with_their_own_password(own_engine, faulty, tmp_path):
    mirror = FaultRegistry()
    silent = FaultRegistry()
    try:
        image = small_image(faulty)
        image.put(mirror, "faults")
        def closed(request):
            if request.headers.get("Authorization") != "Basic bWU6bWlycm9yIHdvcmQ=":
                request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="mirror"'})
                return True
            return False
        mirror.fault = closed
        (tmp_path / "password").write_text("mirror word\n")
        (tmp_path / "skiffd.json").write_text(json.dumps({"registries": {faulty.host: {"mirrors": [
            f"http://{silent.host}", {"url": f"http://{mirror.host}", "username": "me", "password-file": str(tmp_path / "password")}]}}}))
        engine = own_engine(arguments=["--config-file", tmp_path / "skiffd.json", "--max-download-attempts", "2"], image=False)
        engine.docker("pull", f"{faulty.host}/faults")
        assert silent.paths("/manifests/") and mirror.paths("/blobs/") and faulty.requests == []
        engine.docker("rmi", f"{faulty.host}/faults")
        mirror.fault = lambda request: request.failure(500, "UNKNOWN", "broken") or True
        engine.skiff("pull", f"{faulty.host}/faults")
        assert faulty.paths("/blobs/")
    finally:
        mirror.stop()
        silent.stop()


def test_hosts_toml_names_mirrors_in_their_order(own_engine, faulty, tmp_path):
    """As containerd reads it, and without a restart: who gives tags, who gives content, whose certificate is believed."""
    authority, certificate, key = make_authority(tmp_path)
    content, tags, silent = FaultRegistry(tls=(certificate, key)), FaultRegistry(), FaultRegistry()
    place = tmp_path / "certs" / faulty.host
    place.mkdir(parents=True)
    (place / "mirror.crt").write_text(authority.read_text())
    hosts = place / "hosts.toml"
    engine = own_engine(arguments=["--registry-certs", tmp_path / "certs", "--max-download-attempts", "2"], image=False)
    try:
        image = small_image(faulty)
        image.put(content, "faults")
        content.manifests.pop(("faults", "latest"))
        tags.manifests.update(faulty.manifests)
        hosts.write_text(
            f'server = "http://{faulty.host}"\n[host."http://{silent.host}"]\n[host."https://{content.host}"]\ncapabilities = ["pull"]\nca = "mirror.crt"\n'
            f'[host."https://{content.host}".header]\nx-key = "word"\n[host."http://{tags.host}"]\ncapabilities = ["resolve"]\n')
        for cli in engine.commands.values():
            cli("pull", f"{faulty.host}/faults")
            assert silent.paths("/manifests/latest") and tags.paths("/manifests/latest") and not tags.paths("/blobs/")
            assert content.paths("/blobs/") and not content.paths("/manifests/latest") and faulty.requests == []
            assert all(headers.get("x-key") == "word" for _, _, headers in content.requests)
            assert cli("image", "inspect", "-f", "{{.Id}}", f"{faulty.host}/faults").line == image.id
            cli("rmi", f"{faulty.host}/faults")
            for registry in (silent, tags, content):
                registry.requests.clear()
        # An authority that did not sign the mirror's certificate: the registry itself is asked.
        other = tmp_path / "other"
        other.mkdir()
        (place / "mirror.crt").write_text(make_authority(other)[0].read_text())
        engine.skiff("pull", f"{faulty.host}/faults")
        assert faulty.paths("/blobs/") and not content.paths("/blobs/")
        engine.skiff("rmi", f"{faulty.host}/faults")
        hosts.write_text("server = 5\n")
        refused = engine.docker("pull", f"{faulty.host}/faults", code=1).err
        assert f"{hosts}: server is no string" in refused
    finally:
        for registry in (content, tags, silent):
            registry.stop()


def test_a_setting_that_is_not_known_is_refused(tmp_path):
    from engine import PROGRAMS

    (tmp_path / "skiffd.json").write_text('{"registry-mirror": []}')
    run = subprocess.run([PROGRAMS / "skiffd", "--config-file", tmp_path / "skiffd.json", "--data-root", tmp_path / "d", "--exec-root", tmp_path / "r"], capture_output=True, text=True, timeout=30)
    assert run.returncode != 0 and "registry-mirror" in run.stderr


# -- without room (for pulls that are killed see test_pull_endurance.py)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("size", [6 << 20, 30 << 20])
def test_a_pull_that_does_not_fit_leaves_room(small_disk, own_engine, faulty, size):
    engine = own_engine(data_root=small_disk / "data")
    HandMadeImage([make_layer({"one": noise(size)}), make_layer({"two": noise(20 << 20, seed=2)})]).put(faulty, "faults")
    for cli in engine.commands.values():
        failed = cli("pull", f"{faulty.host}/faults", code=1)
        assert "no space left on device" in failed.err.lower()
    assert cli("images", "-q", f"{faulty.host}/faults").out == ""
    assert cli("run", "--rm", "busybox", "echo", "room").out == "room\n"
    engine.skiff("image", "prune", "-f")
    assert os.listdir(engine.data_root / "downloads") == []
    small_image(faulty)
    engine.skiff("pull", f"{faulty.host}/faults")
