"""What the engine says about itself and shows of its containers."""

import json
import os
import re
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from commands import Command
from engine import PROGRAMS


def test_version_shows_client_and_server(cli):
    shown = cli("version").out
    assert "Client:" in shown and "Server:" in shown and "API version" in shown
    assert cli("version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}").line.split()[1] == "1.24"
    major, minor = cli("version", "-f", "{{.Server.APIVersion}}").line.split(".")
    assert (int(major), int(minor)) >= (1, 50)


def test_info_counts_containers_and_images(cli, engine):
    engine.docker("run", "-d", "busybox", "sleep", "600")
    engine.docker("create", "busybox", "true")
    info = json.loads(cli("info", "--format", "{{json .}}").out)
    assert (info["Containers"], info["ContainersRunning"], info["ContainersStopped"]) == (2, 1, 1)
    assert info["Images"] >= 1 and info["DockerRootDir"] == str(engine.data_root)
    assert info["NCPU"] == os.cpu_count() and info["MemTotal"] > 0


def test_ping_is_answered_without_a_version_in_the_path(client):
    assert client.ping()


def test_ps_shows_state_command_ports_and_names(cli):
    cli("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "busybox", "sleep", "600")
    cli("run", "--name", "gone", "busybox", "sh", "-c", "exit 3", code=3)
    assert cli("ps", "--format", "{{.Names}}").lines == ["web"]
    rows = cli("ps", "-a", "--format", "{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.Ports}}").lines
    assert [row.split("|")[0] for row in rows] == ["gone", "web"]
    assert "Exited (3)" in rows[0]
    name, image, command, status, ports = rows[1].split("|")
    assert (image, command) == ("busybox", '"sleep 600"')
    assert status.startswith("Up ") and ports.startswith("127.0.0.1:") and ports.endswith("->80/tcp")
    assert cli("ps", "-aq", "--filter", "status=exited").line == cli("ps", "-aq", "--filter", "name=gone").line
    table = cli("ps").lines
    assert table[0].split()[:4] == ["CONTAINER", "ID", "IMAGE", "COMMAND"] and "web" in table[1]
    assert cli("container", "ls", "-q").out == cli("ps", "-q").out


def test_ps_filters_by_label_and_ancestor(cli):
    cli("create", "--name", "one", "--label", "team=red", "busybox")
    cli("create", "--name", "two", "--label", "team=blue", "busybox")
    assert cli("ps", "-a", "--filter", "label=team=red", "--format", "{{.Names}}").lines == ["one"]
    assert sorted(cli("ps", "-a", "--filter", "ancestor=busybox", "--format", "{{.Names}}").lines) == ["one", "two"]
    assert cli("ps", "-n", "1", "-a", "--format", "{{.Names}}").lines == ["two"]


def test_inspect_gives_both_kinds_and_formats(cli):
    cli("create", "--name", "box", "-e", "A=1", "--label", "l=v", "busybox", "sleep", "5")
    container, image = json.loads(cli("inspect", "box", "busybox").out)
    assert container["Name"] == "/box" and container["State"]["Status"] == "created"
    assert container["Config"]["Cmd"] == ["sleep", "5"] and "A=1" in container["Config"]["Env"]
    assert container["Image"] == image["Id"] and "busybox:latest" in image["RepoTags"]
    assert cli("inspect", "-f", "{{.Config.Labels.l}} {{.State.Running}}", "box").line == "v false"


def test_inspect_of_nothing_says_so(cli):
    failed = cli("inspect", "nosuch", code=1)
    assert failed.out.strip() == "[]"
    assert "no such object: nosuch" in failed.err.lower()


def test_events_tell_the_story_of_a_container(cli):
    cli("run", "--rm", "--name", "told", "busybox", "true")
    listening = cli.start("events", "--since", "1m", "--filter", "container=told", "--format", "{{.Action}}", text=True)
    told = [action for action in read_until(listening, "destroy") if action in ("create", "start", "die", "destroy")]
    assert told == ["create", "start", "die", "destroy"]


def test_events_arrive_while_they_happen(cli, engine):
    listening = cli.start("events", "--since", "0s", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}", text=True)
    engine.docker("create", "--name", "early", "busybox")
    assert "create early" in read_until(listening, "create early")


def read_until(process, last):
    """The lines of a command that goes on, up to `last`; then it is ended."""
    seen = []
    limit = threading.Timer(20, process.kill)
    limit.start()
    for line in process.stdout:
        seen.append(line.strip())
        if seen[-1] == last:
            break
    limit.cancel()
    process.kill()
    process.communicate()
    return seen


def test_disk_usage_lists_images_containers_and_volumes(cli):
    cli("volume", "create", "kept")
    kinds = [line.split("|")[0] for line in cli("system", "df", "--format", "{{.Type}}|{{.TotalCount}}").lines]
    cli("volume", "rm", "kept")
    assert kinds == ["Images", "Containers", "Local Volumes", "Build Cache"]


def test_unknown_commands_and_flags_are_refused(skiff):
    assert "unknown command: skiff nosuch" in skiff("nosuch", code=1).err
    assert "unknown flag: --nosuch" in skiff("run", "--nosuch", "busybox", code=125).err
    assert "unknown shorthand flag: 'Q'" in skiff("run", "-Q", "busybox", code=125).err
    assert "requires at least 1 argument" in skiff("run", code=1).err


def test_an_engine_that_is_not_there_is_named(skiff, tmp_path):
    away = Command("skiff", [skiff.argv[0], "-H", f"unix://{tmp_path}/none.sock"], skiff.env)
    assert f"{tmp_path}/none.sock" in away("ps", code=1).err


def test_only_root_reaches_the_engine_and_its_files(engine):
    modes = {
        engine.socket: (0o600, 0o660), engine.data_root: (0o700,), engine.exec_root: (0o700, 0o711),
        engine.data_root / "containers": (0o700,), engine.exec_root / "containers": (0o700,),
        engine.data_root / "volumes": (0o700, 0o701),
    }
    seen = {str(path): stat.S_IMODE(path.stat().st_mode) for path in modes}
    assert {path: oct(mode) for path, mode in seen.items() if mode not in modes[type(engine.socket)(path)]} == {}


def test_a_data_root_that_was_open_before_is_closed(own_engine, tmp_path):
    root = tmp_path / "open"
    root.mkdir(mode=0o755)
    engine = own_engine(data_root=root, image=False)
    assert stat.S_IMODE(root.stat().st_mode) & 0o077 == 0
    assert engine.client.ping()


def test_sockets_of_running_containers_are_for_root_alone(engine):
    engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    sockets = [path for path in engine.exec_root.rglob("*") if path.is_socket()]  # what vanishes meanwhile is none
    assert len(sockets) >= 2
    assert {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in sockets
            if stat.S_IMODE(path.stat().st_mode) not in (0o600, 0o660)} == {}
    for path in [engine.exec_root / "containers", *engine.exec_root.glob("containers/*")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("path", ["/v1.23/containers/json", "/v1.99/containers/json"])
def test_versions_that_we_do_not_speak_are_refused(client, path):
    answer = client.api.get(client.api.base_url + path)
    assert answer.status_code == 400 and "version" in answer.json()["message"]


def test_unknown_paths_are_answered_in_json(client):
    answer = client.api.get(client.api.base_url + "/v1.44/nosuch")
    assert answer.status_code == 404 and answer.json() == {"message": "page not found"}


@pytest.mark.parametrize("program", ["skiffd", "skiff-runtime"])
def test_manual_pages_name_every_option(before, program):
    page = (Path(__file__).parents[2] / "packaging" / f"{program}.8").read_text().replace("\\-", "-")
    told = subprocess.run([PROGRAMS / program, "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", told, re.M)) - {"--help"}
    assert len(options) > 5
    assert [option for option in sorted(options) if f"\\fB{option}\\fR" not in page] == []


def test_an_installation_holds_programs_units_completions_and_manual_pages(before, tmp_path):
    root = Path(__file__).parents[2]
    subprocess.run([root / "scripts" / "install", PROGRAMS, tmp_path, "/usr"], check=True, cwd="/")
    for file in ("usr/bin/skiff", "usr/bin/skiffd", "usr/bin/skiff-runtime", "lib/systemd/system/skiff.socket",
                 "usr/share/bash-completion/completions/skiff", "usr/share/man/man1/skiff-run.1", "usr/share/man/man8/skiffd.8"):
        assert (tmp_path / file).stat().st_size > 0, file
    pages = [*(tmp_path / "usr/share/man").glob("man?/*")]
    told = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-c", *(page for page in pages if not page.read_text().startswith(".so"))],
                          capture_output=True, text=True)
    assert told.returncode == 0 and told.stderr == ""
    assert re.search(r"skiff.run . Make a container from an image and run it", told.stdout)
