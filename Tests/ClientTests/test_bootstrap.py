"""The main job from nothing: a base image from packages, an app built from its Dockerfile, its page fetched."""

import pytest

from engine import REPOSITORY, Engine
from waiting import wait_for
from web import fetch, free_port

pytestmark = pytest.mark.mirror


@pytest.fixture(scope="module")
def debian(before):
    """An engine with a small Debian."""
    engine = Engine().start()
    shown = engine.skiff(
        "image", "bootstrap", "debian:bookworm", "--variant", "minbase", "--include", "ca-certificates", "--host-certificates", timeout=400)
    assert shown.all.strip()
    yield engine
    engine.remove()
    before.assert_nothing_new(of=engine)


def test_the_base_is_a_debian(debian):
    script = ". /etc/os-release; echo $ID $VERSION_CODENAME; dpkg -l | wc -l; find /var/lib/apt/lists -type f"
    shown = debian.docker("run", "--rm", "debian:bookworm", "sh", "-c", script).lines
    assert shown[0] == "debian bookworm" and int(shown[1]) > 50 and shown[2:] == []
    assert "debian" in debian.skiff("images").out


def test_the_hello_app_is_built_and_served(debian):
    app = REPOSITORY / "Examples/hello-app"
    first = debian.skiff("build", "-t", "hello-app", app, timeout=500).all
    assert "Successfully tagged hello-app:latest" in first
    port = free_port()
    debian.skiff("run", "-d", "--name", "hello", "-p", f"{port}:8001", "hello-app")
    page = wait_for(lambda: fetch(f"http://127.0.0.1:{port}/"), "the page", 60)
    assert "hello" in page.lower()
    again = debian.docker("build", "-t", "hello-app", app, timeout=100).all
    assert again.count("Using cache") + again.count("CACHED") >= 9
    assert debian.docker("exec", "hello", "python", "-c", "print(6*7)").line == "42"
    assert "CMD" in debian.docker("history", "hello-app").out
    debian.docker("stop", "-t", "2", "hello")


def test_an_unknown_distribution_is_refused(debian):
    failed = debian.skiff("image", "bootstrap", "debian:nosuch", code=None, timeout=100)
    assert failed.code != 0 and "nosuch" in failed.err
    assert debian.docker("images", "-q", "debian:nosuch").out == ""


def test_testcontainers_start_a_server_and_take_it_away(debian, tmp_path, monkeypatch):
    """The library that projects start their databases with; its reaper is an image of a registry that tests do not ask."""
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*\n"
        "USER redis\nEXPOSE 6379\nCMD [\"redis-server\", \"--bind\", \"0.0.0.0\", \"--protected-mode\", \"no\", \"--save\", \"\"]\n")
    debian.docker("build", "-t", "redis:debian", tmp_path, timeout=300)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{debian.socket}")
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.network import Network
    from testcontainers.redis import RedisContainer
    with Network() as network, RedisContainer("redis:debian").with_network(network).with_network_aliases("store") as redis:
        store = redis.get_client()
        assert store.set("word", "kept") and store.get("word") == b"kept"
        code, output = redis.get_wrapped_container().exec_run(["redis-cli", "-h", "store", "get", "word"])
        assert code == 0 and output.strip() == b"kept"
        assert b"Ready to accept connections" in b"".join(redis.get_logs())
        name = redis.get_wrapped_container().name
    assert name not in debian.docker("ps", "-a", "--format", "{{.Names}}").out
    assert debian.docker("network", "ls", "--filter", f"name={network.name}", "-q").out == ""
