"""Options of `run` beyond the usual ones: disks, devices, security, mounts of every kind."""

import json
import os
import subprocess

import pytest

from host import block_device, limit_of
from waiting import wait_for


def inspect(cli, name):
    return json.loads(cli("inspect", name).out)[0]


# -- disks and processors

def test_limits_on_disks_reach_the_kernel(cli):
    path, numbers = block_device()
    identity = cli("run", "-d", "--device-read-bps", f"{path}:1mb", "--device-write-iops", f"{path}:50", "busybox", "sleep", "600").line
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert limit_of(identity, "", "", "io.max") == f"{numbers} rbps=1048576 wbps=max riops=max wiops=50"
    else:
        assert limit_of(identity, "blkio", "blkio.throttle.read_bps_device", "") == f"{numbers} 1048576"
        assert limit_of(identity, "blkio", "blkio.throttle.write_iops_device", "") == f"{numbers} 50"
    told = inspect(cli, identity)["HostConfig"]
    assert told["BlkioDeviceReadBps"] == [{"Path": path, "Rate": 1 << 20}] and told["BlkioDeviceWriteIOps"] == [{"Path": path, "Rate": 50}]


def test_wrong_disks_are_refused(cli):
    assert "stat /dev/nosuch: no such file or directory" in cli("run", "--rm", "--device-read-bps", "/dev/nosuch:1mb", "busybox", "true", code=None).err
    assert "Range of blkio weight is from 10 to 1000" in cli("run", "--rm", "--blkio-weight", "5", "busybox", "true", code=125).err
    assert "bad format for device path" in cli("run", "--rm", "--device-read-bps", "x:1mb", "busybox", "true", code=125).err


def test_a_weight_is_set_or_said_to_be_impossible(cli):
    done = cli("run", "-d", "--blkio-weight", "300", "busybox", "sleep", "600")
    told = inspect(cli, done.line)["HostConfig"]["BlkioWeight"]
    assert told == 300 or told == 0 and "does not support Block I/O weight" in done.err


def test_processor_periods_and_nodes(cli):
    identity = cli("run", "-d", "--cpu-period", "50000", "--cpu-quota", "20000", "--cpuset-mems", "0", "--memory-reservation", "16m",
                   "busybox", "sleep", "600").line
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert limit_of(identity, "", "", "cpu.max") == "20000 50000"
    else:
        assert (limit_of(identity, "cpu", "cpu.cfs_period_us", ""), limit_of(identity, "cpu", "cpu.cfs_quota_us", "")) == ("50000", "20000")
    assert limit_of(identity, "cpuset", "cpuset.mems", "cpuset.mems") == "0"
    assert "Nano CPUs and CPU Period cannot both be set" in cli("run", "--rm", "--cpus", "1", "--cpu-period", "50000", "busybox", "true", code=125).err


def test_real_time_where_the_kernel_has_it(cli):
    has = os.path.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
    done = cli("run", "-d", "--cpu-rt-runtime", "1000", "--cpu-rt-period", "1000000", "busybox", "sleep", "600", code=None)
    if has:
        assert done.code == 0, done.err
        assert limit_of(done.line, "cpu", "cpu.rt_runtime_us", "") == "1000"
    else:
        assert "does not support CPU real-time scheduler" in done.err


def test_the_cgroup_lies_where_it_is_wanted(cli):
    identity = cli("run", "-d", "--cgroup-parent", "/skiff-tests", "busybox", "sleep", "600").line
    assert f"/skiff-tests/{identity}" in cli("run", "--rm", "--cgroupns", "host", "--pid", f"container:{identity}", "busybox", "cat", "/proc/1/cgroup").out
    assert f"/skiff-tests/{identity}" not in cli("exec", identity, "cat", "/proc/1/cgroup").out


# -- devices

def test_rules_for_devices(cli):
    create = "mknod /tmp/d c 10 237 && exec 3</tmp/d"
    assert "Operation not permitted" in cli("run", "--rm", "busybox", "sh", "-c", create, code=1).err
    cli("run", "--rm", "--device-cgroup-rule", "c 10:237 rw", "busybox", "sh", "-c", "mknod /tmp/d c 10 237 && exec 3</tmp/d")
    assert "c 1 r" in cli("run", "--rm", "--device-cgroup-rule", "c 1 r", "busybox", "true", code=125).err


@pytest.fixture
def acme(engine, tmp_path):
    """A made-up device with everything that a file can ask for."""
    (tmp_path / "library").write_text("from the host")
    hook = tmp_path / "hook.sh"
    hook.write_text(f"#!/bin/sh\ncat > {tmp_path}/state.json\necho \"$1\" > {tmp_path}/argument\n")
    hook.chmod(0o755)
    engine.cdi.mkdir(exist_ok=True)
    (engine.cdi / "acme.yaml").write_text(f"""---
cdiVersion: 0.6.0
kind: acme.com/gpu
containerEdits:
  env:
  - ACME=yes   # for all
devices:
- name: "0"
  containerEdits:
    env: ["DEVICE=zero"]
    deviceNodes:
    - path: /dev/acme0
      hostPath: /dev/full
      permissions: rw
    mounts:
    - hostPath: {tmp_path}/library
      containerPath: /usr/lib/acme
      options: [ro, nosuid, bind]
    hooks:
    - hookName: createRuntime
      path: {hook}
      args: [hook.sh, seen]
""")
    yield tmp_path
    (engine.cdi / "acme.yaml").unlink()


def test_a_device_by_its_name(cli, acme):
    shown = cli("run", "--rm", "--device", "acme.com/gpu=0", "busybox", "sh", "-c",
                "echo $ACME $DEVICE; cat /usr/lib/acme; echo; ls -l /dev/acme0; echo x > /dev/acme0", code=1)
    assert shown.lines[:2] == ["yes zero", "from the host"] and shown.lines[2].split()[4:6] == ["1,", "7"]
    assert "No space left on device" in shown.err
    assert (acme / "argument").read_text() == "seen\n" and json.loads((acme / "state.json").read_text())["status"] == "creating"
    assert "DiscoveredDevices" in cli("info", "--format", "{{json .}}").out or cli.name == "docker"


def test_gpus_come_from_the_same_files(cli, acme):
    assert cli("run", "--rm", "--gpus", "all", "busybox", "sh", "-c", "echo $DEVICE").line == "zero"
    assert "unresolvable CDI devices acme.com/gpu=7" in cli("run", "--rm", "--gpus", "device=7", "busybox", "true", code=125).err
    assert "unresolvable CDI devices acme.com/nic=x" in cli("run", "--rm", "--device", "acme.com/nic=x", "busybox", "true", code=125).err


def test_without_gpus_it_is_docker_s_error(cli):
    assert 'could not select device driver "" with capabilities: [[gpu]]' in cli("run", "--rm", "--gpus", "all", "busybox", "true", code=125).err


# -- security

def test_a_seccomp_profile_of_one_s_own(cli, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "args": [], "includes": {}, "excludes": {"caps": ["CAP_SYS_BOOT"]}}],
    }, indent=2))
    option = ("--security-opt", f"seccomp={profile}")
    assert "not supported" in cli("run", "--rm", *option, "busybox", "mkdir", "/x", code=1).err
    cli("run", "--rm", *option, "--cap-add", "SYS_BOOT", "busybox", "mkdir", "/x")
    box = cli("run", "-d", *option, "busybox", "sleep", "600").line
    assert "not supported" in cli("exec", box, "mkdir", "/x", code=1).err
    profile.write_text("{")
    assert "seccomp profile" in cli("run", "--rm", *option, "busybox", "true", code=125).err.lower()
    assert cli("run", "--rm", "--security-opt", "seccomp=unconfined", "busybox", "grep", "Seccomp:", "/proc/self/status").line.split() == ["Seccomp:", "0"]


def test_what_the_kernel_lacks_is_refused(cli):
    if not os.path.exists("/sys/kernel/security/apparmor"):
        assert "AppArmor is not enabled" in cli("run", "--rm", "--security-opt", "apparmor=mine", "busybox", "true", code=125).err
    if not os.path.exists("/sys/fs/selinux/enforce"):
        assert "SELinux is not enabled" in cli("run", "--rm", "--security-opt", "label=type:mine_t", "busybox", "true", code=125).err
    cli("run", "--rm", "--security-opt", "apparmor=unconfined", "--security-opt", "label=disable", "busybox", "true")
    assert "invalid --security-opt 2" in cli("run", "--rm", "--security-opt", "nosuch=1", "busybox", "true", code=125).err


def test_paths_of_the_system_can_be_shown(cli):
    shown = cli("run", "--rm", "--security-opt", "systempaths=unconfined", "busybox", "sh", "-c", "head -c 4 /proc/timer_list | wc -c; test -w /proc/sys/kernel/hostname && echo w")
    assert shown.lines == ["4", "w"]


def test_cgroups_can_be_writable(cli):
    make = "for place in /sys/fs/cgroup/memory /sys/fs/cgroup; do mkdir $place/inner 2>/dev/null && exit 0; done; exit 1"
    assert cli("run", "--rm", "busybox", "sh", "-c", make, code=None).code != 0
    cli("run", "--rm", "--security-opt", "writable-cgroups=true", "busybox", "sh", "-c", make)
    assert "invalid --security-opt 2" in cli("run", "--rm", "--security-opt", "writable-cgroups=maybe", "busybox", "true", code=125).err


def test_annotations_reach_the_runtime(cli, engine):
    identity = cli("run", "-d", "--annotation", "com.example.a=b", "busybox", "sleep", "600").line
    config = json.loads((engine.exec_root / "containers" / identity / "config.json").read_text())
    assert config["annotations"] == {"com.example.a": "b"} and inspect(cli, identity)["HostConfig"]["Annotations"] == {"com.example.a": "b"}


@pytest.mark.parametrize("options, message", [
    (["--userns", "mine"], "invalid user mode"), (["--cgroupns", "mine"], "invalid cgroup mode"),
    (["--storage-opt", "size=1G"], "--storage-opt is supported only for overlay over xfs"),
    (["--runtime", "nosuch"], "unknown or invalid runtime name: nosuch"), (["--isolation", "hyperv"], "hyperv"),
    (["--cpuset-cpus", "8000"], "requested cpus are not available - requested 8000, available: 0"),
    (["--cpuset-mems", "x"], "invalid value x for cpuset mems"), (["--memory-swappiness", "101"], "valid memory swappiness range is 0-100"),
])
def test_what_cannot_be_is_refused(cli, options, message):
    assert message in cli("run", "--rm", *options, "busybox", "true", code=125).err.lower()
    assert cli("ps", "-aq").out == ""


# -- mounts

def test_a_part_of_a_volume(cli):
    cli("run", "--rm", "-v", "data:/v", "busybox", "sh", "-c", "mkdir -p /v/a/b && echo inner > /v/a/b/file && ln -s /etc /v/out && ln -s a /v/link")
    mount = "type=volume,source=data,target=/m,volume-subpath={}"
    assert cli("run", "--rm", "--mount", mount.format("a/b"), "busybox", "cat", "/m/file").line == "inner"
    assert cli("run", "--rm", "--mount", mount.format("link/b/file"), "busybox", "cat", "/m").line == "inner"
    cli("run", "--rm", "--mount", mount.format("a"), "busybox", "touch", "/m/made")
    assert cli("run", "--rm", "-v", "data:/v:ro", "busybox", "ls", "/v/a").lines == ["b", "made"]
    missing = cli("run", "--rm", "--mount", mount.format("nosuch"), "busybox", "true", code=None).err
    assert "no such file or directory" in missing and "nosuch" in missing
    # A link leads nowhere but into the volume.
    assert cli("run", "--rm", "--mount", mount.format("out"), "busybox", "true", code=None).code in (125, 127)
    for path in ("../..", "/etc", "a/../../x"):
        assert "subpath must be a relative path within the volume" in cli("run", "--rm", "--mount", mount.format(path), "busybox", "true", code=125).err


def test_an_image_as_a_mount(cli, engine, context):
    engine.docker("build", "-q", "-t", "files", context({"Dockerfile": "FROM busybox\nRUN mkdir -p /data/sub && echo hello > /data/sub/file\n"}))
    assert cli("run", "--rm", "--mount", "type=image,source=files,target=/i", "busybox", "cat", "/i/data/sub/file").line == "hello"
    part = "type=image,source=files,target=/i,image-subpath=data/sub"
    assert cli("run", "--rm", "--mount", part, "busybox", "cat", "/i/file").line == "hello"
    assert "Read-only file system" in cli("run", "--rm", "--mount", part, "busybox", "touch", "/i/x", code=1).err
    cli("create", "--name", "user", "--mount", part, "busybox")
    assert "is using" in engine.docker("rmi", "files", code=1).err
    [mount] = inspect(cli, "user")["Mounts"]
    assert (mount["Type"], mount["Destination"], mount["RW"]) == ("image", "/i", False)
    cli("rm", "user")
    assert "no such image" in cli("create", "--pull", "never", "--mount", "type=image,source=nosuch,target=/i", "busybox", code=1).err.lower()
    engine.docker("rmi", "files")


def test_binds_read_only_as_deep_as_wanted(cli, tmp_path):
    inner = tmp_path / "outer/inner"
    inner.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inner], check=True)
    try:
        mount = f"type=bind,source={tmp_path}/outer,target=/m,readonly"
        write = ["busybox", "touch", "/m/inner/x"]
        assert "Read-only file system" in cli("run", "--rm", "--mount", mount, *write, code=1).err
        cli("run", "--rm", "--mount", mount + ",bind-recursive=writable", *write)
        assert "Read-only file system" in cli("run", "--rm", "--mount", mount + ",bind-recursive=readonly,bind-propagation=rprivate", *write, code=1).err
        assert cli("run", "--rm", "--mount", mount + ",bind-recursive=disabled", "busybox", "ls", "/m/inner").out == ""
    finally:
        subprocess.run(["umount", inner], check=True)


def test_a_tmpfs_with_size_and_mode(cli):
    shown = cli("run", "--rm", "--mount", "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770", "busybox", "sh", "-c", "stat -c %a /t; df -k /t | tail -1").lines
    assert shown[0] == "1770" and "1024" in shown[1]


# -- volumes with options

def test_a_volume_that_is_a_tmpfs_is_shared_while_it_is_used(cli, engine):
    cli("volume", "create", "-d", "local", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1234", "fast")
    cli("run", "-d", "--name", "one", "-v", "fast:/f", "busybox", "sh", "-c", "echo x > /f/file; exec sleep 600")
    wait_for(lambda: cli("run", "--rm", "-v", "fast:/f", "busybox", "cat", "/f/file", code=None).out == "x\n", "the file of the other one")
    assert "1024" in cli("exec", "one", "df", "-k", "/f").lines[-1]
    engine.restart()
    assert cli("run", "--rm", "-v", "fast:/f", "busybox", "cat", "/f/file").out == "x\n"
    cli("rm", "-f", "one")
    where = engine.data_root / "volumes/fast/_data"
    wait_for(lambda: not os.path.ismount(where), "the volume to be unmounted")
    assert cli("run", "--rm", "-v", "fast:/f", "busybox", "ls", "/f").out == ""


def test_a_volume_that_is_a_directory_of_the_host(cli, engine, tmp_path):
    (tmp_path / "file").write_text("kept")
    cli("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}", "host")
    assert cli("run", "--rm", "-v", "host:/h", "busybox", "cat", "/h/file").out == "kept"
    box = cli("create", "-v", "host:/h", "busybox").line
    cli("cp", f"{box}:/h/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "kept"
    cli("rm", box)
    assert cli("volume", "inspect", "-f", "{{.Options.o}}", "host").line == "bind"
    cli("volume", "rm", "host")
    assert (tmp_path / "file").read_text() == "kept"
    assert not [line for line in open("/proc/self/mountinfo") if str(engine.data_root / "volumes") in line]


def test_a_data_root_behind_a_link_loses_nothing_of_the_host(own_engine, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("kept")
    engine = own_engine(data_root=tmp_path / "link")
    engine.docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={host}", "host")
    engine.docker("run", "--rm", "-v", "host:/h", "busybox", "true")
    engine.docker("volume", "rm", "host")
    assert (host / "file").read_text() == "kept"


def test_cp_brings_no_mounts_to_the_host(cli, tmp_path):
    (tmp_path / "sub").mkdir()
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", tmp_path], check=True)
        mounts = lambda: [line for line in open("/proc/self/mountinfo") if str(tmp_path) in line]
        before = mounts()
        cli("create", "--name", "box", "-v", f"{tmp_path}:/d", "-v", "vol:/d/sub", "busybox")
        cli("cp", "box:/d/sub", tmp_path / "copy")
        assert mounts() == before
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_options_of_a_volume_are_checked(cli, tmp_path):
    assert 'invalid option: "foo"' in cli("volume", "create", "-o", "foo=bar", "gone", code=1).err
    assert 'missing required option: "device"' in cli("volume", "create", "-o", "type=tmpfs", "gone", code=1).err
    cli("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}/nosuch", "gone")
    failed = cli("run", "--rm", "-v", "gone:/g", "busybox", "true", code=None).err
    assert "failed to mount local volume" in failed and "no such file or directory" in failed
    assert cli("ps", "-aq").out == ""
    mount = f"type=volume,source=made,target=/m,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={tmp_path}"
    (tmp_path / "here").write_text("x")
    assert cli("run", "--rm", "--mount", mount, "busybox", "ls", "/m").lines == ["here"]


def test_cp_of_a_stopped_container_sees_its_volumes(cli, tmp_path):
    (tmp_path / "in").write_text("into a volume")
    (tmp_path / "bound").write_text("from a bind")
    cli("create", "--name", "box", "-v", "vol:/deep/er/data", "-v", f"{tmp_path}/bound:/etc/bound:ro", "busybox")
    cli("cp", tmp_path / "in", "box:/deep/er/data/file")
    assert cli("run", "--rm", "-v", "vol:/v", "busybox", "cat", "/v/file").out == "into a volume"
    cli("cp", "box:/etc/bound", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "from a bind"
    assert "resource busy" in cli("cp", tmp_path / "in", "box:/etc/bound", code=1).err
    assert "copying between containers is not supported" in cli("cp", "box:/a", "box:/b", code=1).err


# -- lists

def test_filters_of_ps(cli, engine, context):
    engine.docker("build", "-q", "-t", "child", context({"Dockerfile": "FROM busybox\nRUN echo x > /x\n"}))
    cli("create", "--name", "web", "--expose", "8000-8005/udp", "child")
    cli("create", "--name", "web2", "-v", "vol:/v", "busybox")
    names = lambda *filters: sorted(cli("ps", "-a", "--format", "{{.Names}}", *[word for one in filters for word in ("--filter", one)]).lines)
    assert names("name=^web$") == ["web"] and names("name=web") == ["web", "web2"] and names("name=^/web2") == ["web2"]
    assert names("ancestor=child") == ["web"] and names("ancestor=busybox") == ["web", "web2"] and names("ancestor=nosuch") == []
    assert names("expose=8003/udp") == ["web"] and names("expose=8000-8001/tcp") == [] and names("volume=vol") == ["web2"]
    assert names("is-task=true") == [] and names("is-task=false") == ["web", "web2"] and names("health=none") == ["web", "web2"]
    for wrong in ("nosuch=x", "exited=x", "status=x", "health=x", "publish=x", "is-task=x"):
        assert cli("ps", "--filter", wrong, code=1).err.strip()
    cli("rm", "web")
    engine.docker("rmi", "child")


def test_sizes(cli):
    cli("run", "--name", "box", "busybox", "dd", "if=/dev/urandom", "of=/file", "bs=1k", "count=300")
    own, everything = (int(word) for word in cli("inspect", "--size", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "box").line.split())
    assert 300 << 10 <= own < 500 << 10 and everything > own
    assert "(virtual " in cli("ps", "-a", "--size", "--format", "{{.Size}}").line


def test_logs_tell_labels_and_variables(cli):
    options = ("--log-opt", "labels=team", "--log-opt", "env=STAGE", "--log-opt", "tag={{.Name}}", "--label", "team=red", "-e", "STAGE=a b")
    cli("run", "--name", "talker", *options, "busybox", "echo", "hello")
    assert cli("logs", "--details", "talker").line == "STAGE=a+b,tag=talker,team=red hello"
    assert cli("logs", "talker").line == "hello"
    assert cli("logs", "--details", cli("run", "-d", "busybox", "true").line).out == ""
