"""An engine of our own, with all its state below one temporary directory."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import docker

from commands import Command, client_environment
from waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("SKIFF_BIN_DIR", REPOSITORY / ".build/debug"))


class Engine:
    def __init__(self, data_root=None, arguments=()):
        self.arguments = arguments
        self.directory = Path(tempfile.mkdtemp(prefix="skiff-"))
        self.data_root = Path(data_root or self.directory / "data")
        self.exec_root = self.directory / "run"
        self.socket = self.exec_root / "docker.sock"
        self.bridge = "skt" + hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]
        self.log = self.directory / "engine.log"
        # Files of the Container Device Interface; most tests have none.
        self.cdi = self.directory / "cdi"
        self.journal = self.directory / "journal"
        self.process = None
        home = self.directory / "home"
        home.mkdir()
        env = client_environment(self.socket, home)
        self.docker = Command("docker", ["docker"], env)
        self.skiff = Command("skiff", [str(PROGRAMS / "skiff"), "-H", f"unix://{self.socket}"], env)
        # Goes by the environment, as `docker` does.
        self.skiff_without_host = Command("skiff", [str(PROGRAMS / "skiff")], env)
        self._client = None

    # -- its life

    def start(self):
        ready, theirs = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "skiffd", "--data-root", self.data_root, "--exec-root", self.exec_root, "--bridge", self.bridge,
                 "--log-level", "debug", "--ready-fd", str(theirs), "--cdi-spec-dir", self.cdi, "--journal-socket", self.journal,
                 *[str(argument).replace("{socket}", str(self.socket)) for argument in self.arguments]],
                pass_fds=[theirs], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        os.close(theirs)
        with os.fdopen(ready, "rb") as pipe:
            pipe.read()
        wait_for(lambda: self.process.poll() is not None or self._answers(), "the engine to answer")
        assert self.process.poll() is None, f"the engine ended at once:\n{self.tail()}"
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.tail()

    def kill(self):
        """As `kill -9` does, which leaves the containers alone."""
        self.process.kill()
        self.process.wait(20)

    def restart(self):
        self.kill()
        return self.start()

    def remove(self):
        """Ends everything and takes away what the engine keeps on purpose: its bridge and its firewall table."""
        try:
            if self.process.poll() is None:
                try:
                    self.clean()
                finally:
                    self.stop()
        finally:
            self.process.kill()
            for pid in self.supervisors():
                os.kill(pid, signal.SIGKILL)
            if self._client:
                self._client.close()
            subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)
            subprocess.run(["nft", "delete", "table", "inet", self.bridge], capture_output=True)
            shutil.rmtree(self.directory)

    def clean(self):
        """Removes all containers, networks and volumes."""
        containers = self.client.api.containers(all=True)
        for container in containers:
            try:
                self.client.api.remove_container(container["Id"], force=True, v=True)
            except docker.errors.NotFound:
                pass  # It was on its way out.
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):
                    raise
        if containers:
            wait_for(lambda: not self.client.api.containers(all=True), "all containers to be gone")
        for network in self.client.api.networks(filters={"type": "custom"}):
            self.client.api.remove_network(network["Id"])
        for volume in self.client.api.volumes()["Volumes"] or []:
            self.client.api.remove_volume(volume["Name"], force=True)

    def _answers(self):
        probe = docker.APIClient(base_url=f"unix://{self.socket}", version="1.44", timeout=5)
        try:
            return probe.ping()
        except Exception:
            return False
        finally:
            probe.close()

    # -- how the tests look at it

    @property
    def client(self):
        if self._client is None:
            self._client = docker.DockerClient(base_url=f"unix://{self.socket}", version="auto", timeout=60)
        return self._client

    @property
    def commands(self):
        return {"docker": self.docker, "skiff": self.skiff}

    def layers(self):
        return sorted(path.name for path in (self.data_root / "layers").iterdir())

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def supervisors(self):
        """The processes that look after this engine's containers."""
        return [
            pid for pid, arguments in processes()
            if arguments and os.path.basename(arguments[0]) == "skiff-runtime" and str(self.exec_root) in " ".join(arguments)
        ]

    def pid_of(self, container):
        return self.client.api.inspect_container(container)["State"]["Pid"]


def processes():
    """Every process with its arguments."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            arguments = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(entry), [argument.decode(errors="replace") for argument in arguments if argument]
