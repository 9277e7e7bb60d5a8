"""`-t`: what a person sees and types."""

from terminals import Terminal
from waiting import wait_for


def test_a_shell_echoes_and_answers(cli):
    with Terminal(cli, "run", "-it", "--rm", "busybox", "sh") as shell:
        shell.expect("# ")
        shell.type("tty; echo $((6*7))\n")
        assert "/dev/pts/0" in shell.expect("42")
        shell.type("exit 5\n")
        assert shell.exit_code() == 5


def test_the_window_has_the_size_of_ours_and_follows_it(cli):
    with Terminal(cli, "run", "-it", "--rm", "busybox", "sh", rows=33, columns=101) as shell:
        shell.expect("# ")
        wait_for(lambda: size(shell) == "33 101", "the first size")
        shell.resize(20, 60)
        wait_for(lambda: size(shell) == "20 60", "the new size")
        shell.type("exit\n")
        assert shell.exit_code() == 0


def size(shell):
    shell.type("echo size:$(stty size):\n")
    shell.expect("\nsize:")
    return shell.expect(":")


def test_control_c_reaches_the_program(cli):
    with Terminal(cli, "run", "-it", "--rm", "busybox", "sh", "-c", "trap 'exit 130' INT; echo ready; sleep 600 & wait") as program:
        program.expect("ready")
        program.type("\x03")
        assert program.exit_code() == 130


def test_control_c_interrupts_a_foreground_command(cli):
    with Terminal(cli, "run", "-it", "--rm", "--name", "box", "busybox", "sh") as shell:
        shell.expect("# ")
        shell.type("sleep 600\n")
        # Earlier the signal would be for the shell, which ignores it.
        wait_for(lambda: "sleep 600" in cli("top", "box").out, "the command to own the terminal")
        shell.type("\x03")
        shell.expect("# ")
        shell.type("exit 0\n")
        assert shell.exit_code() == 0


def test_detach_keys_leave_it_running(cli):
    with Terminal(cli, "run", "-it", "--name", "left", "busybox", "sh") as shell:
        shell.expect("# ")
        shell.type("X=kept\n")
        shell.expect("# ")
        shell.type("\x10\x11")
        assert shell.exit_code() == 0
    assert cli("inspect", "-f", "{{.State.Running}}", "left").line == "true"
    with Terminal(cli, "attach", "left") as shell:
        shell.type("echo $X.again\n")
        shell.expect("kept.again")
        shell.type("exit 3\n")
        assert shell.exit_code() == 3


def test_detach_keys_can_be_others(cli):
    with Terminal(cli, "run", "-it", "--name", "left", "--detach-keys", "ctrl-a,d", "busybox", "sh") as shell:
        shell.expect("# ")
        shell.type("\x01d")
        assert shell.exit_code() == 0
    assert cli("inspect", "-f", "{{.State.Running}}", "left").line == "true"


def test_a_terminal_for_exec(cli, engine):
    engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    with Terminal(cli, "exec", "-it", "-w", "/tmp", "-e", "X=y", "box", "sh", rows=31, columns=99) as shell:
        shell.expect("# ")
        wait_for(lambda: size(shell) == "31 99", "the size of an exec session")
        shell.type("echo \"<$(tty) $(pwd) x$X>\"\n")
        shell.expect("\n<")
        tty, directory, variable = shell.expect(">").split()
        assert tty.startswith("/dev/pts/") and (directory, variable) == ("/tmp", "xy")
        shell.resize(25, 70)
        wait_for(lambda: size(shell) == "25 70", "the new size")
        shell.type("exit 9\n")
        assert shell.exit_code() == 9


def test_output_of_a_terminal_ends_lines_as_terminals_do(cli):
    assert cli("run", "-t", "--rm", "busybox", "echo", "line").out == "line\r\n"


def test_a_terminal_needs_one(cli):
    refused = cli("run", "-it", "--rm", "busybox", "true", input="", code=1)
    assert "the input device is not a TTY" in refused.err
