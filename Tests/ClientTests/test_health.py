"""Health checks: probes in the container, what they make of it, and who hears of it."""

import json

import pytest

from waiting import wait_for


def health(cli, name):
    return json.loads(cli("inspect", "--format", "{{json .State.Health}}", name).out)


def status(cli, name):
    return cli("inspect", "--format", "{{.State.Health.Status}}", name).line


def run(engine, name, command, *options):
    engine.docker(
        "run", "-d", "--name", name, "--health-cmd", command, "--health-interval", "100ms", *options, "busybox", "sleep", "600")
    return name


def test_a_container_becomes_healthy_and_unhealthy_and_healthy_again(cli, engine):
    box = run(engine, "box", "echo seen; test ! -e /tmp/ill", "--health-retries", "2")
    assert "(health: starting)" in cli("ps").out or status(cli, box) == "healthy"
    wait_for(lambda: status(cli, box) == "healthy", "health")
    assert "(healthy)" in cli("ps").out
    cli("exec", box, "touch", "/tmp/ill")
    wait_for(lambda: status(cli, box) == "unhealthy", "the failures")
    seen = health(cli, box)
    assert seen["FailingStreak"] >= 2 and seen["Log"][-1]["ExitCode"] == 1 and seen["Log"][-1]["Output"] == "seen\n"
    assert len(seen["Log"]) <= 5 and seen["Log"][-1]["Start"] < seen["Log"][-1]["End"]
    assert "(unhealthy)" in cli("ps", "--filter", "health=unhealthy").out
    assert "box" not in cli("ps", "--filter", "health=healthy").out
    cli("exec", box, "rm", "/tmp/ill")
    wait_for(lambda: status(cli, box) == "healthy", "health again")
    assert health(cli, box)["FailingStreak"] == 0


def test_changes_are_events(cli, engine):
    since = cli("run", "--rm", "busybox", "date", "+%s").line
    run(engine, "box", "true")
    told = ("events", "--since", since, "--until", "0s", "--filter", "container=box", "--format", "{{.Action}}")
    # Docker's client leaves out what happened in the present second.
    wait_for(lambda: "health_status: healthy" in cli(*told).out, "the event")


def test_a_probe_that_takes_too_long_is_killed(cli, engine):
    box = run(engine, "box", "echo begun; sleep 300", "--health-timeout", "200ms", "--health-retries", "1")
    wait_for(lambda: status(cli, box) == "unhealthy", "the time limit")
    last = health(cli, box)["Log"][-1]
    assert last["ExitCode"] == -1 and last["Output"].startswith("Health check exceeded timeout (200ms)")
    cli("update", "--pids-limit", "100", box)
    cli("stop", "-t", "0", box)
    assert status(cli, box) == "unhealthy"


def test_failures_in_the_start_period_do_not_count(cli, engine):
    box = run(
        engine, "box", "test -e /tmp/up", "--health-start-period", "10m", "--health-start-interval", "50ms", "--health-retries", "1")
    wait_for(lambda: len(health(cli, box)["Log"] or []) == 5, "five failures")
    assert status(cli, box) == "starting" and health(cli, box)["FailingStreak"] == 0
    cli("exec", box, "touch", "/tmp/up")
    wait_for(lambda: status(cli, box) == "healthy", "health")


def test_a_probe_that_cannot_be_executed_is_a_failure(cli, engine):
    engine.skiff("run", "-d", "--name", "box", "--health-cmd", "/nosuch", "--health-interval", "100ms", "busybox", "sleep", "600")
    wait_for(lambda: status(cli, "box") == "unhealthy", "the failures")
    assert health(cli, "box")["Log"][-1]["ExitCode"] in (127, -1)


def test_without_a_check_there_is_no_health(cli, engine):
    engine.docker("run", "-d", "--name", "box", "--no-healthcheck", "busybox", "sleep", "600")
    assert health(cli, "box") is None
    assert "box" in cli("ps", "--filter", "health=none", "--format", "{{.Names}}").out


@pytest.mark.parametrize("option, text", [
    (("--health-interval", "100us"), "Interval in Healthcheck cannot be less than 1ms"),
    (("--health-timeout", "1us"), "Timeout in Healthcheck cannot be less than 1ms"),
])
def test_settings_that_make_no_sense_are_refused(docker, option, text):
    refused = docker("create", "--health-cmd", "true", *option, "busybox", code=1)
    assert text in refused.err


def test_probes_go_on_after_the_engine_was_killed(own_engine):
    engine = own_engine()
    run(engine, "box", "test ! -e /tmp/ill", "--health-retries", "1")
    wait_for(lambda: status(engine.docker, "box") == "healthy", "health")
    engine.kill()
    engine.start()
    assert status(engine.docker, "box") == "healthy"
    engine.docker("exec", "box", "touch", "/tmp/ill")
    wait_for(lambda: status(engine.docker, "box") == "unhealthy", "the failure")


def test_the_image_s_check_is_run(engine, cli, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nHEALTHCHECK --interval=100ms --retries=1 CMD echo from the image\nCMD [\"sleep\", \"600\"]\n")
    cli("build", "-t", "checked", str(tmp_path))
    engine.docker("run", "-d", "--name", "box", "checked")
    wait_for(lambda: status(cli, "box") == "healthy", "health")
    assert health(cli, "box")["Log"][-1]["Output"] == "from the image\n"
    engine.docker("run", "-d", "--name", "other", "--health-cmd", "exit 3", "checked")
    wait_for(lambda: status(cli, "other") == "unhealthy", "the other check")
    engine.docker("rm", "-f", "box", "other")
    engine.docker("rmi", "checked")
