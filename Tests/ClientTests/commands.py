"""The commands `docker` and `skiff` as functions."""

import os
import subprocess
from dataclasses import dataclass


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def all(self):
        return self.out + self.err

    @property
    def line(self):
        """The output of a command that prints one line, an id mostly."""
        return self.out.strip()

    @property
    def lines(self):
        return self.out.splitlines()


class Command:
    """`docker("ps", "-a")` runs the command, wants exit code 0 and gives its output."""

    def __init__(self, name, argv, env):
        self.name = name
        self.argv = argv
        self.env = env

    def __call__(self, *args, code=0, input=None, timeout=60, cwd=None, env=None):
        """`code=None` accepts every exit code."""
        binary = isinstance(input, bytes)
        done = subprocess.run(
            self.argv + [str(arg) for arg in args], env={**self.env, **(env or {})}, cwd=cwd, timeout=timeout,
            capture_output=True, input=input if binary or input is None else input.encode(),
            stdin=subprocess.DEVNULL if input is None else None)
        result = Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if code is not None:
            assert result.code == code, f"{self.name} {' '.join(map(str, args))}: exit {result.code}\n{result.all}"
        return result

    def binary(self, *args, timeout=60):
        """The bytes on standard output."""
        return subprocess.run(
            self.argv + [str(arg) for arg in args], env=self.env, timeout=timeout, check=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout

    def start(self, *args, **options):
        """The command in the background, with pipes."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        return subprocess.Popen(self.argv + [str(arg) for arg in args], env=self.env, **options)

    def __repr__(self):
        return self.name


def client_environment(socket, home):
    """What the user's own Docker settings hold does not reach the tests."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "SKIFF_"))}
    return env | {
        "DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": f"{home}/docker", "HOME": str(home), "DOCKER_BUILDKIT": "0",
        "TERM": "xterm", "LC_ALL": "C.UTF-8",
    }
