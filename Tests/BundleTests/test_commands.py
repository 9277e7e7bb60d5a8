"""The command line as callers know it from runc: options, what is written, exit codes."""

import array
import json
import os
import pwd
import re
import signal
import socket
import subprocess

import pytest

import cgroups
from bundle import eventually, reap
from schema import validate

MEBI = 1 << 20


def test_the_state_is_what_the_schema_says(bundle):
    bundle.start_sleeping()
    state = bundle.state()
    assert validate(state, "state-schema.json") == []
    assert state["bundle"] == str(bundle.directory) and state["rootfs"] == str(bundle.rootfs)
    assert state["owner"] in (pwd.getpwuid(os.getuid()).pw_name, "")


def test_features_are_what_the_schema_says(bundle, is_ours):
    done = bundle.call("features")
    features = json.loads(done.output)
    assert done.code == 0 and validate(features, "features-schema.json") == []
    assert {"rro", "rbind"} <= set(features["mountOptions"])
    if is_ours:
        assert features["linux"]["mountExtensions"]["idmap"]["enabled"] and features["linux"]["cgroup"]["systemd"]
        assert "org.opencontainers.runc.checkpoint.enabled" in features["annotations"]


@pytest.mark.parametrize("flags", [[], ["--rootless"]])
def test_a_specification_to_begin_with(bundle, flags):
    done = bundle.call("spec", *flags, "--bundle", bundle.directory)
    assert done.code == 0 and done.output == "", done
    spec = json.loads((bundle.directory / "config.json").read_text())
    assert validate(spec, "config-schema.json") == []
    again = bundle.call("spec", *flags, "--bundle", bundle.directory)
    assert again.code == 1 and "config.json exists. Remove it first" in again.error
    if not flags:
        spec["process"] |= {"terminal": False, "args": ["id", "-u"]}
        spec["linux"]["cgroupsPath"] = bundle.cgroup
        assert bundle.run(spec).output == "0\n"


def test_the_version_is_read_by_everybody(bundle):
    for flag in ("--version", "-v"):
        done = bundle.call(flag)
        first, *rest = done.output.splitlines()
        assert done.code == 0 and re.fullmatch(r"\S+ version \S+", first), done
        assert any(line.startswith("spec: 1.") for line in rest)


@pytest.mark.parametrize("words, code, text", [
    (["no-such-command"], 3, "no-such-command"), (["state"], 1, "requires exactly 1 argument"), (["kill"], 1, "requires"),
    (["state", "a", "b"], 1, "requires exactly 1 argument"), (["state", "--wrong", "a"], 1, "not defined: -wrong"),
    (["--wrong"], 1, "not defined: -wrong"), (["list", "--format", "xml"], 1, "invalid format"),
])
def test_a_command_line_that_makes_no_sense(bundle, words, code, text):
    done = bundle.call(*words)
    assert done.code == code and text in done.output + done.error, done


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], [], ["create", "--help"], ["help", "exec"]])
def test_help_is_told_and_no_error(bundle, words):
    done = bundle.call(*words)
    assert done.code == 0 and "USAGE:" in done.output, done


def test_containers_are_listed(make_bundle):
    first, second = make_bundle(), make_bundle()
    second.states = first.states
    assert json.loads(first.call("list", "--format", "json").output or "null") in (None, [])
    first.start_sleeping()
    second.start_sleeping()
    listed = json.loads(first.call("list", "-f", "json").output)
    assert {one["id"] for one in listed} == {first.id, second.id}
    assert all(one["status"] == "running" and one["owner"] == "root" for one in listed)
    header, *rows = first.call("list").output.splitlines()
    assert header.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert {row.split()[0] for row in rows} == {first.id, second.id} and rows[0].split()[-1] == "root"
    assert set(first.call("list", "-q").output.split()) == {first.id, second.id}


def test_processes_are_listed(bundle):
    bundle.start_sleeping(bundle.spec("sh", "-c", "sleep 600 & sleep 601; true"))
    pids = eventually(lambda: (lambda all: all if len(all) == 3 else None)(
        json.loads(bundle.call("ps", "--format", "json", bundle.id).output)))
    assert sorted(pids) == sorted(cgroups.processes(bundle.cgroup)) and bundle.pid() in pids
    header, *rows = bundle.call("ps", bundle.id).output.splitlines()
    column = header.split().index("PID")
    assert sorted(int(row.split()[column]) for row in rows) == sorted(pids)
    header, *rows = bundle.call("ps", bundle.id, "-e", "-o", "pid,comm").output.splitlines()
    assert header.split() == ["PID", "COMMAND"] and len(rows) == 3
    assert bundle.call("ps", bundle.id, "-e", "-o", "comm").code == 1


def test_limits_are_changed_by_options(bundle):
    bundle.start_sleeping()
    done = bundle.call("update", "--memory", "64m", "--memory-swap", str(128 * MEBI), "--cpu-period", "50000", "--cpu-quota", "25000",
                       "--cpu-share", "2048", "--pids-limit", "77", bundle.id)
    assert done.code == 0 and done.output == "", done
    assert cgroups.read(bundle.cgroup, "memory") == 64 * MEBI and cgroups.read(bundle.cgroup, "pids") == 77
    assert cgroups.processor_limit(bundle.cgroup) == (25000, 50000)
    assert bundle.call("update", "--memory-reservation", "16MiB", bundle.id).code == 0
    assert cgroups.read(bundle.cgroup, "reservation") == 16 * MEBI
    assert bundle.call("update", "--cpu-quota", "-1", "--memory", "-1", bundle.id).code == 0
    assert cgroups.processor_limit(bundle.cgroup)[0] is None
    assert cgroups.read(bundle.cgroup, "memory") in ("max", 0x7FFFFFFFFFFFF000)
    assert cgroups.read(bundle.cgroup, "pids") == 77


def test_limits_are_changed_by_a_document(bundle):
    bundle.start_sleeping()
    wanted = json.dumps({"memory": {"limit": 48 * MEBI}, "pids": {"limit": 33}})
    assert bundle.call("update", "-r", "-", bundle.id, input=wanted).code == 0
    assert cgroups.read(bundle.cgroup, "memory") == 48 * MEBI and cgroups.read(bundle.cgroup, "pids") == 33
    (bundle.directory / "limits").write_text('{"pids":{"limit":44}}')
    assert bundle.call("update", "--resources=limits", bundle.id).code == 0
    assert cgroups.read(bundle.cgroup, "pids") == 44


@pytest.mark.parametrize("words", [["--memory", "lots"], ["--cpu-period", "-5"], ["--cpu-quota", "x"], ["--l3-cache-schema", "L3:0=f"]])
def test_limits_that_make_no_sense_are_refused(bundle, words):
    bundle.start_sleeping()
    done = bundle.call("update", *words, bundle.id)
    assert done.code == 1 and done.error, done


def test_figures_in_runcs_form(bundle):
    bundle.start_sleeping(limited(bundle, {"memory": {"limit": 64 * MEBI}, "pids": {"limit": 20}}))
    done = bundle.call("events", "--stats", bundle.id)
    event = json.loads(done.output)
    assert done.code == 0 and event["type"] == "stats" and event["id"] == bundle.id
    data = event["data"]
    assert data["pids"] == {"current": 1, "limit": 20}
    assert data["memory"]["usage"]["limit"] == 64 * MEBI and data["memory"]["usage"]["usage"] > 0
    assert data["cpu"]["usage"]["total"] > 0 and {"kernel", "user"} <= set(data["cpu"]["usage"])
    assert {"throttling"} <= set(data["cpu"]) and data["memory"]["raw"]


def limited(bundle, resources):
    spec = bundle.spec("sleep", "600")
    spec["linux"]["resources"] |= resources
    return spec


def test_events_tell_figures_and_kills_until_the_end(bundle, is_ours):
    bundle.start_sleeping(limited(bundle, {"memory": {"limit": 32 * MEBI, "swap": 32 * MEBI}}))
    told = bundle.directory / "told"
    kinds = lambda: [json.loads(line)["type"] for line in told.read_text().splitlines() if line.endswith("}")]
    with open(told, "w") as output:
        process = subprocess.Popen(bundle.command("events", "--interval", "100ms", bundle.id), stdout=output)
    try:
        eventually(lambda: "stats" in kinds())
        assert bundle.exec("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1").code == 137
        eventually(lambda: "oom" in kinds())
        bundle.kill_and_wait()
        # runc does not notice the end where cgroups are hybrid.
        assert not is_ours or process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_an_exec_takes_its_options(bundle):
    bundle.start_sleeping()
    call = lambda *words: bundle.call("exec", *words[:-1], bundle.id, "sh", "-c", words[-1])
    assert call("--cwd", "/tmp", "pwd").output == "/tmp\n"
    assert call("-e", "A=1", "-e", "B=2", "echo $A$B").output == "12\n"
    assert call("--user", "1000:1001", "id -u; id -g").output == "1000\n1001\n"
    assert "2000" in call("-u", "1000:1000", "-g", "2000", "id -G").output.split()
    assert "NoNewPrivs:\t1" in call("--no-new-privs", "grep NoNewPrivs /proc/self/status").output
    assert call("--cap", "CAP_SYS_PTRACE", "grep CapBnd /proc/self/status").output != call("grep CapBnd /proc/self/status").output
    assert call("exit 17").code == 17
    assert call("kill -9 $$").code == 137


def test_an_exec_that_cannot_start_ends_with_255(bundle):
    assert bundle.exec("true").code in (1, 255)
    bundle.start_sleeping()
    missing = bundle.exec("no-such-program")
    assert missing.code == 255 and 'exec: "no-such-program": executable file not found in $PATH' in missing.error
    denied = bundle.exec("/etc")
    assert denied.code == 255 and ("permission denied" in denied.error or "is a directory" in denied.error)
    bundle.kill_and_wait()
    stopped = bundle.exec("true")
    assert stopped.code == 255 and "stopped container" in stopped.error


def test_an_exec_into_a_paused_container(bundle):
    bundle.start_sleeping()
    assert bundle.call("pause", bundle.id).code == 0
    done = bundle.exec("true")
    assert done.code == 255 and "cannot exec in a paused container" in done.error
    process = subprocess.Popen(bundle.command("exec", "--ignore-paused", bundle.id, "sh", "-c", "exit 5"), stderr=subprocess.PIPE)
    assert bundle.call("resume", bundle.id).code == 0
    assert process.wait(20) == 5
    process.stderr.close()


def test_an_exec_of_a_description(bundle):
    bundle.start_sleeping()
    process = bundle.spec("sh", "-c", "id -u; echo $X; exit 4")["process"] | {"user": {"uid": 7, "gid": 8}, "env": ["PATH=/bin", "X=y"]}
    (bundle.directory / "process.json").write_text(json.dumps(process))
    done = bundle.call("exec", "--process", "process.json", bundle.id)
    assert (done.code, done.output) == (4, "7\ny\n")


def test_an_exec_into_a_group_below_the_containers(bundle):
    bundle.start_sleeping()
    inner = cgroups.directory(bundle.cgroup) / "inner"
    inner.mkdir()
    name = "inner" if cgroups.is_version_two() else "memory:inner"
    done = bundle.call("exec", "--cgroup", name, bundle.id, "cat", "/proc/self/cgroup")
    assert done.code == 0 and "/inner\n" in done.output, done
    for wrong in ("../x", "nowhere"):
        refused = bundle.call("exec", "--cgroup", wrong if cgroups.is_version_two() else f"memory:{wrong}", bundle.id, "true")
        assert refused.code == 255, refused


def test_a_terminal_arrives_at_the_console_socket(bundle):
    spec = bundle.spec("sh", "-c", "tty; stty size", terminal=True, consoleSize={"height": 30, "width": 90})
    path = bundle.directory / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        bundle.create(spec, "--console-socket", path)
        connection, _ = listener.accept()
    with connection:
        terminal = received(connection)
    assert bundle.quiet("start", bundle.id).code == 0
    text = b""
    try:
        while b"30 90" not in text:
            text += os.read(terminal, 1024)
    finally:
        os.close(terminal)
    assert text.startswith(b"/dev/pts/0")


@pytest.mark.ours
def test_a_descriptor_of_the_process_arrives_at_its_socket(bundle):
    path = bundle.directory / "pidfd"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(2)
        bundle.create(bundle.spec("sleep", "600"), "--pidfd-socket", path)
        connection, _ = listener.accept()
        with connection:
            pidfd = received(connection)
        assert f"Pid:\t{bundle.pid()}\n" in open(f"/proc/self/fdinfo/{pidfd}").read()
        os.close(pidfd)
        assert bundle.quiet("start", bundle.id).code == 0
        done = bundle.quiet("exec", "-d", "--pidfd-socket", path, "--pid-file", "exec-pid", bundle.id, "sleep", "600")
        assert done.code == 0, done
        connection, _ = listener.accept()
        with connection:
            pidfd = received(connection)
        pid = int((bundle.directory / "exec-pid").read_text())
        assert f"Pid:\t{pid}\n" in open(f"/proc/self/fdinfo/{pidfd}").read()
        os.close(pidfd)
        # It is this process's child by now, and the container's first process stays until somebody has heard of its end.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def received(connection):
    _, control, _, _ = connection.recvmsg(64, socket.CMSG_LEN(4))
    descriptors = array.array("i")
    descriptors.frombytes(control[0][2][:4])
    return descriptors[0]


def test_a_terminal_has_to_go_somewhere(bundle):
    bundle.write(bundle.spec("true", terminal=True))
    done = bundle.quiet("create", bundle.id)
    assert done.code == 1 and "cannot allocate tty if runc will detach without setting console socket" in done.error
    bundle.write(bundle.spec("true"))
    done = bundle.quiet("create", "--console-socket", "x", bundle.id)
    assert done.code == 1 and "cannot use console socket if runc will not detach or allocate tty" in done.error


def test_descriptors_are_passed_on(bundle):
    bundle.write(bundle.spec("sh", "-c", "echo hello >&3"))
    words = ["sh", "-c", 'exec 3>&1 >/dev/null; exec "$@"', "sh", *bundle.command("run", "--preserve-fds", "1", bundle.id)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=bundle.directory)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done
    missing = bundle.call("run", "--preserve-fds", "900", bundle.id)
    assert missing.code == 1 and "preserve" in missing.error, missing


def test_sockets_of_systemd_are_passed_on(bundle):
    bundle.write(bundle.spec("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3"))
    with socket.socket(socket.AF_UNIX) as listener:
        # The shell becomes the runtime, so its pid is the one that was meant.
        words = ["sh", "-c", 'exec 3<&0; LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"', "sh",
                 *bundle.command("run", bundle.id)]
        done = subprocess.run(words, stdin=listener.fileno(), capture_output=True, text=True, timeout=60, cwd=bundle.directory)
    lines = done.stdout.splitlines()
    assert lines[0] == "1 1" and lines[1].startswith("socket:"), done


def test_options_may_follow_the_id(bundle):
    assert bundle.call("delete", bundle.id, "--force").code == 0


def test_a_container_that_is_kept_is_there_after_its_end(bundle, is_ours):
    if not is_ours:
        pytest.skip("only newer versions know it")
    bundle.write(bundle.spec("sh", "-c", "exit 3"))
    assert bundle.call("run", "--keep", bundle.id).code == 3
    assert bundle.status() == "stopped"
    assert bundle.call("delete", bundle.id).code == 0


@pytest.mark.ours
def test_a_container_without_a_cgroup_where_that_was_asked_for(bundle):
    bundle.global_options = ["--cgroup-manager", "disabled"]
    own = open("/proc/self/cgroup").read()
    spec = bundle.spec("cat", "/proc/self/cgroup")
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "cgroup"]
    del spec["linux"]["resources"]
    spec["mounts"].pop()
    done = bundle.run(spec)
    assert done.code == 0 and done.output == own, done
    bundle.start_sleeping(spec | {"process": spec["process"] | {"args": ["sleep", "600"]}})
    for words in (["pause", bundle.id], ["ps", bundle.id], ["update", "--pids-limit", "5", bundle.id], ["events", "--stats", bundle.id]):
        refused = bundle.call(*words)
        assert refused.code == 1 and "no cgroup" in refused.error, refused
    assert bundle.exec("true").code == 0
    bundle.kill_and_wait()
    assert bundle.call("delete", bundle.id).code == 0


@pytest.mark.ours
def test_without_criu_that_is_said(bundle):
    bundle.start_sleeping()
    for words in (["checkpoint", bundle.id], ["restore", "--image-path", ".", "other"]):
        done = bundle.call(*words, env={"PATH": "/nowhere"})
        assert (done.code, done.error) == (
            1, "criu is not installed: checkpoint and restore need it (Debian has it in the package criu)\n"), done
    bundle.global_options = ["--criu", "/nowhere/criu"]
    assert "criu is not at /nowhere/criu: no such file" in bundle.call("checkpoint", bundle.id).error
    assert bundle.status() == "running" and not (bundle.directory / "checkpoint").exists()


@pytest.mark.ours
def test_what_a_checkpoint_refuses(bundle):
    bundle.global_options = ["--criu", "/bin/true"]
    spec = bundle.spec("sleep", "600")
    bundle.create(spec)
    refused = lambda *words: (lambda done: done.code == 1 and done.error.strip())(bundle.call(*words))
    assert refused("checkpoint", bundle.id) == "Container cannot be checkpointed in created state"
    assert bundle.quiet("start", bundle.id).code == 0
    images = bundle.directory / "images"
    images.mkdir(mode=0o700)
    dump = lambda *words: refused("checkpoint", "--image-path", images, *words, bundle.id)
    config = next(bundle.states.glob(f"{bundle.id}/config.json"))
    text = config.read_text()
    config.write_text(json.dumps(spec | {"linux": spec["linux"] | {"namespaces": spec["linux"]["namespaces"] + [{"type": "user"}]}}))
    assert dump() == "a container with a user namespace cannot be checkpointed or restored"
    config.write_text(text)
    assert dump("--empty-ns", "ipc") == 'namespace "ipc" is not supported'
    assert dump("--manage-cgroups-mode", "hard") == "Invalid manage-cgroups-mode value"
    assert dump("--page-server", "host") == "Use --page-server ADDRESS:PORT to specify page server"
    assert dump("--page-server", "host:0") == "Invalid port number"
    assert dump("--parent-path", "/x") == "--parent-path must be relative"
    assert dump("--parent-path", "x") == "invalid --parent-path: x: no such file or directory"
    assert dump("--lazy-pages", "--status-fd", "77") == "invalid --status-fd argument 77: bad file descriptor"
    assert dump("--lazy-pages", "--status-fd", "0") == "invalid --status-fd argument 0: not writable"
    assert dump("--status-fd", "1") == "--status-fd needs --lazy-pages"
    # Images are as good as the rights that they hold.
    victim = bundle.directory / "victim"
    victim.write_text("as it was")
    for name in ("pages-1.img", "descriptors.json", "dump.log"):
        (images / name).symlink_to(victim)
        assert "is a symbolic link" in dump()
        (images / name).unlink()
    images.chmod(0o777)
    assert dump() == f"invalid image path {images}: others than its owner may write there"
    images.chmod(0o700)
    os.chown(images, 1000, 1000)
    assert f"invalid image path {images}: it belongs to user 1000" in dump()
    os.chown(images, 0, 0)
    (bundle.directory / "work").mkdir(mode=0o700)
    (bundle.directory / "work/dump.log").symlink_to(victim)
    # This is a program that ends without a word.
    assert dump("--work-path", bundle.directory / "work") == "criu failed: type VERSION: it has ended"
    assert victim.read_text() == "as it was" and bundle.status() == "running"
    assert json.loads((images / "descriptors.json").read_text())[0]


@pytest.mark.ours
def test_what_a_restore_refuses_leaves_nothing(bundle):
    bundle.global_options = ["--criu", "/bin/true"]
    bundle.write(bundle.spec("true"))
    images = bundle.directory / "images"
    refused = lambda *words: (lambda done: done.code == 1 and done.error.strip())(
        bundle.call("restore", "--image-path", images, *words, bundle.id))
    assert refused() == f"invalid image path {images}: no such file or directory"
    images.mkdir(mode=0o700)
    assert "descriptors.json: openat" in refused()
    (images / "descriptors.json").write_text('["/dev/null"]')
    assert refused("--no-pivot") == "--no-pivot: criu always changes the root with pivot_root"
    assert refused("--lsm-profile", "x") == "invalid --lsm-profile x: it is apparmor:NAME or selinux:LABEL"
    assert refused() == "criu failed: type VERSION: it has ended"
    assert bundle.left_behind() == []
