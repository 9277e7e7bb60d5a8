"""Docker's own engine of the distribution, with roots of its own and no network: what ours is compared with."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import docker

from commands import Command, client_environment
from waiting import wait_for


class Dockerd:
    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="skiff-dockerd-", dir="/var/tmp"))
        socket = self.root / "docker.sock"
        self.log = open(self.root / "log", "w")
        # A network namespace of its own: the host's firewall and bridges are not touched.
        self.process = subprocess.Popen(
            ["unshare", "--net", "dockerd", "--data-root", self.root / "data", "--exec-root", self.root / "exec", "--pidfile", self.root / "pid",
             "--host", f"unix://{socket}", "--bridge", "none", "--iptables=false", "--ip6tables=false"],
            stdout=self.log, stderr=self.log, start_new_session=True)
        home = self.root / "home"
        home.mkdir()
        self.docker = Command("docker", ["docker"], client_environment(socket, home))
        wait_for(lambda: self.process.poll() is not None or self.docker("version", code=None).code == 0, "dockerd to answer", 60)
        assert self.process.poll() is None, (self.root / "log").read_text()[-2000:]
        self.client = docker.DockerClient(base_url=f"unix://{socket}", version="auto", timeout=120)

    def remove(self):
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(f"{self.root}/"):
                subprocess.run(["umount", "-l", line.split()[4]], capture_output=True)
        shutil.rmtree(self.root)
