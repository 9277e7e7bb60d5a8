"""`run`: every option does in the container what it promises, and its exit code tells how it ended."""

import json
import os
import re

import pytest

from host import limit_of
from waiting import wait_for


def test_output_and_errors_stay_apart(cli):
    done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (done.out, done.err) == ("out\n", "err\n")


@pytest.mark.parametrize("command, code, message", [
    (["true"], 0, ""),
    (["sh", "-c", "exit 42"], 42, ""),
    (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137, ""),
    (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    (["/nosuch"], 127, "no such file or directory"),
    (["/etc/not-a-program"], 126, "permission denied"),
    (["/etc"], 126, ""),
])
def test_exit_codes_are_docker_s(cli, command, code, message):
    assert message in cli("run", "--rm", "busybox", *command, code=code).err
    assert cli("ps", "-aq").out == ""


def test_an_engine_error_is_125(cli):
    missing = cli("run", "--rm", "127.0.0.1:9/nosuch:1", code=125).err
    assert "Unable to find image '127.0.0.1:9/nosuch:1' locally" in missing and "connection refused" in missing
    assert "no such image: nosuch:1" in cli("run", "--rm", "--pull", "never", "nosuch:1", code=125).err.lower()
    cli("create", "--name", "taken", "busybox")
    conflict = cli("run", "--name", "taken", "busybox", code=125).err
    assert 'The container name "/taken" is already in use by container' in conflict
    assert cli("run", "--rm", "--network", "nosuch", "busybox", code=125).err.strip()
    assert cli("ps", "-aq").lines == cli("ps", "-aq", "--filter", "name=taken").lines


def test_memory_below_the_least_is_refused(cli):
    assert "Minimum memory limit allowed is 6MB" in cli("run", "--rm", "--memory", "1m", "busybox", "true", code=125).err


def test_stdin_goes_through_and_ends(cli):
    assert cli("run", "--rm", "-i", "busybox", "cat", input="a\nb").out == "a\nb"
    assert cli("run", "--rm", "busybox", "cat", input="ignored").out == ""


def test_megabytes_go_through_unchanged(cli):
    data = os.urandom(3 << 20).hex()
    done = cli("run", "--rm", "-i", "busybox", "cat", input=data)
    assert done.out == data


def test_detached_containers_give_their_id(cli):
    identity = cli("run", "-d", "busybox", "sh", "-c", "echo in the background").line
    assert re.fullmatch("[0-9a-f]{64}", identity)
    assert cli("wait", identity).line == "0"
    assert cli("logs", identity).out == "in the background\n"


def test_environment_and_its_file(cli, tmp_path):
    listed = tmp_path / "list"
    listed.write_text("# a comment\nFROM_FILE=a b\nINHERITED\n\n")
    shown = cli("run", "--rm", "-e", "A=1=2", "-e", "INHERITED2", "-e", "UNSET", "--env-file", listed, "busybox", "env",
                env={"INHERITED": "yes", "INHERITED2": "too"}).lines
    assert {"A=1=2", "FROM_FILE=a b", "INHERITED=yes", "INHERITED2=too", "HOME=/root"} <= set(shown)
    assert not [line for line in shown if line.startswith("UNSET")]
    assert [line for line in shown if line.startswith("PATH=")]


def test_a_directory_of_the_host_is_mounted(cli, tmp_path):
    (tmp_path / "file").write_text("from the host")
    assert cli("run", "--rm", "-v", f"{tmp_path}:/data", "busybox", "cat", "/data/file").out == "from the host"
    cli("run", "--rm", "-v", f"{tmp_path}:/data", "busybox", "touch", "/data/made")
    assert (tmp_path / "made").exists()
    refused = cli("run", "--rm", "-v", f"{tmp_path}:/data:ro", "busybox", "touch", "/data/no", code=1)
    assert "Read-only file system" in refused.err
    mount = f"type=bind,source={tmp_path},target=/app,readonly"
    assert cli("run", "--rm", "--mount", mount, "busybox", "cat", "/app/file").out == "from the host"
    assert cli("run", "--rm", "--mount", mount, "busybox", "touch", "/app/no", code=1)


def test_a_missing_source_is_made_for_v_and_refused_for_mount(cli, tmp_path):
    cli("run", "--rm", "-v", f"{tmp_path}/new:/data", "busybox", "true")
    assert (tmp_path / "new").is_dir()
    refused = cli("run", "--rm", "--mount", f"type=bind,source={tmp_path}/none,target=/data", "busybox", "true", code=125)
    assert "bind source path does not exist" in refused.err


def test_a_single_file_is_mounted(cli, tmp_path):
    (tmp_path / "conf").write_text("x=1")
    assert cli("run", "--rm", "-v", f"{tmp_path}/conf:/etc/conf:ro", "busybox", "cat", "/etc/conf").out == "x=1"


def test_working_directory_is_made_and_used(cli):
    assert cli("run", "--rm", "-w", "/some/where", "busybox", "pwd").line == "/some/where"


def test_a_relative_working_directory_is_refused(cli):
    assert "it needs to be an absolute path" in cli("run", "--rm", "-w", "some/where", "busybox", "pwd", code=125).err


@pytest.mark.parametrize("user, shown", [
    ("alice", "uid=1234(alice) gid=1234(alice) groups=44(video),50(staff),1234(alice)"),
    ("alice:video", "uid=1234(alice) gid=44(video) groups=44(video)"),
    ("1234", "uid=1234(alice) gid=1234(alice)"),
    ("77:88", "uid=77 gid=88"),
    ("nobody", "uid=65534(nobody) gid=65534(nogroup)"),
])
def test_users_and_groups_come_from_the_image(cli, user, shown):
    assert cli("run", "--rm", "-u", user, "busybox", "id").line.startswith(shown)


def test_a_user_gets_the_home_of_the_image(cli):
    assert cli("run", "--rm", "-u", "alice", "busybox", "sh", "-c", "echo $HOME").line == "/home/alice"


@pytest.mark.parametrize("user, message", [
    ("nosuch", "unable to find user nosuch"), ("alice:nosuch", "unable to find group nosuch"),
])
def test_unknown_users_are_refused(cli, user, message):
    failed = cli("run", "--rm", "-u", user, "busybox", "id", code=None)
    assert failed.code in (125, 126) and message in failed.err


def test_entrypoint_is_replaced(cli):
    assert cli("run", "--rm", "--entrypoint", "echo", "busybox", "one", "two").line == "one two"
    assert cli("run", "--rm", "--entrypoint", "/bin/pwd", "-w", "/tmp", "busybox").line == "/tmp"


def test_hostname_is_ours_or_the_id(cli):
    assert cli("run", "--rm", "--hostname", "boat", "busybox", "hostname").line == "boat"
    assert cli("run", "--rm", "--hostname", "boat", "busybox", "cat", "/etc/hostname").line == "boat"
    named = cli("run", "-d", "busybox", "hostname").line
    cli("wait", named)
    assert cli("logs", named).line == named[:12]


def test_names_and_labels(cli):
    cli("run", "--name", "box", "--label", "a=b", "--label", "empty", "busybox", "true")
    [box] = json.loads(cli("container", "inspect", "box").out)
    assert box["Config"]["Labels"] == {"a": "b", "empty": ""} and box["Name"] == "/box"


def test_limits_reach_the_kernel(cli):
    identity = cli("run", "-d", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "20", "busybox", "sleep", "600").line
    assert limit_of(identity, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert limit_of(identity, "pids", "pids.max", "pids.max") == "20"
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert limit_of(identity, "", "", "cpu.max").split() == ["50000", "100000"]
    else:
        assert limit_of(identity, "cpu", "cpu.cfs_quota_us", "") == "50000"
    limits = json.loads(cli("inspect", identity).out)[0]["HostConfig"]
    assert (limits["Memory"], limits["NanoCpus"], limits["PidsLimit"]) == (64 << 20, 500_000_000, 20)


def test_read_only_with_a_place_to_write(cli):
    assert "Read-only file system" in cli("run", "--rm", "--read-only", "busybox", "touch", "/x", code=1).err
    shown = cli("run", "--rm", "--read-only", "--tmpfs", "/run:size=1m,mode=700", "busybox", "sh", "-c",
                "touch /run/x && stat -c %a /run && df -k /run | tail -1").lines
    assert shown[0] == "700" and "1024" in shown[1]


def test_tmpfs_is_limited(cli):
    full = cli("run", "--rm", "--tmpfs", "/small:size=1m", "busybox", "dd", "if=/dev/zero", "of=/small/x", "bs=1M", "count=3", code=1)
    assert "No space left on device" in full.err


def capabilities(cli, *options):
    shown = cli("run", "--rm", *options, "busybox", "grep", "CapEff", "/proc/self/status").out
    return int(shown.split()[1], 16)


DEFAULT_CAPABILITIES = 0x00000000A80425FB


def test_capabilities_are_docker_s_and_change(cli):
    net_admin, chown = 1 << 12, 1
    assert capabilities(cli) == DEFAULT_CAPABILITIES
    assert capabilities(cli, "--cap-add", "NET_ADMIN") == DEFAULT_CAPABILITIES | net_admin
    assert capabilities(cli, "--cap-drop", "CAP_CHOWN") == DEFAULT_CAPABILITIES & ~chown
    assert capabilities(cli, "--cap-drop", "ALL") == 0
    assert capabilities(cli, "--cap-drop", "ALL", "--cap-add", "chown") == chown
    assert "nosuch" in cli("run", "--rm", "--cap-add", "nosuch", "busybox", code=125).err.lower()


def test_privileged_gets_everything(cli):
    assert capabilities(cli, "--privileged") & ~DEFAULT_CAPABILITIES
    shown = cli("run", "--rm", "--privileged", "busybox", "sh", "-c",
                "mount -t tmpfs none /tmp && grep Seccomp: /proc/self/status && test -w /proc/sys/kernel/hostname && ls /dev | wc -l").lines
    assert shown[0].split() == ["Seccomp:", "0"] and int(shown[1]) > 20


def test_without_privilege_mounting_is_refused(cli):
    assert cli("run", "--rm", "busybox", "mount", "-t", "tmpfs", "none", "/tmp", code=None).code != 0


def test_init_reaps_and_passes_signals_on(cli):
    shown = cli("run", "-d", "--init", "busybox", "sh", "-c", "(sleep 0.01 &) ; exec sleep 600").line
    wait_for(lambda: "sleep 600" in cli("exec", shown, "ps").out, "the command to run below the init process")
    assert cli("exec", shown, "cat", "/proc/1/comm").line != "sleep"
    wait_for(lambda: " Z " not in cli("exec", shown, "ps", "-o", "pid,stat,args").out, "orphans to be reaped")
    cli("stop", "-t", "10", shown)
    assert cli("inspect", "-f", "{{.State.ExitCode}}", shown).line == "143"


def test_rm_removes_when_the_end_comes(cli):
    cli("run", "--rm", "--name", "short", "busybox", "true")
    assert cli("ps", "-aq").out == ""
    cli("run", "-d", "--rm", "--name", "long", "busybox", "sleep", "600")
    cli("kill", "long")
    wait_for(lambda: cli("ps", "-aq").out == "", "the container to be removed")


def test_rm_waits_for_no_disk_and_outlives_a_restart(cli, engine, tmp_path):
    """What a crash would take with the container need not be on disk. That holds for each of its lives, after `cp` too."""
    (tmp_path / "given").write_text("given\n")
    cli("create", "--rm", "--name", "box", "busybox", "sh", "-c", "echo x >> /count; sync; wc -l < /count; cat /given; exec sleep 600")
    cli("cp", tmp_path / "given", "box:/given")
    cli("start", "box")
    wait_for(lambda: cli("logs", "box").lines == ["1", "given"], "the first life")
    root = cli("exec", "box", "grep", " / overlay ", "/proc/mounts").line
    assert "volatile" in root.split()[3]
    cli("restart", "-t", "0", "box")
    wait_for(lambda: cli("logs", "box").lines == ["1", "given", "2", "given"], "the second life")
    cli("stop", "-t", "0", "box")
    wait_for(lambda: cli("ps", "-aq").out == "", "the container to be removed")
    wait_for(lambda: not [*(engine.data_root / "containers").iterdir(), *(engine.exec_root / "containers").iterdir()], "its files to be removed")
    kept = cli("run", "--name", "kept", "busybox", "grep", " / overlay ", "/proc/mounts").line
    assert "volatile" not in kept


def test_cidfile_holds_the_id(cli, tmp_path):
    cli("run", "--rm", "--cidfile", tmp_path / "cid", "busybox", "true")
    assert re.fullmatch("[0-9a-f]{64}", (tmp_path / "cid").read_text())


def test_ulimits_and_sysctls(cli):
    assert cli("run", "--rm", "--ulimit", "nofile=123:456", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn").lines == ["123", "456"]
    shown = cli("run", "--rm", "--sysctl", "net.ipv4.ip_unprivileged_port_start=81", "busybox", "cat",
                "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    assert shown.line == "81"


def test_each_container_has_namespaces_of_its_own(cli):
    one = cli("run", "--rm", "busybox", "sh", "-c", "for f in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$f; done").lines
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("cgroup", "ipc", "mnt", "net", "pid", "uts")]
    assert not set(one) & set(host)
    kinds = ["pid", "uts", "ipc"] if os.path.exists("/dev/mqueue") else ["pid", "uts"]
    for kind in kinds:
        shown = cli("run", "--rm", f"--{kind}", "host", "busybox", "readlink", f"/proc/self/ns/{kind}")
        assert shown.line == os.readlink(f"/proc/self/ns/{kind}")


def test_a_restart_policy_brings_it_back(cli):
    cli("run", "-d", "--restart", "on-failure:2", "--name", "again", "busybox", "sh", "-c", "echo once; exit 1")
    wait_for(lambda: cli("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again").line == "2 exited", "two restarts")
    assert cli("logs", "again").lines == ["once"] * 3
