"""The engine is killed again and again while clients run, exec, follow, stop, remove and build.

What it has acknowledged holds: every container is there or was removed on request, with all its lines and its exit code; and
afterwards nothing is left on the host. With SKIFF_LONG_TESTS ten minutes, otherwise a few seconds.
"""

import collections
import io
import os
import random
import tarfile
import threading
import time

import docker
import pytest
import requests
import urllib3

from busybox import load_busybox
from engine import Engine
from host import Census
from tarballs import add
from waiting import wait_for, wait_until_equal

SECONDS = float(os.environ.get("SKIFF_KILL_SECONDS") or (600 if os.environ.get("SKIFF_LONG_TESTS") else 10))

# Numbered lines, then an end of its own; or numbered lines until it is stopped.
COUNTED = "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; {pause} done; exit {code}"
ENDLESS = "trap 'echo stopped; exit {code}' TERM; i=0; while :; do i=$((i+1)); echo line $i; usleep 20000; done"

UNKNOWN = object()


class Ledger:
    """What of one container has been acknowledged."""

    def __init__(self, name, code, lines=None):
        self.name, self.code, self.lines = name, code, lines
        self.removal = None  # or "asked", "done"

    def __repr__(self):
        return f"{self.name} (code {self.code}, lines {self.lines}, removal {self.removal})"


class Client:
    """One of those who load the engine, in a thread of its own. It sees its connections break, and comes back."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.random = random.Random(f"{load.seed} {number}")
        self.made = 0
        self.api = None

    def call(self, method, *args, **options):
        """The answer of the engine, or UNKNOWN when it died over the call."""
        while True:
            try:
                if self.api is None:
                    self.api = docker.APIClient(base_url=f"unix://{self.load.engine.socket}", version="1.44", timeout=60)
                return getattr(self.api, method)(*args, **options)
            except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError,
                    ConnectionError) as error:
                self.close()
                if not was_never_sent(error): return UNKNOWN
                self.load.wait_for_engine()

    def ask(self, method, *args, **options):
        """For questions: asked until it is answered."""
        while True:
            answer = self.call(method, *args, **options)
            if answer is not UNKNOWN: return answer

    def close(self):
        if self.api: self.api.close()
        self.api = None

    def state(self, name):
        """None where there is no such container."""
        try:
            return self.ask("inspect_container", name)["State"]
        except docker.errors.NotFound:
            return None

    def new_name(self, kind):
        self.made += 1
        return f"{kind}-{self.number}-{self.made}"

    # -- what clients do

    def create(self, ledger, command, network, **host):
        """True when the container is there, acknowledged or not."""
        config = docker.APIClient(version="1.44").create_host_config(network_mode=network, **host)
        answer = self.call("create_container", "busybox", ["sh", "-c", command], name=ledger.name, host_config=config, volumes=["/data"])
        if answer is UNKNOWN and self.state(ledger.name) is None: return False
        self.load.ledgers.append(ledger)
        return True

    def start(self, ledger):
        """Starts it, again if it has to be: a start that was cut off has begun or it has not. False: it was removed at its end."""
        while True:
            answer = self.call("start", ledger.name)
            if answer is not UNKNOWN: return True
            state = self.state(ledger.name)
            if state is None: return False
            if state["Status"] != "created": return True

    def network(self):
        return self.random.choice(["none", "bridge"])

    def run(self):
        """A container with an end: its code and its lines, then its removal, at once or at the very end."""
        lines, code = self.random.choice([3, 40, 400]), self.random.randrange(100)
        ledger = Ledger(self.new_name("run"), code, lines)
        pause = "usleep 5000;" if self.random.random() < 0.3 else ""
        if not self.create(ledger, COUNTED.format(lines=lines, pause=pause, code=code), self.network()): return
        self.start(ledger)
        answer = self.ask("wait", ledger.name)
        assert answer["StatusCode"] == code, f"{ledger}: wait answers {answer}"
        self.load.check_ended(self, ledger)
        if self.random.random() < 0.7: self.remove(ledger)

    def run_and_forget(self):
        """As `run --rm -d`: what remains is for the end to see."""
        ledger = Ledger(self.new_name("forget"), 0, 5)
        ledger.removal = "asked"
        if self.create(ledger, COUNTED.format(lines=5, pause="", code=0), self.network(), auto_remove=True): self.start_forgotten(ledger)

    def start_forgotten(self, ledger):
        try:
            self.start(ledger)
        except docker.errors.NotFound:
            pass  # An engine that starts removes what is to remove itself.

    def remove(self, ledger, force=False):
        ledger.removal = "asked"
        try:
            answer = self.call("remove_container", ledger.name, force=force, v=True)
        except docker.errors.NotFound:
            raise AssertionError(f"{ledger} was lost before it was removed")
        if answer is not UNKNOWN:
            ledger.removal = "done"
            self.load.removed(self, ledger)

    def stop(self):
        """A container that goes on until it is stopped, watched by one who follows its log, and with further processes."""
        code = self.random.randrange(100)
        ledger = Ledger(self.new_name("stop"), code)
        if not self.create(ledger, ENDLESS.format(code=code), self.network()): return
        self.start(ledger)
        self.follow(ledger)
        for _ in range(self.random.randrange(3)): self.execute(ledger)
        if self.random.random() < 0.3:
            self.remove(ledger, force=True)
            return
        while self.call("stop", ledger.name, timeout=20) is UNKNOWN:
            pass
        self.load.check_ended(self, ledger)
        if self.random.random() < 0.7: self.remove(ledger)

    def follow(self, ledger):
        """Reads `logs -f` from its first line for a while: no line is missing, whatever happens to the engine meanwhile."""
        stream = self.call("logs", ledger.name, stream=True, follow=True)
        if stream is UNKNOWN: return
        text, wanted = b"", self.random.randrange(5, 40)
        try:
            for piece in stream:
                text += piece
                if text.count(b"\n") >= wanted: break
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError):
            pass
        self.close()
        assert_numbered(text.decode().split("\n")[:-1], f"followed {ledger}")

    def execute(self, ledger):
        """A further process: its output is whole when its end was told, and its code is known to the next engine too."""
        code = self.random.randrange(100)
        # docker-py drops what it reads together with the head of the answer, so nothing may come that soon.
        command = f"usleep 300000; for i in 1 2 3; do echo line $i; usleep {self.random.randrange(100000)}; done; exit {code}"
        answer = self.call("exec_create", ledger.name, ["sh", "-c", command])
        if answer is UNKNOWN: return
        kills = self.load.kills
        try:
            output = self.call("exec_start", answer["Id"])
        except docker.errors.NotFound:
            return  # The engine died between the two, and has forgotten what had not begun.
        # A stream that the engine's death cuts off looks whole to this client.
        if output is UNKNOWN or self.load.kills != kills: output = b"" if output is UNKNOWN else output
        else: assert output.decode().splitlines() == ["line 1", "line 2", "line 3"], f"a process in {ledger} wrote {output}"
        try:
            state = self.ask("exec_inspect", answer["Id"])
            while state["Running"]: state = self.ask("exec_inspect", answer["Id"])
        except docker.errors.NotFound:
            assert not output, f"the end of a process in {ledger} is forgotten"
            return
        assert state["ExitCode"] == code, f"a process in {ledger}: {state}, wanted {code}"

    def build(self):
        tag = f"built:{self.new_name('image')}"
        dockerfile = f"FROM busybox\nCOPY f /f\nRUN echo {tag} > /tag && head -c 100000 /dev/zero > /zero\n"
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            add(tar, "Dockerfile", dockerfile.encode())
            add(tar, "f", self.random.randbytes(50000))
        stream = self.call("build", fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=tag, rm=True, decode=True)
        if stream is UNKNOWN: return
        try:
            messages = list(stream)
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError):
            return self.close()
        # Without an end the stream may only seem whole: chunks are missing when the engine dies.
        assert not any("error" in message for message in messages), f"{tag}: {messages}"
        if any("Successfully tagged" in message.get("stream", "") for message in messages):
            self.ask("inspect_image", tag)
            self.load.images.append(tag)


def was_never_sent(error):
    """The engine was not there at all."""
    text = str(error)
    return "FileNotFoundError" in text or "ConnectionRefusedError" in text or "No such file" in text or "Connection refused" in text


def assert_numbered(lines, what):
    numbers = [int(line.split()[1]) if line.startswith("line ") else line for line in lines]
    assert numbers == list(range(1, len(numbers) + 1)), f"{what}: {numbers[:5]} … {numbers[-5:]}"


class Load:
    def __init__(self, engine, seed):
        self.engine, self.seed = engine, seed
        self.ledgers = collections.deque()
        self.images = collections.deque()
        self.failures = collections.deque()
        self.done = collections.Counter()
        self.kills = 0
        self.end = time.monotonic() + SECONDS

    def wait_for_engine(self):
        """Until it is there again; the one who kills it starts it."""
        wait_for(lambda: self.engine.socket.exists() and self.engine._answers(), "the engine to come back", 30)

    def work(self, number, acts):
        client = Client(self, number)
        try:
            while time.monotonic() < self.end and not self.failures:
                act = client.random.choice(acts)
                getattr(client, act)()
                self.done[act] += 1
        except Exception as error:
            error.add_note(f"client {number}")
            self.failures.append(error)
        finally:
            client.close()

    def check_ended(self, client, ledger):
        """What is known of a container that has ended."""
        state = client.state(ledger.name)
        assert state and state["Status"] == "exited", f"{ledger}: {state}"
        assert state["ExitCode"] == ledger.code, f"{ledger}: {state}"
        while True:
            text = client.ask("logs", ledger.name)
            lines = text.decode().splitlines()
            # An answer that the death of the engine cut off looks whole to this client.
            if client.state(ledger.name) and (not lines or self.is_whole(ledger, lines)): break
            if text == client.ask("logs", ledger.name): break
        if ledger.lines is None:
            assert lines and lines[-1] == "stopped", f"{ledger}: the last line of {len(lines)} is {lines[-1:]}"
            lines = lines[:-1]
        else:
            assert len(lines) == ledger.lines, f"{ledger}: {len(lines)} lines"
        assert_numbered(lines, f"{ledger}")

    def is_whole(self, ledger, lines):
        return lines[-1] == "stopped" if ledger.lines is None else len(lines) == ledger.lines

    def removed(self, client, ledger):
        assert client.state(ledger.name) is None, f"{ledger} is back"

    def run(self):
        """Kills the engine every second or two as long as the load lasts."""
        acts = [["run", "run_and_forget"], ["stop"], ["run", "stop"], ["build", "run"]]
        threads = [threading.Thread(target=self.work, args=(number, list(act))) for number, act in enumerate(acts)]
        chance = random.Random(self.seed)
        for thread in threads: thread.start()
        while time.monotonic() < self.end and not self.failures:
            # Not waiting for something: the moment has to be any.
            threading.Event().wait(chance.uniform(0.3, 2.5))
            self.kills += 1
            self.engine.restart()
        for thread in threads: thread.join(120)
        assert not any(thread.is_alive() for thread in threads), "a client hangs"
        for failure in self.failures: raise failure

    def check_all(self):
        client = Client(self, "last")
        there = {container["Names"][0][1:] for container in client.ask("containers", all=True)}
        unknown = there - {ledger.name for ledger in self.ledgers}
        assert not unknown, f"nobody made {unknown}"
        for ledger in self.ledgers:
            if ledger.removal == "done": assert ledger.name not in there, f"{ledger} is back"
            if ledger.removal is not None: continue
            assert ledger.name in there, f"{ledger} is lost"
            state = client.state(ledger.name)
            if state["Status"] == "created": continue
            if ledger.lines is None and state["Running"]: client.ask("stop", ledger.name, timeout=20)
            client.ask("wait", ledger.name)
            self.check_ended(client, ledger)
        wait_until_equal(
            lambda: [name for name in there if name.startswith("forget") and (client.state(name) or {}).get("Status") not in (None, "created")],
            [], "containers to be removed at their end")
        for tag in self.images: client.ask("inspect_image", tag)
        client.close()


@pytest.fixture(scope="module")
def loaded(before):
    engine = Engine().start()
    load_busybox(engine)
    yield engine
    engine.remove()
    before.assert_nothing_new(of=engine)


def test_nothing_is_lost_by_an_engine_that_is_killed_again_and_again(loaded):
    loaded.docker("run", "--rm", "busybox", "true")
    quiet, layers = Census.take(loaded), loaded.layers()
    load = Load(loaded, seed=os.environ.get("SKIFF_KILL_SEED") or random.randrange(1 << 32))
    print(f"seed {load.seed}")
    load.run()
    print(f"{load.kills} kills, {dict(load.done)}, {len(load.ledgers)} containers, {len(load.images)} images")
    loaded.restart()
    load.check_all()
    for container in loaded.client.api.containers(all=True): loaded.client.api.remove_container(container["Id"], force=True, v=True)
    assert loaded.client.api.volumes()["Volumes"] in ([], None)
    # Also of builds whose end nobody was told.
    for tag in loaded.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "built").lines: loaded.docker("rmi", tag)
    loaded.docker("image", "prune", "-f")
    loaded.docker("builder", "prune", "-af")
    quiet.assert_same(loaded)
    assert loaded.layers() == layers
