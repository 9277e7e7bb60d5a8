"""Debian's docker-compose (1.29) against the engine: the networks that it makes, and services that find each other."""

import shutil
import subprocess

import pytest

from waiting import wait_for
from web import fetch, fetch_inside, free_port

CLUSTER = """
version: "2.4"
services:
  master:
    image: busybox
    command: ["sh", "-c", "mkdir -p /www; echo page > /www/index.html; exec httpd -f -p 8001 -h /www"]
    mem_limit: 32m
    ports: ["{port}:8001"]
    networks: [cluster, front]
  worker:
    image: busybox
    command: ["sleep", "600"]
    mem_limit: 16m
    networks:
      cluster:
        aliases: [node]
networks:
  cluster:
    driver: bridge
    internal: true
  front: {{}}
"""


@pytest.fixture
def compose(engine, tmp_path):
    """`compose("up", "-d")` runs the program in a project of its own."""
    assert shutil.which("docker-compose"), "these tests need Debian's docker-compose"

    def run(*arguments, code=0):
        done = subprocess.run(
            ["docker-compose", "-p", "lab", *arguments], cwd=tmp_path, env=engine.docker.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield run
    run("down", "-v", "-t", "0")


def test_services_find_each_other_and_down_takes_the_networks_away(compose, engine, tmp_path):
    port = free_port()
    (tmp_path / "docker-compose.yml").write_text(CLUSTER.format(port=port))
    compose("up", "-d", "--scale", "worker=3")
    docker = engine.docker
    assert {"lab_cluster", "lab_front"} <= set(docker("network", "ls", "--format", "{{.Name}}").lines)
    wait_for(lambda: fetch(f"http://127.0.0.1:{port}/") == "page\n", "the page of the master")
    for number in (1, 2, 3):
        assert docker("exec", f"lab_worker_{number}", *fetch_inside("master", 8001)).out == "page\n"
    answers = docker("exec", "lab_master_1", "nslookup", "worker").out
    for number in (1, 2, 3):
        address = docker("inspect", "-f", "{{.NetworkSettings.Networks.lab_cluster.IPAddress}}", f"lab_worker_{number}").line
        assert address in answers
    assert docker("exec", "lab_master_1", "nslookup", "node").code == 0
    docker("kill", "lab_worker_2")
    compose("up", "-d", "--scale", "worker=3")
    assert docker("exec", "lab_master_1", "ping", "-c", "1", "lab_worker_2").code == 0
    compose("down", "-t", "0")
    assert not {"lab_cluster", "lab_front"} & set(docker("network", "ls", "--format", "{{.Name}}").lines)
