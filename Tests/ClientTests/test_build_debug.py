"""`build --debug`: a shell in the state before the step that failed, and nothing of it afterwards."""

import os
import signal

import pytest

from host import Census
from terminals import Terminal
from test_build import no_cache_from_other_tests  # noqa: F401
from waiting import wait_for

FAILING = """FROM busybox
ARG WORD=argument
RUN echo before > /before
WORKDIR /work
USER alice
RUN --mount=type=secret,id=key,uid=1234 --mount=type=tmpfs,target=/scratch --mount=target=/ctx,rw echo during > /tmp/during; echo last words; exit 3
RUN echo never
"""


def test_a_shell_where_a_command_failed(skiff, engine, context, tmp_path):
    (tmp_path / "key").write_text("planted")
    before = Census.take(engine)
    with Terminal(skiff, "build", "--debug", "--secret", f"id=key,src={tmp_path}/key", str(context({"Dockerfile": FAILING})), rows=31, columns=99) as shell:
        assert "last words" in shell.expect("returned a non-zero code: 3")
        shell.expect("$ ")
        shell.type("echo \"<$(cat /before) $(ls /tmp) $WORD $PWD $(id -un) $(cat /run/secrets/key) $(stty size) $(ls /scratch /ctx | grep -c Dockerfile)>\"\n")
        assert shell.expect("\n<before ") is not None
        assert shell.expect(">").split() == ["argument", "/work", "alice", "planted", "31", "99", "1"]
        shell.resize(20, 70)
        shell.type("trap 'echo changed' WINCH; until [ \"$(stty size)\" = '20 70' ]; do :; done; echo resi''zed\n")
        shell.expect("resized")
        # Ctrl-C is for what runs in the shell.
        shell.type("sleep 600\n")
        wait_for(lambda: b"sleep\x00600" in commands(engine), "the command to run")
        shell.type("\x03")
        shell.type("echo st''ill here; exit\n")
        shell.expect("still here")
        assert shell.exit_code() == 3
    before.assert_same(engine)
    assert skiff("images", "-q", "-a").lines == skiff("images", "-q", "busybox").lines


def commands(engine):
    """What runs below the engine's supervisors."""
    found = b""
    for pid in engine.supervisors():
        for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
            for process in [child, *open(f"/proc/{child}/task/{child}/children").read().split()]:
                found += open(f"/proc/{process}/cmdline", "rb").read()
    return found


def test_a_shell_where_a_file_is_missing(skiff, engine, context):
    before = Census.take(engine)
    with Terminal(skiff, "build", "--debug", "--target", "late", str(context({"Dockerfile": "FROM busybox AS late\nENV A=1\nCOPY none /x\n"}))) as shell:
        shell.expect("file does not exist")
        shell.expect("# ")
        shell.type("echo \"<$A>\"; exit 9\n")
        shell.expect("<1>")
        assert shell.exit_code() == 1
    before.assert_same(engine)


def test_an_image_without_a_shell(skiff, engine, context):
    before = Census.take(engine)
    with Terminal(skiff, "build", "--debug", str(context({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\nRUN [\"/none\"]\n"}))) as shell:
        shell.expect("the shell could not be opened")
        assert shell.exit_code() == 1
    before.assert_same(engine)


def test_a_build_that_works_opens_none(skiff, context):
    with Terminal(skiff, "build", "--debug", "-t", "built", str(context({"Dockerfile": "FROM busybox\nRUN true\n"}))) as shell:
        shell.expect("Successfully tagged built:latest")
        assert shell.exit_code() == 0


def test_a_trigger_that_mounts_the_context_is_no_failure(skiff, context):
    dockerfile = "FROM busybox AS base\nONBUILD RUN --mount=type=bind,target=/c cp /c/f /f\nFROM base\n"
    with Terminal(skiff, "build", "--debug", "-t", "built", str(context({"Dockerfile": dockerfile, "f": ""}))) as shell:
        assert "A shell opens" not in shell.expect("Successfully tagged built:latest")
        assert shell.exit_code() == 0


def test_a_trigger_in_whose_stage_a_step_fails_opens_one(skiff, context):
    dockerfile = "FROM busybox AS bad\nRUN exit 3\nFROM busybox AS base\nONBUILD COPY --from=bad /none /x\nFROM base\n"
    with Terminal(skiff, "build", "--debug", str(context({"Dockerfile": dockerfile}))) as shell:
        shell.expect("A shell opens")
        shell.expect("# ")
        shell.type("exit\n")
        assert shell.exit_code() == 3
        assert "A shell opens" not in shell.seen


def test_without_a_terminal_it_is_refused(skiff, context):
    failed = skiff("build", "--debug", context({"Dockerfile": "FROM busybox\n"}), code=1)
    assert failed.err == "--debug opens a shell: standard input and output have to be a terminal\n"
    assert failed.out == ""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_shell_goes_with_the_client(skiff, engine, context, end):
    before = Census.take(engine)
    with Terminal(skiff, "build", "--debug", str(context({"Dockerfile": "FROM busybox\nRUN exit 3\n"}))) as shell:
        shell.expect("# ")
        assert engine.supervisors()
        os.kill(shell.process.pid, end)
        shell.process.wait(20)
    before.assert_same(engine)


def test_control_c_while_a_step_runs_ends_the_build(skiff, engine, context):
    before = Census.take(engine)
    with Terminal(skiff, "build", "--debug", str(context({"Dockerfile": "FROM busybox\nRUN echo at work; sleep 600\n"}))) as build:
        build.expect("at work\r\n")
        build.type("\x03")
        assert build.exit_code() == 130
    before.assert_same(engine)


def test_an_engine_that_is_killed_takes_the_shell_up_no_more(own_engine, context):
    engine = own_engine()
    before = Census.take(engine)
    with Terminal(engine.skiff, "build", "--debug", str(context({"Dockerfile": "FROM busybox\nRUN exit 3\n"}))) as shell:
        shell.expect("# ")
        engine.kill()
        assert shell.exit_code() != 0
    engine.start()
    before.assert_same(engine)
