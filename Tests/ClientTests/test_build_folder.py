"""A context that is not sent: the engine reads the user's own folder, and makes of it what it makes of an archive."""

import itertools
import json
import os
import socket
import subprocess
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


def identity(directory, boot=None, inode=None):
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    opened = os.open(directory, os.O_RDONLY)
    mount = next(line.split()[1] for line in open(f"/proc/self/fdinfo/{opened}") if line.startswith("mnt_id:"))
    os.close(opened)
    found = os.stat(directory)
    return f"{boot}:{os.stat('/proc/self/ns/user').st_ino}:{mount}:{found.st_dev}:{inode or found.st_ino}"


def test_another_folder_of_that_name_is_not_read(engine, context):
    directory = context({"Dockerfile": "FROM busybox\n"})
    for path, known, code in [
            (directory, identity(directory), "ID"), (directory, identity(directory, inode=directory.stat().st_ino + 1), "SendContext"),
            (directory, identity(directory, boot="elsewhere"), "SendContext"), (directory / "none", identity(directory), "SendContext"),
            ("relative", "", "SendContext")]:
        answer = engine.client.api._post(engine.client.api._url("/build"), params={"folder": str(path), "folderidentity": known})
        told = [json.loads(line)["aux"] for line in answer.text.splitlines() if "aux" in json.loads(line)]
        assert [code in aux for aux in told] == [True], (path, known, answer.text)


def test_the_image_has_what_the_client_sees(skiff, context):
    directory = context({"Dockerfile": "FROM busybox\nCOPY . /all\n", "node_modules/ours": "of the host", "secret": "s"})
    elsewhere = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0/node_modules" && echo seen > "$0/node_modules/theirs" && exec "$@"', directory]
    subprocess.run([*elsewhere, *skiff.argv, "build", "-t", "built", directory], env=skiff.env, check=True, capture_output=True)
    assert run(skiff, "ls", "/all/node_modules").split() == ["theirs"]
    # Root of a user namespace without its rights.
    (directory / "secret").chmod(0)
    os.chown(directory / "secret", 4321, 4321)
    failed = subprocess.run(
        ["unshare", "--user", "--map-root-user", *skiff.argv, "build", directory], env=skiff.env, capture_output=True, text=True)
    assert failed.returncode == 1 and "ermission denied" in failed.stderr, failed
    # What is mounted there for everybody is seen by everybody.
    subprocess.run(["mount", "-t", "tmpfs", "none", directory / "node_modules"], check=True)
    try:
        (directory / "node_modules/both").touch()
        build(skiff, directory)
    finally:
        subprocess.run(["umount", directory / "node_modules"], check=True)
    assert run(skiff, "ls", "/all/node_modules").split() == ["both"]


def test_an_engine_that_does_not_read_folders_gets_an_archive(skiff, context, tmp_path):
    directory = context({"Dockerfile": "FROM busybox\n"})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        received = []

        def serve():
            for body in [b"OK", b'{"aux": {"ID": "sha256:1"}}']:
                connection, _ = listener.accept()
                with connection:
                    text = b""
                    while not text.endswith(b"\r\n0\r\n\r\n" if b"chunked" in text.lower() else b"\r\n\r\n"):
                        text += connection.recv(65536)
                    received.append(text)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nServer: Skiff/0.1 (linux)\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        subprocess.run([skiff.argv[0], "-H", f"unix://{tmp_path}/s", "build", "-q", directory], env=skiff.env, check=True, capture_output=True, timeout=20)
        server.join(20)
    assert b"/_ping" in received[0] and b"folder=" not in received[1] and b"FROM busybox" in received[1]


def test_locks_and_caches_of_a_folder(skiff, context, tmp_path):
    for mounts, seen in [("", []), ("--mount=type=bind,target=/c ", ["SendContext"])]:
        name = "sent" if mounts else "read"
        directory = context({"Dockerfile": f"FROM busybox\nCOPY f /f\nRUN {mounts}cat /proc/sys/kernel/random/uuid > /id\n", "f": "f"}, name)
        lock, cache = directory / "build.lock", tmp_path / f"{name}-cache"
        (directory / ".dockerignore").write_text("*.lock\n")
        told = build(skiff, directory, "--progress", "rawjson", "--lock", lock, "--cache-to", f"type=local,dest={cache},mode=max").out
        assert [key for line in told.splitlines() for key in json.loads(line).get("aux", {}) if key == "SendContext"] == seen
        first = run(skiff, "cat", "/id")
        assert list(json.loads(lock.read_text())["images"]) == ["docker.io/library/busybox:latest"], lock.read_text()
        skiff("rmi", "built")
        skiff("builder", "prune", "-af")
        build(skiff, directory, "--locked", lock, "--cache-from", f"type=local,src={cache}")
        assert run(skiff, "cat", "/id") == first
        lock.write_text(lock.read_text().replace("busybox", "other"))
        assert "the lock file has no image" in build(skiff, directory, "--locked", lock, code=1).err


def test_files_that_change_meanwhile_are_never_kept_as_others(skiff, context):
    directory = context({"Dockerfile": "FROM busybox\nCOPY f /f\n", "f": "a" * (8 << 20)})
    contents = [letter * (8 << 20) for letter in (b"a", b"b")]
    ended = threading.Event()

    def change():
        for content in itertools.cycle(contents):
            with open(directory / "f", "r+b") as file:
                file.write(content)
            if ended.is_set():
                return
    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(5):
            build(skiff, directory)
    finally:
        ended.set()
        writer.join()
    for content in contents:
        (directory / "f").write_bytes(content)
        build(skiff, directory)
        assert run(skiff, "sh", "-c", "tr -d '\\n' < /f | head -c 9000000 | tr -s ab").strip() == content[:1].decode()
