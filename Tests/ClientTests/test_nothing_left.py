"""After many containers everything is as it was: mounts, links, cgroups, rules, processes, sockets, files."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from host import Census, descriptors
from waiting import wait_for


@pytest.mark.parametrize("name", ["docker", "skiff"])
def test_one_after_the_other(engine, name):
    engine.clean()
    quiet = Census.take(engine)
    cli = engine.commands[name]
    for _ in range(50):
        cli("run", "--rm", "busybox", "true")
    quiet.assert_same(engine)


def test_twenty_at_once(engine):
    engine.clean()
    quiet = Census.take(engine)
    clients = [engine.skiff, engine.docker] * 10
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda cli: cli("run", "--rm", "-i", "busybox", "cat", input=cli.name, code=None, timeout=120), clients))
    assert [(result.code, result.out) for result in done] == [(0, cli.name) for cli in clients], done
    quiet.assert_same(engine)


def test_failed_starts_leave_nothing_either(engine):
    engine.clean()
    quiet = Census.take(engine)
    for options, code in [(["busybox", "nosuch"], 127), (["-w", "/etc/passwd", "busybox", "true"], None), (["-u", "nosuch", "busybox", "true"], None),
                          (["-p", "8001", "-v", "/data", "--mount", "type=bind,source=/nosuch,target=/x", "busybox", "true"], 125)]:
        assert engine.docker("run", "--rm", *options, code=code).code != 0
    engine.clean()
    quiet.assert_same(engine)


@pytest.mark.last
def test_after_all_tests_the_engine_holds_nothing(engine):
    engine.clean()
    assert engine.quiet.rules and str(engine.socket) in engine.quiet.files, "the census sees what is there"
    engine.quiet.assert_same(engine)
    assert engine.process.poll() is None
    wait_for(lambda: descriptors(engine.process.pid).count("pidfd") + descriptors(engine.process.pid).count("anon_inode") < 40,
             "the engine to close what it had open")
    assert "crashed" not in engine.log.read_text() and "Fatal error" not in engine.log.read_text()


@pytest.mark.last
def test_an_engine_that_ended_leaves_nothing_but_its_bridge(own_engine, before):
    engine = own_engine()
    engine.docker("run", "--rm", "-p", "8001", "-v", "/data", "busybox", "true")
    engine.stop()
    now = Census.take(engine)
    assert not now.supervisors and not engine.socket.exists()
    assert not [path for path in engine.exec_root.rglob("*") if path.is_socket()]
    assert {link[0] for link in now.links - before.links if link[0].startswith(("vsk", engine.bridge))} <= {engine.bridge}
