"""An ordinary user without a cgroup to give: what works without privilege works."""

import json
import os
import shutil
import subprocess

import pytest

USER = 12345


@pytest.fixture
def rootless(make_bundle):
    bundle = make_bundle()
    for folder, _, files in os.walk(bundle.directory):
        for name in [folder, *(os.path.join(folder, file) for file in files)]:
            os.chown(name, USER, USER, follow_symlinks=False)
    yield bundle
    call(bundle, "delete", "--force", bundle.id)


def call(bundle, *words, options=()):
    with open(bundle.directory / "out", "w+") as out:
        done = subprocess.run(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin", str(bundle.runtime), "--root",
             str(bundle.states), *options, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=bundle.directory, timeout=60)
    return done.returncode, (bundle.directory / "out").read_text()


def spec(bundle, *args):
    spec = bundle.spec(*args)
    spec["linux"]["namespaces"] = [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts")]
    spec["linux"] |= {"uidMappings": [{"containerID": 0, "hostID": USER, "size": 1}],
                      "gidMappings": [{"containerID": 0, "hostID": USER, "size": 1}]}
    spec["mounts"] = [one for one in spec["mounts"] if one["type"] not in ("sysfs", "cgroup")]
    for mount in spec["mounts"]:
        mount["options"] = [option for option in mount["options"] if not option.startswith("gid=")]
    del spec["linux"]["resources"]
    (bundle.directory / "config.json").write_text(json.dumps(spec))
    return spec


@pytest.mark.parametrize("options", [(), ("--rootless", "true"), ("--rootless=auto",)])
def test_a_container_of_an_ordinary_user(rootless, options):
    spec(rootless, "sh", "-c", "id -u; exit 5")
    assert call(rootless, "run", rootless.id, options=options) == (5, "0\n")


def test_an_exec_into_one(rootless):
    spec(rootless, "sleep", "600")
    code, text = call(rootless, "run", "-d", rootless.id)
    assert code == 0, text
    assert call(rootless, "exec", rootless.id, "sh", "-c", "id -u; exit 6") == (6, "0\n")
    assert json.loads(call(rootless, "state", rootless.id)[1])["status"] == "running"
    assert call(rootless, "kill", rootless.id, "KILL")[0] == 0


def test_an_exec_has_the_score_that_its_process_asks_for(rootless):
    wanted = spec(rootless, "sleep", "600")
    wanted["process"]["oomScoreAdj"] = 300
    (rootless.directory / "config.json").write_text(json.dumps(wanted))
    code, text = call(rootless, "run", "-d", rootless.id)
    assert code == 0, text
    assert call(rootless, "exec", rootless.id, "cat", "/proc/self/oom_score_adj") == (0, "300\n")
    assert call(rootless, "kill", rootless.id, "KILL")[0] == 0


def test_limits_that_cannot_be_kept_are_refused(rootless):
    wanted = spec(rootless, "true")
    wanted["linux"]["resources"] = {"memory": {"limit": 1 << 25}}
    (rootless.directory / "config.json").write_text(json.dumps(wanted))
    code, text = call(rootless, "run", rootless.id)
    assert code == 1 and "cgroup" in text, text


@pytest.mark.ours
def test_the_users_own_runtime_runs_from_a_copy_in_memory(rootless):
    """Its owner could write the file, and so could a container of the owner's: what runs there is not the file."""
    own = rootless.directory / "own-runtime"
    shutil.copy(rootless.runtime, own)
    os.chown(own, USER, USER)
    rootless.runtime = own
    spec(rootless, "true")
    code, text = call(rootless, "create", rootless.id)
    assert code == 0, text
    pid = json.loads(call(rootless, "state", rootless.id)[1])["pid"]
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")
