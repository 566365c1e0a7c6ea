"""A terminal for programs that draw on one: a pty and as much of a screen as weir needs."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import unicodedata

from weir_server import eventually

SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


def width_of(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """Understands what weir sends and nothing else: any other control character is a fault."""

    def __init__(self, columns, rows):
        self.resize(columns, rows)
        self.faults = []
        self.alternate = self.hidden = False
        self.styles = set()
        self.rest = ""

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.old_size = True  # until it is drawn anew, what comes may still be for the size before
        self.clear()
        self.row = self.column = 0

    def clear(self):
        """A wide character takes its cell and an empty one."""
        self.cells = [[" "] * self.columns for _ in range(self.rows)]

    @property
    def lines(self):
        return ["".join(cells) for cells in self.cells]

    def feed(self, data):
        text, self.rest = self.rest + data, ""
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                found = SEQUENCE.match(text, at)
                if not found:
                    if len(text) - at < 16:
                        self.rest = text[at:]
                        return
                    self.faults.append(f"sequence {text[at:at + 16]!r}")
                    at += 1
                    continue
                self.obey(found[1], found[2])
                at = found.end()
                continue
            at += 1
            if character in "\r\n" and not self.alternate:
                continue
            if ord(character) < 32 or 0x7f <= ord(character) < 0xa0:
                self.faults.append(f"control character {character!r}")
                continue
            self.put(character)

    def put(self, character):
        if not self.alternate:
            return
        if self.row >= self.rows or self.column + width_of(character) > self.columns:
            if not self.old_size:
                self.faults.append(f"beyond the edge: {character!r} at {self.row},{self.column} of {self.columns}")
            return
        width = width_of(character)
        self.cells[self.row][self.column:self.column + width] = [character] + [""] * (width - 1)
        self.column += width

    def obey(self, arguments, letter):
        if letter == "H":
            row, column = (int(part) for part in arguments.split(";"))
            self.row, self.column = row - 1, column - 1
        elif letter == "K" and self.row >= self.rows:
            if not self.old_size:
                self.faults.append(f"clears line {self.row} of {self.rows}")
        elif letter == "K":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif (letter, arguments) == ("J", "2"):
            self.old_size = False
            self.clear()
        elif letter == "m":
            self.styles.update(arguments.split(";"))
        elif arguments == "?1049":
            self.alternate = letter == "h"
        elif arguments == "?25":
            self.hidden = letter == "l"
        else:
            self.faults.append(f"sequence {arguments}{letter}")


class Terminal:
    """A program on a terminal of its own. `text()` is what a person would see."""

    def __init__(self, command, columns=80, rows=24, env=None):
        self.ours, theirs = pty.openpty()
        self.screen = Screen(columns, rows)
        self.lock = threading.Lock()
        self.set_size(columns, rows)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs  # kept open: what the program leaves behind can be looked at
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        if not env or "NO_COLOR" not in env:
            environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen([str(part) for part in command], stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True, env=environment,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.leaving = False
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while not self.leaving:
            if not select.select([self.ours], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return
            with self.lock:
                self.screen.feed(decoder.decode(data))

    def set_size(self, columns, rows):
        with self.lock:
            self.screen.resize(columns, rows)
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.screen.lines]

    def text(self):
        return "\n".join(self.lines())

    def wait_for(self, what, condition):
        """Until `condition(text)` holds; shows the screen if it never does."""
        try:
            return eventually(what, lambda: condition(self.text()))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}\n{self.screen.faults}") from None

    def sees(self, part):
        self.wait_for(f"{part!r} is on the screen", lambda text: part in text)

    def is_as_before(self):
        return termios.tcgetattr(self.theirs) == self.before and not self.screen.alternate and not self.screen.hidden

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.leaving = True
        self.reader.join()
        os.close(self.ours)
        os.close(self.theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
