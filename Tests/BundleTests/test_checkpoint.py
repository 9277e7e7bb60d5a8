"""Checkpoint and restore by CRIU, where that program works on this kernel."""

import shutil
import subprocess

import pytest

from bundle import eventually


@pytest.fixture(autouse=True)
def criu():
    if shutil.which("criu") is None:
        pytest.skip("criu is not installed")
    if subprocess.run(["criu", "check"], capture_output=True, timeout=60).returncode:
        pytest.skip("criu does not work with this kernel: criu check fails")


def counting(bundle):
    spec = bundle.spec("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.05; done")
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "cgroup"]
    spec["mounts"] = [one for one in spec["mounts"] if one["type"] != "cgroup"]
    return spec


def test_a_container_goes_on_where_it_was(bundle):
    count = bundle.rootfs / "tmp/count"
    read = lambda: int(count.read_text().strip() or 0) if count.exists() else 0
    bundle.start_sleeping(counting(bundle))
    eventually(lambda: read() > 3)
    done = bundle.call("checkpoint", "--image-path", bundle.directory / "images", "--work-path", bundle.directory / "work", bundle.id)
    assert done.code == 0, (done, log(bundle, "dump.log"))
    assert bundle.call("state", bundle.id).code == 1
    reached = read()
    done = bundle.quiet("restore", "-d", "--image-path", bundle.directory / "images", "--work-path", bundle.directory / "work",
                        "--pid-file", "pid", bundle.id)
    assert done.code == 0, (done, log(bundle, "restore.log"))
    assert bundle.status() == "running" and (bundle.directory / "pid").read_text() == str(bundle.pid())
    eventually(lambda: read() > reached)
    assert bundle.shell("echo in").output == "in\n"


def test_a_container_runs_on_when_it_is_to(bundle):
    bundle.start_sleeping(counting(bundle))
    done = bundle.call("checkpoint", "--leave-running", "--image-path", bundle.directory / "images", bundle.id)
    assert done.code == 0, (done, (bundle.directory / "images/dump.log").read_text()[-2000:])
    assert bundle.status() == "running"


def log(bundle, name):
    path = bundle.directory / "work" / name
    return path.read_text()[-3000:] if path.exists() else ""
