"""`RUN --mount`: what a command sees while it runs, and what is left of it."""

import itertools
import json
import os
import socket
import threading
import time

import pytest

from test_build import build, no_cache_from_other_tests, run  # noqa: F401
from waiting import wait_for

CACHES = """FROM busybox
RUN --mount=type=cache,target=/root/.cache/pip,mode=0700 echo one >> /root/.cache/pip/log; cat /root/.cache/pip/log; stat -c %a /root/.cache/pip
RUN --mount=type=tmpfs,target=/fast,size=1m df -k /fast | tail -n 1 | awk '{print "size", $2}'; touch /fast/x
"""


def test_a_cache_and_memory_are_in_no_image(cli, engine, context):
    first = build(cli, context({"Dockerfile": CACHES}), "--no-cache")
    assert "one\n700\n" in first.all and "size 1024" in first.all
    second = build(cli, context({"Dockerfile": CACHES}), "--no-cache")
    assert "one\none\n" in second.all
    assert run(cli, "sh", "-c", "ls -A /root; ls -d /fast /run /dev/pipes 2>/dev/null; echo end") == "end\n"
    changes = json.loads(cli("inspect", "built").out)[0]["RootFS"]["Layers"]
    assert len(changes) == 1
    listed = [entry for entry in engine.client.api.df()["BuildCache"] if entry["Type"] == "exec.cachemount"]
    assert [entry["Description"] for entry in listed] == ["cached mount /root/.cache/pip"] and listed[0]["Size"] > 0
    cli("builder", "prune", "-f", "--filter", "type=exec.cachemount")
    assert "one\n700\n" in build(cli, context({"Dockerfile": CACHES}), "--no-cache").all


def test_binds_show_the_context_stages_and_images(cli, context):
    directory = context({
        "src/main": "main\n", "src/secret": "s", ".dockerignore": "**/secret\n",
        "Dockerfile": """FROM busybox AS tools
RUN mkdir /out && echo tool > /out/tool
FROM busybox
WORKDIR /work
RUN --mount=source=src,target=. --mount=from=tools,source=/out,target=/opt/tools,rw \
    cat main /opt/tools/tool > /result; ls; echo new > /opt/tools/more; touch main 2>&1; true
RUN --mount=from=tools,source=out/tool,target=/t cat /t; ls /opt; true
RUN --mount=from=busybox:latest,source=/etc,target=/e cat /e/passwd | grep -c alice
"""})
    shown = build(cli, directory).all
    assert "main\n" in shown and "secret" not in shown.split("Step 4/")[-1] and "Read-only file system" in shown
    assert run(cli, "sh", "-c", "cat /result; ls -A /work; ls -d /opt /t /e 2>/dev/null; true") == "main\ntool\n"


def test_a_mount_target_stays_inside_the_root(cli, context, tmp_path):
    victim = tmp_path / "victim"
    directory = context({"Dockerfile": f"""FROM busybox
RUN ln -s /../../../..{victim} /link && ln -s ../../../../../etc /up
RUN --mount=type=cache,target=/link/sub touch /link/sub/made
RUN --mount=type=tmpfs,target=/up/memory touch /up/memory/made
RUN --mount=type=cache,target=/../../../../../../way/out touch /way/out/made
"""})
    build(cli, directory)
    assert not victim.exists()
    assert run(cli, "sh", "-c", f"ls -d {victim} /etc/memory /way 2>&1 | grep -vc 'No such file'; true") == "0\n"


def test_a_user_sees_a_cache_and_a_secret_of_its_own(skiff, context, tmp_path):
    (tmp_path / "token").write_text("hush-from-file")
    directory = context({"Dockerfile": """FROM busybox
RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null; stat -c '%a %u' /run/secrets/token
USER alice
RUN --mount=type=secret,id=token,uid=1234,target=/tmp/t cat /tmp/t | rev
RUN --mount=type=secret,id=word,env=WORD echo "$WORD" | rev
RUN --mount=type=cache,target=/home/alice/c,uid=1234,gid=1234 touch /home/alice/c/x && echo made
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent && echo absent
"""})
    options = ["--secret", f"id=token,src={tmp_path / 'token'}", "--secret", "id=word,env=THE_WORD"]
    shown = skiff("build", *options, "-t", "built", directory, env={"THE_WORD": "hush-from-env"}, timeout=120).all
    assert "400 0\n" in shown and "elif-morf-hsuh" in shown and "vne-morf-hsuh" in shown and "made\n" in shown and "absent\n" in shown


def test_secrets_leave_no_trace(engine, skiff, context, tmp_path):
    (tmp_path / "token").write_text("planted-secret-value")
    directory = context({"Dockerfile": """FROM busybox
RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN test "$TOKEN" = "$(cat /run/secrets/token)" && echo used > /used
"""})
    skiff("build", "--secret", f"id=token,src={tmp_path / 'token'}", "-t", "built", directory, timeout=120)
    wanted = b"planted-secret-value"
    for root in (engine.data_root, engine.exec_root, engine.log):
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert wanted not in path.read_bytes(), path
    assert run(skiff, "sh", "-c", "ls -A /run/secrets 2>/dev/null; cat /used") == "used\n"
    assert "planted" not in skiff("history", "--no-trunc", "built").out + skiff("inspect", "built").out


@pytest.mark.parametrize("line, message", [
    ("RUN --mount=type=secret,id=absent,required true", "secret absent: not found"),
    ("RUN --mount=type=ssh,required true", 'no SSH key "default" forwarded'),
    ("RUN --mount=type=bind,source=nosuch,target=/x true", "nosuch"),
    ("RUN --mount=type=bind,from=busybox,source=/nosuch,target=/x true", "stat nosuch: file does not exist"),
    ("RUN --mount=type=bind,target=/proc/self true", "inside /proc"),
    ("RUN --mount=type=bind,target=/ true", 'invalid mount target "/"'),
    ("RUN --mount=type=cache,target=/bin/busybox true", "not a directory"),
])
def test_a_bad_mount_is_explained_and_leaves_nothing(engine, skiff, context, line, message):
    failed = build(skiff, context({"Dockerfile": f"FROM busybox\n{line}\n"}), code=1)
    assert message.lower() in failed.err.lower()
    assert not [path for path in (engine.data_root / "tmp").iterdir() if path.name.startswith(("build-", "context-", "step-"))]


def test_a_script_with_an_interpreter_line(skiff, context):
    directory = context({"Dockerfile": "FROM busybox\nRUN <<EOF\n#!/bin/awk -f\nBEGIN { print \"from awk\" > \"/said\" }\nEOF\n"})
    build(skiff, directory)
    assert run(skiff, "cat", "/said") == "from awk\n"


def test_two_builds_share_a_cache_or_wait_for_it(skiff, context):
    locked = context({"Dockerfile": "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c,sharing=locked "
                                    "test ! -e /c/busy && touch /c/busy && sleep 0.3 && rm /c/busy\n"})
    running = [skiff.start("build", "--build-arg", f"N={number}", locked) for number in range(3)]
    for process in running:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out


def test_a_cache_that_changes_while_others_mount_below_it(engine, skiff, context, tmp_path):
    """One command exchanges a directory of a cache for a link out of the container, others mount onto what is below it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    racer = skiff.start("build", context({"Dockerfile": f"""FROM busybox
RUN --mount=type=cache,target=/c mkdir -p /c/real/x && ln -sfn /../../../..{victim} /c/link && touch /c/begun && \
    while test ! -e /c/done; do mv /c/real /c/d; mv /c/d /c/real; mv /c/link /c/d; mv /c/d /c/link; done; rm -f /c/done
"""}, "racer"))
    lines = "".join(
        f"RUN --mount=type=cache,target=/c --mount=type=cache,target=/c/d/x/{number} --mount=type=tmpfs,target=/c/d/y{number} true\n"
        for number in range(4))
    wait_for(lambda: any(path.name == "begun" for path in (engine.data_root / "cache-mounts").rglob("begun")), "the racer to begin")
    # A directory that is a link to nowhere just now is a failure of the command, not of the host.
    # So that a whole round of failures proves nothing, it is tried until one command has run.
    end = time.monotonic() + 60
    for number in itertools.count():
        shown = build(skiff, context({"Dockerfile": "FROM busybox\n" + lines}, f"others{number}"), "--no-cache", code=None).all
        if "Step 3/" in shown or time.monotonic() > end:
            break
    if "Step 3/" not in shown:
        # It must not go on beside the other tests.
        racer.terminate()
        racer.communicate()
    assert "Step 3/" in shown
    assert list(victim.iterdir()) == []
    build(skiff, context({"Dockerfile": "FROM busybox\nRUN --mount=type=cache,target=/c touch /c/done\n"}, "end"), "--no-cache")
    out, _ = racer.communicate(timeout=60)
    assert racer.returncode == 0, out
    assert list(victim.iterdir()) == []


def test_a_user_reads_the_context_that_is_mounted(skiff, context):
    project = context({"f": "main\n", "Dockerfile": """FROM busybox
USER 1234
RUN --mount=target=/m --mount=from=named,target=/n cat /m/f /n/g
"""})
    named = context({"g": "named\n"}, "named")
    assert "main\nnamed\n" in build(skiff, project, "--build-context", f"named={named}").all


def test_names_that_are_paths_stay_names(engine, skiff, context):
    directory = context({"Dockerfile": """FROM busybox
RUN --mount=type=cache,id=../../../../escape,target=/c touch /c/x
RUN --mount=type=secret,id=../../s,required cat /run/secrets/s && ls /run/secrets
"""})
    shown = skiff("build", "--secret", "id=../../s,env=S", "-t", "built", directory, env={"S": "value"})
    assert "values\n" in shown.out
    assert not [path for path in engine.directory.rglob("*escape*")]


def test_an_agent_is_reached_by_the_command(engine, skiff, context, tmp_path):
    """A server that plays the agent: it answers everything with its length."""
    place = tmp_path / ("a" * 60) / ("b" * 60) / "agent.sock"
    place.parent.mkdir(parents=True)
    directory = context({"Dockerfile": """FROM busybox
USER alice
RUN --mount=type=ssh,uid=1234 --mount=type=ssh,id=other,target=/tmp/agent,mode=0666 --mount=type=cache,target=/c,uid=1234,id=agent \\
    echo "$SSH_AUTH_SOCK"; stat -c '%F %a %u' $SSH_AUTH_SOCK /tmp/agent; touch /c/begun; until test -e /c/done; do usleep 10000; done
RUN test -z "$SSH_AUTH_SOCK"; ls -A /run/buildkit /tmp 2>/dev/null; true
"""})
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(place.parent, os.O_PATH)
        server.bind(f"/proc/self/fd/{here}/agent.sock")
        server.listen()
        building = skiff.start("build", "--ssh", f"default={place}", "--ssh", f"other={place}", "-t", "built", directory)
        wait_for(lambda: list((engine.data_root / "cache-mounts").glob("*/begun")), "the command to begin")
        [cache] = (engine.data_root / "cache-mounts").glob("*/begun")
        relays = list((engine.exec_root / "builds").glob("*/agent-*.sock"))
        assert len(relays) == 2
        for relay in relays:
            folder = os.open(relay.parent, os.O_PATH)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"/proc/self/fd/{folder}/{relay.name}")
                peer, _ = server.accept()
                with peer:
                    # More than fits into the buffers between, so that both sides have to move.
                    sending = threading.Thread(target=client.sendall, args=(bytes(3_000_000),))
                    sending.start()
                    received = 0
                    while received < 3_000_000:
                        received += len(peer.recv(65536))
                    sending.join()
                    client.shutdown(socket.SHUT_WR)
                    assert peer.recv(1) == b""
                    peer.sendall(b"answer")
                assert client.makefile("rb").read() == b"answer"
            os.close(folder)
        cache.with_name("done").touch()
        shown, _ = building.communicate(timeout=60)
        os.close(here)
    assert building.returncode == 0
    assert b"/run/buildkit/ssh_agent.0\nsocket 600 1234\nsocket 666 0\n" in shown
    assert run(skiff, "sh", "-c", "ls -A /run/buildkit /tmp 2>/dev/null; true") == "/tmp:\n"
    assert "is no socket" in skiff("build", "--ssh", f"default={tmp_path}", directory, code=1).err
    assert "SSH_AUTH_SOCK" in skiff("build", "--ssh", "default", directory, code=None, env={"SSH_AUTH_SOCK": ""}).err
