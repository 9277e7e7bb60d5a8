"""One engine for the session, one image, and a tidy state before every test."""

import os
import shutil

import pytest

from busybox import load_busybox
from engine import PROGRAMS, Engine
from host import Census


def pytest_configure(config):
    config.addinivalue_line("markers", "mirror: needs the distribution's package mirror and the Python package index")
    config.addinivalue_line("markers", "last: looks at what all other tests left")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def before():
    """The host before the first engine."""
    missing = [name for name in ("skiff", "skiffd", "skiff-runtime") if not (PROGRAMS / name).exists()]
    assert not missing, f"{', '.join(missing)} not in {PROGRAMS}: build first, or set SKIFF_BIN_DIR"
    assert os.geteuid() == 0 and shutil.which("docker"), "these tests need root and the docker command"
    return Census.take()


@pytest.fixture(scope="session")
def engine(before):
    engine = Engine().start()
    load_busybox(engine)
    engine.quiet = Census.take(engine)
    yield engine
    engine.remove()
    before.assert_nothing_new(of=engine)


@pytest.fixture
def own_engine(before):
    """Makes engines that a test may kill, starve or fill; they hold the busybox image."""
    engines = []

    def make(data_root=None, image=True, arguments=()):
        engine = Engine(data_root, arguments)
        engines.append(engine)
        engine.start()
        if image:
            load_busybox(engine)
        return engine

    yield make
    for engine in engines:
        engine.remove()
        before.assert_nothing_new(of=engine)


@pytest.fixture(autouse=True)
def tidy(request):
    """Whatever a test leaves in the session's engine goes before the next one."""
    yield
    if "engine" in request.fixturenames:
        request.getfixturevalue("engine").clean()


@pytest.fixture
def docker(engine):
    return engine.docker


@pytest.fixture
def skiff(engine):
    return engine.skiff


@pytest.fixture
def client(engine):
    return engine.client


@pytest.fixture(params=["docker", "skiff"])
def cli(request, engine):
    """The same test with Docker's command and with ours."""
    return engine.commands[request.param]


@pytest.fixture
def context(tmp_path):
    """Writes a build context: `context({"Dockerfile": ..., "file": ...})` gives its directory."""

    def write(files, name="context"):
        directory = tmp_path / name
        for path, content in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return directory

    return write
