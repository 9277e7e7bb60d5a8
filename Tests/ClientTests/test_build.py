"""`build`: each instruction, the cache, and what one is told when a step fails."""

import json

import pytest
from docker.errors import BuildError

from tarballs import tar_of
from waiting import wait_for


def build(cli, directory, *options, code=0, tag="built"):
    return cli("build", *options, "-t", tag, directory, code=code, timeout=120)


def run(cli, *command, image="built"):
    return cli("run", "--rm", image, *command).out


@pytest.fixture(autouse=True)
def no_cache_from_other_tests(engine):
    yield
    for image in engine.client.api.images(quiet=True):
        found = engine.client.api.inspect_image(image)
        for name in [*found["RepoTags"], *found["RepoDigests"]] or [image]:
            if name != "busybox:latest":
                engine.docker("rmi", "-f", name, code=None)
    engine.docker("builder", "prune", "-af", code=None)


def test_every_instruction(cli, context):
    directory = context({
        "Dockerfile": """# All of them.
FROM busybox AS base
LABEL a=b \\
      c="d e"
MAINTAINER someone <s@example.org>
ARG WHO=nobody
ENV GREETING="hello $WHO" OLD=1
ENV PLAIN old form with blanks
WORKDIR /work
WORKDIR sub
COPY --chown=alice:video one.txt two.txt ./
ADD packed.tar /unpacked/
COPY dir/ /dir/
RUN echo "$GREETING" > said
RUN ["/bin/touch", "/exec form"]
EXPOSE 8001 53/udp
VOLUME ["/data"]
USER alice
ENTRYPOINT ["/bin/echo", "Hello"]
CMD ["world"]
""",
        "one.txt": "1", "two.txt": "2", "dir/a/b": "deep", "packed.tar": tar_of({"in/side": b"tarred"}),
    })
    build(cli, directory, "--build-arg", "WHO=world")
    assert cli("run", "--rm", "built").out == "Hello world\n"
    assert cli("run", "--rm", "built", "Pavlos").out == "Hello Pavlos\n"
    shown = cli("run", "--rm", "--entrypoint", "sh", "built", "-c",
                "cat /work/sub/said /unpacked/in/side /dir/a/b; echo; pwd; id -un; stat -c '%U:%G' one.txt; echo $PLAIN; ls '/exec form'").lines
    assert shown == ["hello world", "tarreddeep", "/work/sub", "alice", "alice:video", "old form with blanks", "/exec form"]
    [image] = json.loads(cli("image", "inspect", "built").out)
    config = image["Config"]
    assert config["Labels"] == {"a": "b", "c": "d e"} and image["Author"] == "someone <s@example.org>"
    assert set(config["ExposedPorts"]) == {"8001/tcp", "53/udp"} and config["Volumes"] == {"/data": {}}
    assert config["User"] == "alice" and config["WorkingDir"] == "/work/sub"
    assert not [variable for variable in config["Env"] if variable.startswith("WHO=")]


def cached_steps(output):
    """How many steps came from the cache, in either form of the display."""
    return output.count("Using cache") + output.count("CACHED")


def test_only_what_changed_is_done_again(cli, context):
    files = {
        "Dockerfile": "FROM busybox\nRUN echo $RANDOM$RANDOM > /first\nCOPY req /req\nRUN cat /req\nCOPY app /app\nCMD [\"cat\", \"/app\"]\n",
        "req": "r", "app": "version 1"}
    build(cli, context(files))
    first = run(cli, "cat", "/first")
    again = build(cli, context(files))
    assert cached_steps(again.all) == 5
    changed = build(cli, context(files | {"app": "version 2"}))
    assert cached_steps(changed.all) == 3
    assert (run(cli), run(cli, "cat", "/first")) == ("version 2", first)
    fresh = build(cli, context(files), "--no-cache")
    assert cached_steps(fresh.all) == 0 and run(cli, "cat", "/first") != first


def test_a_changed_mode_or_argument_is_a_change(cli, context):
    directory = context({"Dockerfile": "FROM busybox\nARG V\nCOPY f /f\nRUN echo $V > /v\n", "f": "x"})
    build(cli, directory, "--build-arg", "V=1")
    build(cli, directory, "--build-arg", "V=2")
    assert run(cli, "cat", "/v") == "2\n"
    (directory / "f").chmod(0o755)
    build(cli, directory, "--build-arg", "V=2")
    assert run(cli, "stat", "-c", "%a", "/f") == "755\n"


def test_ignored_files_stay_out(cli, context):
    build(cli, context({
        "Dockerfile": "FROM busybox\nCOPY . /ctx\n", ".dockerignore": "# comment\n*.log\n!keep.log\nsecret/\n**/deep.txt\n",
        "a.log": "", "keep.log": "", "secret/key": "", "x/y/deep.txt": "", "x/y/other.txt": ""}))
    found = run(cli, "sh", "-c", "cd /ctx && find . -type f | sort").split()
    assert found == ["./.dockerignore", "./Dockerfile", "./keep.log", "./x/y/other.txt"]


def test_several_stages(cli, context):
    directory = context({"Dockerfile": """ARG BASE=busybox
FROM $BASE AS builder
RUN mkdir /out && echo made > /out/program && echo junk > /junk
FROM busybox AS tester
RUN echo tested > /tested
FROM busybox
COPY --from=builder /out/ /app/
COPY --from=0 /out/program /copy
COPY --from=busybox:latest /etc/passwd /passwd
"""})
    shown = build(cli, directory)
    assert run(cli, "sh", "-c", "cat /app/program /copy; ls /junk /tested 2>/dev/null; grep -c alice /passwd") == "made\nmade\n1\n"
    build(cli, directory, "--target", "builder", tag="stage")
    assert run(cli, "cat", "/junk", image="stage") == "junk\n"
    assert "Successfully tagged built:latest" in shown.all


def test_a_failing_command_shows_its_last_words_and_code(cli, context):
    directory = context({"Dockerfile": "FROM busybox\nRUN echo before; echo trouble >&2; exit 42\nRUN echo never\n"})
    failed = build(cli, directory, code=None)
    assert failed.code != 0
    assert "trouble" in failed.all and "returned a non-zero code: 42" in failed.err
    assert "/bin/sh -c echo before; echo trouble >&2; exit 42" in failed.all
    assert "never" not in failed.all.split("non-zero")[1]
    assert cli("images", "-q", "built").out == "" and cli("ps", "-aq").out == ""


@pytest.mark.parametrize("dockerfile, message", [
    ("FROM busybox\nRUNN echo\n", "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"),
    ("FROM busybox\n\nCOPY onlyone\n", "line 3"),
    ("FROM busybox\nENV\n", "line 2"),
    ("RUN echo\n", "line 1"),
    ("# nothing\n", "file with no instructions"),
    ("", "cannot be empty"),
    ("FROM busybox\nEXPOSE many\n", "many"),
    ("FROM busybox\nCOPY nosuch /\n", "nosuch"),
    ("FROM busybox\nCOPY ../up /\n", "up"),
    ("FROM busybox\nCOPY --from=127.0.0.1:9/nosuch /a /a\n", "connection refused"),
    ("FROM 127.0.0.1:9/nosuch:1\n", "connection refused"),
    ("FROM busybox\nUSER nosuch\nRUN true\n", "nosuch"),
])
def test_a_bad_dockerfile_is_explained(cli, context, dockerfile, message):
    failed = build(cli, context({"Dockerfile": dockerfile}), code=1)
    assert message in failed.err
    assert cli("images", "-q", "built").out == ""


def test_a_missing_dockerfile_or_context(cli, tmp_path):
    failed = build(cli, tmp_path, code=1)
    assert "Dockerfile" in failed.err
    assert build(cli, tmp_path / "nosuch", code=1).err.strip()


def test_dockerfile_elsewhere_labels_quiet_and_two_tags(cli, context):
    directory = context({"sub/My.dockerfile": "FROM busybox\nRUN echo x > /x\n", "file": ""})
    identity = cli("build", "-q", "-f", directory / "sub/My.dockerfile", "--label", "k=v", "-t", "one:1", "-t", "two:2", directory).line
    assert identity.startswith("sha256:")
    for name in ("one:1", "two:2"):
        assert cli("inspect", "-f", "{{.Id}} {{.Config.Labels.k}}", name).line == f"{identity} v"


def test_a_dockerfile_from_a_pipe(cli):
    cli("build", "-t", "built", "-", input="FROM busybox\nRUN echo piped > /x\n")
    assert run(cli, "cat", "/x") == "piped\n"


def test_what_a_step_deletes_is_hidden_and_what_it_replaces_is_new(cli, context):
    build(cli, context({"Dockerfile": "FROM busybox\nRUN echo old > /f && mkdir /d && echo x > /d/x\nRUN rm -r /d && echo new > /f && mkdir /d && rm /etc/group\n"}))
    assert run(cli, "sh", "-c", "cat /f; ls /d; ls /etc/group 2>&1 | wc -l") == "new\n1\n"
    changed = cli("run", "--rm", "busybox", "ls", "/etc/group")
    assert changed.out == "/etc/group\n"


def test_steps_start_without_what_the_last_one_left_running(cli, context):
    shown = build(cli, context({"Dockerfile": "FROM busybox\nRUN sleep 600 & echo started\nRUN ps\n"}))
    assert "sleep 600" not in shown.all.split("RUN ps")[-1]


def test_laboratory_b(cli, context):
    """ENTRYPOINT and CMD, and many containers from one image."""
    directory = context({"Dockerfile": "FROM busybox:latest\nRUN echo update\nENTRYPOINT [\"/bin/echo\", \"Hello\"]\nCMD [\"world\"]\n"})
    shown = cli("build", "-t", "hello_world_cmd", "-f", "Dockerfile", ".", cwd=directory).out
    assert "Step 1/4 : FROM busybox:latest" in shown and "Step 4/4 : CMD" in shown
    assert "Successfully tagged hello_world_cmd:latest" in shown
    assert cli("run", "-t", "hello_world_cmd").out == "Hello world\r\n"
    assert cli("run", "-t", "hello_world_cmd", "Pavlos").out == "Hello Pavlos\r\n"
    assert "hello_world_cmd" in cli("images").out
    assert "ENTRYPOINT" in cli("image", "history", "hello_world_cmd").out
    assert len(cli("container", "ls", "-aq").lines) == 2


def test_laboratory_h(cli, context):
    """An image as a class: ENV, COPY, ADD, EXPOSE, WORKDIR, USER, ENTRYPOINT and CMD."""
    directory = context({
        "Dockerfile": 'FROM busybox\nENV MYVAR="HELLO"\nRUN echo MYUSER:x:3000:3000::/:/bin/sh >> /etc/passwd\nCOPY my-conf.txt /app/my-conf.txt\n'
                      'ADD my-file.txt /app/my-file.txt\nEXPOSE 9000\nWORKDIR "/WORKDIR"\nUSER MYUSER\n'
                      'ENTRYPOINT ["/bin/sh"]\nCMD ["-c", "echo ${MYVAR}"]\n',
        "my-conf.txt": "conf", "my-file.txt": "file"})
    cli("build", "-f", "Dockerfile", "-t", "my-image:1.0", ".", cwd=directory)
    assert cli("run", "--rm", "my-image:1.0").out == "HELLO\n"
    assert cli("run", "--rm", "-e", "MYVAR=OTHER", "my-image:1.0").out == "OTHER\n"
    assert cli("run", "--rm", "my-image:1.0", "-c", "pwd; id -un; cat /app/*").out == "/WORKDIR\nMYUSER\nconffile"


def test_docker_py_builds(client, context):
    directory = context({"Dockerfile": "FROM busybox\nARG V=1\nRUN echo $V > /v\n"})
    image, log = client.images.build(path=str(directory), tag="built", buildargs={"V": "py"}, rm=True)
    assert any("Step 1/3" in entry.get("stream", "") for entry in log)
    assert image.tags == ["built:latest"]
    assert client.containers.run("built", "cat /v", remove=True) == b"py\n"
    broken = context({"Dockerfile": "FROM busybox\nRUN exit 3\n"}, "broken")
    with pytest.raises(BuildError, match="returned a non-zero code: 3"):
        client.images.build(path=str(broken))


def test_a_build_that_is_given_up_ends_its_command(cli, engine, context):
    before = set(engine.supervisors())
    building = cli.start("build", "-t", "built", context({"Dockerfile": "FROM busybox\nRUN echo at work; sleep 600\n"}))
    wait_for(lambda: set(engine.supervisors()) - before, "the command to run")
    building.terminate()
    building.communicate(timeout=20)
    wait_for(lambda: set(engine.supervisors()) == before, "the command to end")
    assert cli("images", "-q", "built").out == ""
