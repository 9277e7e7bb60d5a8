"""A context that is not sent: the engine reads the user's own folder, and makes of it what it makes of an archive."""

import itertools
import json
import os
import threading
from pathlib import Path

from test_build import build, cached_steps, no_cache_from_other_tests, run  # noqa: F401

FILES = {
    "Dockerfile": "FROM busybox\nCOPY . /all\nCOPY --chown=alice d /d\nADD d/*.sh link /files/\n", ".dockerignore": "**/*.log\n!keep.log\n", "a.log": "", "keep.log": "k",
    "d/run.sh": "#!/bin/sh\n", "d/deep/er/f": "f"}


def folder(context):
    directory = context(FILES)
    (directory / "d/run.sh").chmod(0o4755)
    (directory / "d/deep").chmod(0o2711)
    (directory / "link").symlink_to("keep.log")
    (directory / "d/away").symlink_to("/etc/passwd")
    os.link(directory / "keep.log", directory / "d/same")
    os.mkfifo(directory / "d/pipe")
    os.mknod(directory / "d/null", 0o20666, os.makedev(1, 3))
    os.chown(directory / "d/deep/er/f", 7, 8)
    os.utime(directory / "keep.log", ns=(1, 1_234_567_890_123_456_789))
    return directory


def layers(engine, name):
    return engine.client.api.inspect_image(name)["RootFS"]["Layers"]


def test_it_is_as_if_it_had_been_sent(engine, context):
    directory = folder(context)
    sent = build(engine.docker, directory, "--no-cache", tag="sent")
    read = build(engine.skiff, directory, tag="read")
    assert cached_steps(read.all) == 3, read.all
    build(engine.skiff, directory, "--no-cache", tag="read")
    shown = "cd /; find all d files -mindepth 1 | sort | xargs stat -c '%n %F %a %u:%g %s %h %y'"
    assert run(engine.docker, "sh", "-c", shown, image="read") == run(engine.docker, "sh", "-c", shown, image="sent"), sent.all
    assert run(engine.docker, "sh", "-c", "ls -a /all", image="read").split() == [".", "..", ".dockerignore", "Dockerfile", "d", "keep.log", "link"]


def test_a_command_that_mounts_the_context_gets_a_copy(skiff, context):
    directory = context({
        "Dockerfile": "FROM busybox\nRUN --mount=type=bind,target=/c,rw ls /c > /seen; rm /c/kept\nRUN --mount=type=tmpfs,target=/t true\n",
        ".dockerignore": "*.log\n", "kept": "k", "a.log": "mine"})
    build(skiff, directory)
    assert run(skiff, "cat", "/seen").split() == ["Dockerfile", "kept"]
    assert (directory / "a.log").read_text() == "mine" and (directory / "kept").read_text() == "k"


def test_another_folder_of_that_name_is_not_read(engine, context):
    directory = context({"Dockerfile": "FROM busybox\n"})
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    found = directory.stat()
    for path, identity, code in [
            (directory, f"{boot}:{found.st_dev}:{found.st_ino}", "ID"), (directory, f"{boot}:{found.st_dev}:{found.st_ino + 1}", "SendContext"),
            (directory, f"elsewhere:{found.st_dev}:{found.st_ino}", "SendContext"), (directory / "none", f"{boot}:1:1", "SendContext"), ("relative", "", "SendContext")]:
        answer = engine.client.api._post(engine.client.api._url("/build"), params={"folder": str(path), "folderidentity": identity})
        told = [json.loads(line)["aux"] for line in answer.text.splitlines() if "aux" in json.loads(line)]
        assert [code in aux for aux in told] == [True], (path, identity, answer.text)


def test_files_that_change_meanwhile_are_never_kept_as_others(skiff, context):
    directory = context({"Dockerfile": "FROM busybox\nCOPY f /f\n"})
    contents = [letter * (8 << 20) for letter in (b"a", b"b")]
    ended = threading.Event()

    def change():
        for content in itertools.cycle(contents):
            with open(directory / "f", "r+b" if (directory / "f").exists() else "wb") as file:
                file.write(content)
            if ended.is_set():
                return
    writer = threading.Thread(target=change)
    writer.start()
    failures = [build(skiff, directory, code=None).err for _ in range(5)]
    ended.set()
    writer.join()
    assert all(not failure or "changed while they were copied" in failure for failure in failures), failures
    for content in contents:
        (directory / "f").write_bytes(content)
        build(skiff, directory)
        assert run(skiff, "sh", "-c", "tr -d '\\n' < /f | head -c 9000000 | tr -s ab").strip() == content[:1].decode()
