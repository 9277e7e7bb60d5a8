"""A person at a terminal."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """A program on a terminal of its own: type, read, resize."""

    def __init__(self, command, *args, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.seen = ""
        self.process = subprocess.Popen(
            command.argv + list(args), env=command.env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text, seconds=20):
        """Reads until `text` has come and gives what came before it; later reads begin behind it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert self._read(end), f"waited for {text!r}, saw {self.seen!r}"
        before, self.seen = self.seen.split(text, 1)
        return before

    def exit_code(self, seconds=20):
        """Reads the rest and gives the exit code of the program."""
        end = time.monotonic() + seconds
        while self._read(end):
            pass
        return self.process.wait(seconds)

    def _read(self, end):
        ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False  # The last program has closed the terminal.
        self.seen += data.decode(errors="replace")
        return bool(data)
