"""Which device files a container may use, tried by making and opening them."""

import pytest

import cgroups

# Opens each device in each way and says which was let through. ENXIO and the like are the driver's answer: it was asked.
PROBE = """
for device in "c 1 3" "c 1 5" "c 1 8" "c 1 2" "c 10 229" "b 7 0"; do
  set -- $device; name=/tmp/dev-$1-$2-$3; allowed=
  if mknod $name $1 $2 $3 2>/tmp/error; then
    allowed=m
    for mode in r w; do
      if [ $mode = r ]; then ( : <$name ) 2>/tmp/error; else ( : >>$name ) 2>/tmp/error; fi
      [ $? -eq 0 ] && allowed=$allowed$mode || { grep -q 'not permitted' /tmp/error || allowed=$allowed$mode; }
    done
  fi
  echo "$1$2:$3=$allowed"
done
"""


def probe(bundle, rules):
    spec = bundle.spec("sh", "-c", PROBE)
    spec["process"]["capabilities"] = {kind: [*names, "CAP_MKNOD"] for kind, names in spec["process"]["capabilities"].items()}
    spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "dev", "nosuid"]})
    spec["linux"]["resources"] = {"devices": rules}
    done = bundle.run(spec)
    assert done.code == 0, done
    return dict(line.split("=") for line in done.output.split())


def test_only_the_usual_devices_are_open_when_all_are_closed(bundle):
    assert probe(bundle, [{"allow": False, "access": "rwm"}]) == {
        "c1:3": "mrw", "c1:5": "mrw", "c1:8": "mrw", "c1:2": "m", "c10:229": "m", "b7:0": "m"}


def test_one_device_is_opened_for_reading_only(bundle):
    open_ones = probe(bundle, [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 2, "access": "r"}])
    assert open_ones["c1:2"] == "mr"


def test_all_of_a_major_number_is_opened(bundle):
    open_ones = probe(bundle, [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "access": "rw"}])
    assert open_ones["c1:2"] == "mrw" and open_ones["c10:229"] == "m"


def test_an_exec_is_bound_by_the_same_rules(bundle):
    bundle.start_sleeping()
    script = "mknod /dev/mem-copy c 1 2; true </dev/mem-copy; true </dev/null && echo null"
    done = bundle.call("exec", "--cap", "CAP_MKNOD", bundle.id, "sh", "-c", script)
    assert done.output == "null\n" and "/dev/mem-copy: Operation not permitted" in done.error, done


@pytest.mark.v2
def test_a_container_may_not_loosen_its_filter(bundle):
    spec = bundle.spec("sh", "-c", "mkdir /sys/fs/cgroup/in && echo $$ >/sys/fs/cgroup/in/cgroup.procs && mknod /dev/k c 1 2 && true </dev/k")
    spec["mounts"][-1]["options"] = ["nosuid", "noexec", "nodev", "rw"]
    spec["process"]["capabilities"] = {kind: [*names, "CAP_MKNOD"] for kind, names in spec["process"]["capabilities"].items()}
    done = bundle.run(spec)
    assert done.code != 0 and "not permitted" in done.error, done


def test_an_update_leaves_the_rules_alone(bundle):
    bundle.start_sleeping()
    assert bundle.call("update", "-r", "-", bundle.id, input='{"pids":{"limit":60}}').code == 0
    assert cgroups.read(bundle.cgroup, "pids") == 60
    assert bundle.shell("true >/dev/null").code == 0
