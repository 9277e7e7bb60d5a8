"""`build --lock` and `--locked`: what comes from elsewhere is written down, and taken just so."""

import hashlib
import json

from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from test_build_sources import repository, site  # noqa: F401
from test_registry import registry  # noqa: F401


def test_inputs_are_written_down_and_held_to(skiff, registry, site, repository, context, tmp_path):
    base = f"{registry.host}/base:1"
    skiff("tag", "busybox", base)
    skiff("push", base)
    site.pages["/f"] = b"first"
    address = f"{repository.url}?tag=v1"
    project = context({"Dockerfile": f"FROM {base}\nADD {site.url}/f /f\nADD {address} /git\nCMD cat /f /git/docs/page\n"})
    lock = tmp_path / "build.lock"
    build(skiff, project, "--lock", lock)
    known = json.loads(lock.read_text())
    image = skiff("inspect", "-f", "{{.Id}}", "busybox").line
    (platform, entry), = known["images"][base].items()
    assert known["version"] == 1 and platform.startswith("linux/") and entry["id"] == image and entry["digest"].startswith("sha256:")
    assert known["files"] == {f"{site.url}/f": "sha256:" + hashlib.sha256(b"first").hexdigest()}
    assert known["repositories"] == {address: repository.first}
    first = skiff("inspect", "-f", "{{.Id}}", "built").line

    # The tag means another image now, and the one that it meant is not here any more.
    other = context({"Dockerfile": "FROM busybox\nLABEL other=1\n"}, "other")
    build(skiff, other, tag=base)
    skiff("push", base)
    again = tmp_path / "again.lock"
    build(skiff, project, "--locked", lock, "--lock", again)
    assert skiff("inspect", "-f", "{{.Id}}", "built").line == first
    assert again.read_text() == lock.read_text()
    build(skiff, project, tag="loose")
    assert skiff("inspect", "-f", '{{index .Config.Labels "other"}}', "loose").line == "1"

    # Another content is refused by name.
    site.pages["/f"] = b"second"
    failed = build(skiff, project, "--no-cache", "--locked", lock, code=1).err
    assert f"{site.url}/f has the content sha256:" in failed and "the lock file says sha256:" in failed

    def refused(change, message, file=tmp_path / "bad.lock"):
        wrong = json.loads(lock.read_text())
        change(wrong)
        file.write_text(json.dumps(wrong))
        assert message in build(skiff, project, "--locked", file, code=1).err

    refused(lambda wrong: wrong["files"].clear(), f"the lock file has no file {site.url}/f")
    refused(lambda wrong: wrong["repositories"].clear(), f"the lock file has no repository {address}")
    refused(lambda wrong: wrong["images"].clear(), f"the lock file has no image {base} for {platform}")
    refused(lambda wrong: wrong.update(version=9), "the lock file has version 9, only 1 is known here")
    gone = "sha256:" + "0" * 64
    refused(lambda wrong: wrong["images"][base].update({platform: {"id": gone}}), "is not here, and came from no registry")
    refused(lambda wrong: wrong["images"][base].update({platform: {"id": gone, "digest": entry["digest"]}}), f"the lock file says {gone}")
    assert "failed to read the lock file" in build(skiff, project, "--locked", tmp_path / "none", code=1).err


def test_a_context_from_elsewhere_is_an_input(skiff, repository, tmp_path):
    lock = tmp_path / "build.lock"
    address = f"{repository.url}#main:docs"
    build(skiff, address, "--lock", lock)
    known = json.loads(lock.read_text())
    assert known["repositories"] == {address: repository.second}
    lock.write_text(lock.read_text().replace(repository.second, repository.first))
    build(skiff, address, "--locked", lock)
    assert run(skiff, "cat", "/page") == "first\n"
