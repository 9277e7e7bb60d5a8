"""What Dockerfiles make is what Docker's classic builder makes of them: file trees, modes, owners, links, capabilities, configurations.

Its results are kept in Tests/Fixtures/built-images; `scripts/record-built-images` asks Debian's dockerd anew. Long tests ask it as well.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from built_images import base_image, described
from busybox import load_busybox
from dockerd import Dockerd
from dockerfile_corpus import CASES, DIFFERENT

RECORDED = json.loads((Path(__file__).parents[1] / "Fixtures/built-images/docker-20.10.json").read_text())


@pytest.fixture(scope="module")
def with_base(engine):
    base_image(engine)
    yield engine
    engine.docker("builder", "prune", "-af")


@pytest.fixture(scope="module")
def dockerd(before):
    if not shutil.which("dockerd"):
        pytest.skip("dockerd is not installed (package docker.io)")
    dockerd = Dockerd()
    try:
        load_busybox(dockerd)
        yield dockerd
    finally:
        dockerd.remove()


@pytest.mark.parametrize("name", CASES)
def test_what_docker_makes(with_base, name, tmp_path):
    made = described(with_base, name, CASES[name], tmp_path)
    if name in DIFFERENT:
        assert made == RECORDED[name]["skiff"] and made != RECORDED[name]["docker"], DIFFERENT[name][1]
    else:
        assert made == RECORDED[name]


@pytest.mark.skipif("SKIFF_LONG_TESTS" not in os.environ, reason="asks dockerd, which takes two minutes")
@pytest.mark.parametrize("name", CASES)
def test_what_is_recorded_is_what_docker_makes(dockerd, name, tmp_path):
    recorded = RECORDED[name]["docker"] if name in DIFFERENT else RECORDED[name]
    assert described(dockerd, name, CASES[name], tmp_path) == recorded
