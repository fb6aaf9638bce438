# SPDX-License-Identifier: MIT
"""A program on a terminal of its own."""
import fcntl
import os
import pty
import select
import subprocess
import termios


class Terminal:
    """The client with a terminal of its own."""

    def __init__(self, command):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        termios.tcsetwinsize(self.slave, (24, 80))
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = b""

    def type(self, data):
        os.write(self.master, data)

    def expect(self, text):
        while text not in self.seen:
            assert select.select([self.master], [], [], 30)[0], "waited for %r, saw %r" % (text, self.seen)
            self.seen += os.read(self.master, 4096)

    def resize(self, rows, columns):
        termios.tcsetwinsize(self.slave, (rows, columns))

    def raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self):
        code = self.process.wait(30)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was not restored"
        os.close(self.master)
        os.close(self.slave)
        return code
