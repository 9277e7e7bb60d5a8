"""Bundles and the OCI runtime under test: RUNTIME names it (a path or a command), by default ours.

The same tests run with `RUNTIME=runc` and `RUNTIME=crun`, which proves the tests; what only ours does is marked `ours`.
They run on the machine itself and, by `scripts/vm`, on one with pure cgroup version 2.
"""

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

import pytest

import cgroups
from bundle import Bundle

PR_SET_CHILD_SUBREAPER = 36


def pytest_configure(config):
    for mark in ("v1: needs controllers of cgroup version 1", "v2: needs pure cgroup version 2", "ours: only our runtime does this",
                 "systemd: needs systemd as the first process"):
        config.addinivalue_line("markers", mark)
    # Whatever a runtime leaves to its caller is ours to reap.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def pytest_collection_modifyitems(config, items):
    if os.getuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root"))
    systemd = Path("/run/systemd/system").is_dir()
    ours = "skiff" in program().name
    for item in items:
        if item.get_closest_marker("v2") and not cgroups.is_version_two():
            item.add_marker(pytest.mark.skip(reason="needs pure cgroup version 2: scripts/vm runs it"))
        if item.get_closest_marker("v1") and cgroups.is_version_two():
            item.add_marker(pytest.mark.skip(reason="needs controllers of cgroup version 1"))
        if item.get_closest_marker("systemd") and not systemd:
            item.add_marker(pytest.mark.skip(reason="needs systemd as the first process: scripts/vm --systemd runs it"))
        if item.get_closest_marker("ours") and not ours:
            item.add_marker(pytest.mark.skip(reason="only our runtime does this"))


def program():
    named = os.environ.get("RUNTIME") or os.environ.get("SKIFF_RUNTIME")
    if named is None:
        named = Path(__file__).resolve().parents[2] / ".build/debug/skiff-runtime"
    found = shutil.which(str(named))
    assert found, f"no runtime at {named}"
    return Path(found)


@pytest.fixture(scope="session")
def runtime():
    return program()


@pytest.fixture(scope="session")
def is_ours(runtime):
    return "skiff" in runtime.name


@pytest.fixture
def make_bundle(runtime):
    """Makes bundles in directories that every user may enter; at the end nothing may be left of their containers."""
    made = []

    def make():
        made.append(Bundle(runtime, Path(tempfile.mkdtemp(prefix="skiff-bundle-"))))
        return made[-1]

    yield make
    for bundle in made:
        bundle.remove()
    reap_strays()
    left = [place for bundle in made for place in bundle.left_behind()]
    for bundle in made:
        shutil.rmtree(bundle.directory)
    assert left == []


@pytest.fixture
def bundle(make_bundle):
    return make_bundle()


def reap_strays():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
