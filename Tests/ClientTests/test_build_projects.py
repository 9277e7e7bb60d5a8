"""Dockerfiles in the style of real projects, on bases with the names of the usual ones, made of Debian's packages.

They take Debian's mirror, the Python package index and half an hour, so only long tests build them.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from busybox import load_busybox
from engine import Engine

PROJECTS = Path(__file__).parents[1] / "Fixtures/projects"

pytestmark = [pytest.mark.mirror, pytest.mark.skipif("SKIFF_LONG_TESTS" not in os.environ, reason="takes half an hour and a mirror")]

CERTIFICATES = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_ROOT_USER_ACTION=ignore"


def packages(names):
    return f"FROM debian:bookworm-slim\nRUN apt-get update && apt-get install -y --no-install-recommends {names} && rm -rf /var/lib/apt/lists/*\n"


# Each base with all of its names.
BASES = {
    "golang:1.19 golang:1.19-alpine": packages("golang-go git") + "ENV GOPATH=/go GOPROXY=off GOTOOLCHAIN=local\nENV PATH=/go/bin:$PATH\nWORKDIR $GOPATH\n",
    "node:18 node:18-slim": packages("nodejs npm") + "RUN useradd -m node\nCMD [\"node\"]\n",
    "python:3.11 python:3.11-slim": packages("python3 python3-pip python3-venv python-is-python3 adduser") + "RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED\n" + CERTIFICATES
    + "\nCMD [\"python3\"]\n",
    "rust:1.63 rust:1.63-slim": packages("cargo rustc") + "ENV CARGO_HOME=/usr/local/cargo\n",
    "gcc:12": packages("g++ make cmake xz-utils"),
    "eclipse-temurin:17-jdk eclipse-temurin:17-jre": packages("default-jdk-headless") + "ENV JAVA_HOME=/usr/lib/jvm/default-java\n",
    "nginx:1.22": packages("nginx-light"),
    "gcr.io/distroless/static:nonroot": "FROM busybox AS files\nRUN echo nonroot:x:65532:65532::/home/nonroot:/sbin/nologin > /passwd && echo nonroot:x:65532: > /group\n"
    "FROM scratch\nCOPY --from=files /passwd /group /etc/\nWORKDIR /home/nonroot\nUSER 65532\n",
    "nvidia/cuda:12.2.0-runtime": "FROM debian:bookworm-slim\nENV CUDA_VERSION=12.2.0\nRUN mkdir -p /usr/local/cuda-12.2/lib64 && ln -s cuda-12.2 /usr/local/cuda\n"
    "RUN head -c 400M /dev/urandom > /usr/local/cuda/lib64/libcublas.so.12 && cp /lib/x86_64-linux-gnu/libm.so.6 /usr/local/cuda/lib64/libcudart.so.12\n"
    "COPY --chmod=755 <<\"EOF\" /opt/nvidia/nvidia_entrypoint.sh\n#!/bin/sh\nexec \"$@\"\nEOF\nENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\n",
    "nvidia/cuda:12.2.0-devel": "FROM nvidia/cuda:12.2.0-runtime\nRUN head -c 600M /dev/urandom > /usr/local/cuda/lib64/libcudnn_static.a\n",
}

# What each project's container says.
SAYS = {
    "alpine-busybox-cron": "* * * * * date >> /logs/cron.log",
    "alpine-tool": "alpine app /app",
    "bazel-like-layers": "4000",
    "c-autotools-like": "autotools",
    "c-cross-link": "linked 8",
    "cpp-cmake": "c++ cmake",
    "cpp-make-static": "c++ make",
    "debian-service": "service svc svc file.xz",
    "django-like": "db is db:5432\nmanage runserver 0.0.0.0:8000",
    "flask-dev": "flask &lt;b&gt;",
    "go-cgo": "cgo 42",
    "go-distroless": "go 1.2.3",
    "go-scratch": "go dev",
    "go-targets": "two 2",
    "go-vendored": "vendored",
    "java-jar": "java layered",
    "java-jlink": "java jlinked",
    "java-spring-like": "java spring",
    "jupyter-stack": "jupyter jovyan:users 2775",
    "lua-and-shell": "1 12 3 4 a.sh\nb.sh",
    "monorepo-parents": "./a/package.json ./b/package.json",
    "nginx-conf": "a.conf",
    "node-express": "node express-like production 1000",
    "node-heredoc": "hello from a document",
    "node-multistage": "node built 1001!",
    "node-onbuild": "node triggered none 0",
    "node-static-site": "<h1>rendered</h1>",
    "perl-script": "perl",
    "php-like-extension": "php 5",
    "python-cuda": "cuda 400 600",
    "python-pip": "pip 3.6 10001",
    "python-pipenv": "pipenv 3.6 --threads 10",
    "python-poetry-like-wheels": "wheels 3.6 1.16.0 False",
    "python-uv": "uv 3.6 /app/.venv",
    "python-venv": "venv entry point",
    "python-zipapp": "zipapp",
    "ruby-gem": "ruby gem",
    "rust-cached-deps": "rust 0.3.0",
    "rust-static": "rust static",
    "rust-workspace": "rust workspace",
    "secrets-and-ssh": "secrets 0 0",
    "windows-line-ends": "from windows",
}


@pytest.fixture(scope="module")
def bases(before):
    engine = Engine().start()
    try:
        load_busybox(engine)
        engine.docker("tag", "busybox", "alpine:3.19")
        engine.skiff("image", "bootstrap", "debian:bookworm-slim", "--variant", "minbase", "--include", "ca-certificates", "--host-certificates", timeout=600)
        yield engine
    finally:
        engine.remove()
    before.assert_nothing_new(of=engine)


@pytest.fixture(scope="module")
def base(bases):
    """Makes a base when the first project asks for it."""
    made = set()

    def make(dockerfile):
        for names, text in BASES.items():
            if names not in made and any(name.rpartition(":")[0] in dockerfile for name in names.split()):
                made.add(names)
                make(text.partition("\n")[0])
                tags = [word for name in names.split() for word in ("-t", name)]
                bases.skiff("build", *tags, "-", input=text, timeout=1500)
        return bases
    return make


def test_every_project_is_tried():
    assert sorted(path.name for path in PROJECTS.iterdir()) == sorted(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_a_project_is_built_and_runs(base, name, tmp_path):
    context = shutil.copytree(PROJECTS / name, tmp_path / name, symlinks=True)
    for sources in context.glob("tool-*"):
        (sources / "configure").chmod(0o755)
        subprocess.run(["tar", "-cJf", context / "src.tar.xz", "-C", context, sources.name], check=True)
    for script in context.glob("*.sh"):
        script.chmod(0o755)
    engine = base((context / "Dockerfile").read_text())
    engine.skiff("build", "-t", f"project/{name}", context, timeout=1500)
    assert SAYS[name] in engine.docker("run", "--rm", f"project/{name}", timeout=120).out.strip()
    again = engine.skiff("build", "-t", f"project/{name}", context, timeout=120).out
    steps = again.count("\nStep ") + again.startswith("Step ")
    fresh = [line for line in again.splitlines() if " ---> Running in" in line]
    assert steps > 1 and not fresh, again
