"""Pull, push, login and search against Debian's registry, with both clients."""

import json
import subprocess

import pytest

from registries import DebianRegistry, TokenServer, htpasswd_auth, make_authority, token_auth


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    registry = DebianRegistry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A registry that wants a password."""
    directory = tmp_path_factory.mktemp("closed")
    registry = DebianRegistry(directory, auth=htpasswd_auth(directory, {"ann": "secret:word"}))
    yield registry
    registry.stop()


@pytest.fixture
def built(engine, context):
    """An image with a layer of its own on busybox; both names of a test's images go afterwards."""
    engine.docker("build", "-q", "-t", "mine:1", context({"Dockerfile": "FROM busybox\nCOPY file /file\nCMD [\"cat\", \"/file\"]\n", "file": "content\n"}))
    yield "mine:1"
    for image in engine.client.images.list():
        if "busybox:latest" in image.tags:
            keep = ["busybox:latest"]
        else:
            keep = []
        for name in set(image.tags + image.attrs["RepoDigests"]) - set(keep):
            engine.docker("rmi", "-f", name, code=None)


def forget(cli, *names):
    """Removes images, and the results of the builds that made them: nothing is left to take layers from."""
    result = cli("rmi", *names)
    cli("builder", "prune", "-af")
    return result


def copy(*arguments):
    return subprocess.run(["skopeo", "--insecure-policy", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def layers_of(cli, name):
    return json.loads(cli("image", "inspect", "-f", "{{json .RootFS.Layers}}", name).out)


def test_develop_ship_run_elsewhere(cli, closed, built):
    name = f"{closed.host}/ann/simple-translate"
    assert "Login Succeeded" in cli("login", "-u", "ann", "--password-stdin", closed.host, input="secret:word\n").out
    cli("tag", built, name)
    pushed = cli("push", name)
    assert f"The push refers to repository [{name}]" in pushed.out and "Using default tag: latest" in pushed.out
    assert ": Pushed" in pushed.out or "Layer already exists" in pushed.out or "Mounted from" in pushed.out
    assert "latest: digest: sha256:" in pushed.out and " size: " in pushed.out
    removed = forget(cli, built, name)
    assert f"Untagged: {name}:latest" in removed.out and f"Untagged: {name}@sha256:" in removed.out
    pulled = cli("pull", name)
    assert "Already exists" in pulled.out and "Pull complete" in pulled.out
    assert f"Status: Downloaded newer image for {name}:latest" in pulled.out and pulled.lines[-1] == f"{name}:latest"
    assert cli("run", "--rm", name).out == "content\n"
    assert f"Status: Image is up to date for {name}:latest" in cli("pull", name).out
    assert "Removing login credentials" in cli("logout", closed.host).out
    refused = cli("pull", name, code=1)
    assert "no basic auth credentials" in refused.err


def test_login_is_kept_for_its_owner_alone_and_wrong_passwords_are_not(cli, closed, tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text('{"detachKeys": "ctrl-q", "HttpHeaders": {"X-Mine": "1"}}')
    (config / "config.json").chmod(0o600)
    env = {"DOCKER_CONFIG": str(config)}
    refused = cli("login", "-u", "ann", "--password-stdin", closed.host, input="wrong", code=1, env=env)
    assert "401 Unauthorized" in refused.err and "auths" not in (config / "config.json").read_text()
    done = cli("login", "-u", "ann", "-p", "secret:word", closed.host, env=env)
    assert "WARNING! Using" in done.err and "unencrypted" in done.err and "Login Succeeded" in done.out
    kept = json.loads((config / "config.json").read_text())
    assert kept["detachKeys"] == "ctrl-q" and kept["HttpHeaders"] == {"X-Mine": "1"} and closed.host in kept["auths"]
    assert (config / "config.json").stat().st_mode & 0o777 == 0o600
    assert "Authenticating with existing credentials" in cli("login", closed.host, env=env).all
    cli("logout", closed.host, env=env)
    assert closed.host not in json.loads((config / "config.json").read_text()).get("auths", {})
    assert "Cannot perform an interactive login from a non" in cli("login", closed.host, code=1, env=env).err


def test_credential_helpers_keep_the_password(cli, closed, built, tmp_path):
    """Each client stores with one helper and both read from it."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    helper = bin_ / "docker-credential-tests"
    helper.write_text(
        "#!/usr/bin/python3\nimport json, pathlib, sys\n"
        f"store = pathlib.Path({str(tmp_path / 'store')!r})\n"
        "data = json.loads(store.read_text()) if store.exists() else {}\n"
        "verb, text = sys.argv[1], sys.stdin.read()\n"
        "if verb == 'store':\n    entry = json.loads(text)\n    data[entry['ServerURL']] = entry\n    store.write_text(json.dumps(data))\n"
        "elif verb == 'get':\n    if text.strip() not in data:\n        print('credentials not found in native keychain')\n        sys.exit(1)\n    print(json.dumps(data[text.strip()]))\n"
        "elif verb == 'erase':\n    data.pop(text.strip(), None)\n    store.write_text(json.dumps(data))\n"
        "elif verb == 'list':\n    print(json.dumps({key: value['Username'] for key, value in data.items()}))\n")
    helper.chmod(0o755)
    import os

    for setting in ({"credsStore": "tests"}, {"credHelpers": {closed.host: "tests"}}):
        config = tmp_path / f"config-{len(setting)}-{next(iter(setting))}"
        config.mkdir()
        (config / "config.json").write_text(json.dumps(setting))
        env = {"DOCKER_CONFIG": str(config), "PATH": f"{bin_}:{os.environ['PATH']}"}
        cli("login", "-u", "ann", "--password-stdin", closed.host, input="secret:word", env=env)
        assert "secret" not in (config / "config.json").read_text() and "secret:word" in (tmp_path / "store").read_text()
        name = f"{closed.host}/helped:{cli.name}"
        cli("tag", built, name)
        cli("push", name, env=env)
        cli("logout", closed.host, env=env)
        assert json.loads((tmp_path / "store").read_text()) == {}
        assert "no basic auth credentials" in cli("push", name, env=env, code=1).err


def test_a_second_image_on_the_same_base_brings_only_its_own_layer(cli, engine, registry, built, context):
    cli("tag", "busybox", f"{registry.host}/base")
    cli("push", f"{registry.host}/base")
    cli("tag", built, f"{registry.host}/{cli.name}/second")
    second = cli("push", f"{registry.host}/{cli.name}/second").out
    assert "Mounted from base" in second or "Layer already exists" in second
    forget(cli, f"{registry.host}/{cli.name}/second", built)
    pulled = cli("pull", f"{registry.host}/{cli.name}/second").out
    assert pulled.count("Already exists") == 1 and pulled.count("Pull complete") == 1
    assert layers_of(cli, f"{registry.host}/{cli.name}/second")[0] == layers_of(cli, "busybox")[0]
    assert "Layer already exists" in cli("push", f"{registry.host}/{cli.name}/second").out


def test_digests_are_the_same_here_and_there(cli, registry, built):
    name = f"{registry.host}/digests/{cli.name}"
    cli("tag", built, f"{name}:1")
    digest = next(line for line in cli("push", f"{name}:1").lines if "digest: " in line).split()[2]
    assert json.loads(copy("inspect", "--tls-verify=false", f"docker://{name}:1"))["Digest"] == digest
    assert json.loads(cli("image", "inspect", "-f", "{{json .RepoDigests}}", f"{name}:1").out) == [f"{name}@{digest}"]
    assert digest in cli("images", "--digests", name).out
    cli("rmi", f"{name}:1")
    by_digest = cli("pull", f"{name}@{digest}")
    assert f"Digest: {digest}" in by_digest.out and by_digest.lines[-1] == f"{name}@{digest}"
    assert cli("run", "--rm", f"{name}@{digest}").out == "content\n"
    cli("rmi", f"{name}@{digest}")
    assert cli("pull", "-q", f"{name}:1").out == f"{name}:1\n"


@pytest.mark.parametrize("form", ["v2s2", "oci", "zstd"])
def test_what_skopeo_copies_comes_and_goes_with_its_digest(cli, registry, built, tmp_path, form):
    name = f"{registry.host}/skopeo/{cli.name}-{form}"
    cli("tag", built, f"{name}:ours")
    cli("push", f"{name}:ours")
    options = {"v2s2": ["--format", "v2s2"], "oci": ["--format", "oci"], "zstd": ["--format", "oci", "--dest-compress-format", "zstd"]}[form]
    place = f"dir:{tmp_path}/layout" if form == "v2s2" else f"oci:{tmp_path}/layout:1"
    copy("copy", "--src-tls-verify=false", *options, f"docker://{name}:ours", place)
    copy("copy", "--dest-tls-verify=false", "--preserve-digests", place, f"docker://{name}-copy:1")
    digest = json.loads(copy("inspect", "--tls-verify=false", f"docker://{name}-copy:1"))["Digest"]
    cli("rmi", f"{name}:ours", built)
    assert f"Digest: {digest}" in cli("pull", f"{name}-copy:1").out
    assert cli("run", "--rm", f"{name}-copy:1").out == "content\n"
    cli("tag", f"{name}-copy:1", f"{name}-copy:2")
    assert f"2: digest: {digest}" in cli("push", f"{name}-copy:2").out
    # To another repository of the registry nothing has to be made anew either.
    cli("tag", f"{name}-copy:1", f"{name}-third:1")
    third = cli("push", f"{name}-third:1").out
    assert f"1: digest: {digest}" in third and "Mounted from" in third and "Pushed" not in third


def test_layers_are_compressed_the_same_each_time(engine, registry, tmp_path_factory, built):
    """Two registries that know nothing of each other get the same blobs."""
    other = DebianRegistry(tmp_path_factory.mktemp("other"))
    try:
        found = []
        for host in (registry.host, other.host):
            engine.skiff("tag", built, f"{host}/same")
            found.append(next(line for line in engine.skiff("push", f"{host}/same").lines if "digest: " in line).split()[2])
        assert found[0] == found[1]
    finally:
        other.stop()


def test_all_tags_come_and_go(cli, registry, built):
    name = f"{registry.host}/tags/{cli.name}"
    for tag in ("1", "2"):
        cli("tag", built, f"{name}:{tag}")
    pushed = cli("push", "-a", name).out
    assert "1: digest: " in pushed and "2: digest: " in pushed
    cli("rmi", f"{name}:1", f"{name}:2")
    cli("pull", "-a", name)
    assert {f"{name}:1", f"{name}:2"} <= set(cli("images", "--format", "{{.Repository}}:{{.Tag}}", name).lines)


def test_what_is_not_there_is_said_in_dockers_words(cli, registry, built):
    missing = cli("pull", f"{registry.host}/nothing:here", code=1).err
    assert f"Error response from daemon: manifest for {registry.host}/nothing:here not found: manifest unknown: manifest unknown" in missing
    assert "An image does not exist locally with the tag" in cli("push", f"{registry.host}/never-tagged", code=1).err or \
        "tag does not exist" in cli("push", f"{registry.host}/never-tagged", code=1).err
    cli("tag", built, f"{registry.host}/here:1")
    cli("push", f"{registry.host}/here:1")
    absent = cli("pull", "--platform", "linux/s390x", f"{registry.host}/here:1", code=1).err
    assert "does not match the specified platform" in absent or "no matching manifest" in absent
    refused = cli("pull", "127.0.0.1:9/x", code=1).err
    assert "connection refused" in refused


def test_run_and_create_get_missing_images(cli, registry, built):
    name = f"{registry.host}/run/{cli.name}:1"
    cli("tag", built, name)
    cli("push", name)
    forget(cli, name, built)
    never = cli("run", "--rm", "--pull", "never", name, code=125).err
    assert "No such image" in never
    ran = cli("run", "--rm", name)
    assert ran.out == "content\n" and f"Unable to find image '{name}' locally" in ran.err
    assert "Pull complete" in ran.err and "Status: Downloaded newer image" in ran.err
    again = cli("run", "--rm", "--pull", "always", name)
    assert again.out == "content\n" and "Image is up to date" in again.err
    forget(cli, name)
    quiet = cli("run", "--rm", "-q", name)
    assert quiet.out == "content\n" and "Pull complete" not in quiet.err
    cli("rmi", name)
    assert len(cli("create", name).line) == 64
    failed = cli("run", "--rm", f"{registry.host}/run/none", code=125).err
    assert "Unable to find image" in failed and "manifest unknown" in failed


def test_a_build_gets_its_base_image(cli, closed, built, context):
    name = f"{closed.host}/base/{cli.name}:1"
    cli("login", "-u", "ann", "--password-stdin", closed.host, input="secret:word")
    cli("tag", built, name)
    cli("push", name)
    cli("rmi", name, built)
    directory = context({"Dockerfile": f"FROM {name}\nCOPY --from={name} /file /again\nCMD [\"cat\", \"/again\"]\n"}, "base-context")
    cli("build", "-t", f"on-{cli.name}", directory)
    assert cli("run", "--rm", f"on-{cli.name}").out == "content\n"
    assert "up to date" in cli("build", "--pull", "--no-cache", "-t", f"on-{cli.name}", directory).all
    cli("rmi", "-f", f"on-{cli.name}")
    cli("logout", closed.host)


def test_a_registry_with_tls_is_trusted_by_its_authority_alone(own_engine, tmp_path):
    authority, certificate, key = make_authority(tmp_path)
    registry = DebianRegistry(tmp_path, tls=(certificate, key))
    try:
        trusted = tmp_path / "certs" / registry.host
        trusted.mkdir(parents=True)
        engine = own_engine(arguments=["--registry-certs", tmp_path / "certs"])
        # On this machine a registry without a known authority is taken, as Docker does.
        for cli in engine.commands.values():
            cli("tag", "busybox", f"{registry.host}/tls")
            cli("push", f"{registry.host}/tls")
        (trusted / "ca.crt").write_text(authority.read_text())
        engine.restart()
        for cli in engine.commands.values():
            cli("pull", f"{registry.host}/tls")
        other = tmp_path / "other"
        other.mkdir()
        (trusted / "ca.crt").write_text(make_authority(other)[0].read_text())
        engine.restart()
        for cli in engine.commands.values():
            assert "certificate" in cli("pull", f"{registry.host}/tls", code=1).err
    finally:
        registry.stop()


def test_tokens_are_asked_for_as_far_as_they_are_wanted(cli, tmp_path, built):
    tokens = TokenServer(tmp_path, {"ann": "word"})
    registry = DebianRegistry(tmp_path, auth=token_auth(tokens))
    name = f"{registry.host}/ann/token"
    try:
        cli("tag", built, name)
        assert "denied: requested access to the resource is denied" in cli("push", name, code=1).err
        assert "Unauthorized" in cli("login", "-u", "ann", "--password-stdin", registry.host, input="not it", code=1).err
        cli("login", "-u", "ann", "--password-stdin", registry.host, input="word")
        cli("push", name)
        # The login has brought a token that is used in place of the password.
        assert any(method == "POST" and user == "ann" for method, user, _ in tokens.requests)
        assert ["repository:ann/token:pull,push"] in [scopes for _, _, scopes in tokens.requests]
        cli("logout", registry.host)
        forget(cli, name, built)
        cli("pull", name)
        assert tokens.requests[-1] == ("GET", None, ["repository:ann/token:pull"])
        assert "manifest unknown" in cli("pull", f"{registry.host}/ann/other", code=1).err
    finally:
        registry.stop()
        tokens.stop()


def test_names_of_a_registry_are_searched(cli, registry, built):
    cli("tag", built, f"{registry.host}/found/{cli.name}-app")
    cli("push", f"{registry.host}/found/{cli.name}-app")
    table = cli("search", f"{registry.host}/{cli.name}-app").lines
    assert table[0].split()[:3] == ["NAME", "DESCRIPTION", "STARS"] and table[1].split()[0] == f"found/{cli.name}-app"


def test_a_manifest_is_shown_without_a_pull(engine, registry, built):
    name = f"{registry.host}/manifest:1"
    engine.skiff("tag", built, name)
    digest = next(line for line in engine.skiff("push", name).lines if "digest: " in line).split()[2]
    shown = json.loads(engine.skiff("manifest", "inspect", name).out)
    assert shown["schemaVersion"] == 2 and len(shown["layers"]) == 2
    data = engine.client.images.get_registry_data(name)
    assert data.id == digest and data.attrs["Platforms"][0]["os"] == "linux"
    assert "manifest unknown" in engine.skiff("manifest", "inspect", f"{registry.host}/manifest:none", code=1).err
