#!/usr/bin/python3
"""Goes through docs/quickstart.md as its reader does, in a network of its own, where the fixed ports
of the page are free. Kinesis is the recorder; weir is built already and the SDK installed.

Started by quickstart_test.py; status 0 and nothing wrong, or an exception.
"""

import fcntl
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sinks import Recorder, aws_environment  # noqa: E402
from weir_server import AWS_KEY_ID, AWS_SECRET, BINARY, DEADLINE_S, ROOT, eventually  # noqa: E402

PAGE = ROOT / "docs" / "quickstart.md"
NPM = ROOT / "build" / "npm" / "node_modules"


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up_and_running = 0x1 | 0x40
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", up_and_running))


class Terminal:
    """A program that runs until Ctrl-C."""

    def __init__(self, command, directory, env):
        self.lines = []
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=directory, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, pattern):
        def seen():
            return re.search(pattern, "".join(self.lines)) or self.process.poll() is not None
        eventually(f"it prints {pattern}", seen)
        assert re.search(pattern, "".join(self.lines)), "".join(self.lines)

    def control_c(self):
        # As the terminal does: to the whole foreground group, which weir itself has left.
        os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(DEADLINE_S)
        self.reader.join(DEADLINE_S)
        return status


class Reader:
    def __init__(self, directory, recorder):
        self.directory = pathlib.Path(directory)
        self.recorder = recorder
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                    **{k: v for k, v in aws_environment(recorder.url).items() if "URL" in k or "SESSION" in k}}
        self.exports = ""
        self.running = None
        self.said = {}
        self.lay_out_the_clone()

    def lay_out_the_clone(self):
        (self.directory / "build" / "release").mkdir(parents=True)
        (self.directory / "build" / "release" / "weir").symlink_to(BINARY)
        (self.directory / "run").symlink_to(ROOT / "run")
        (self.directory / "packaging").symlink_to(ROOT / "packaging")
        (self.directory / "scripts").mkdir()
        built = self.directory / "scripts" / "build"
        built.write_text("#!/bin/sh\n# weir is built already\n")
        built.chmod(0o755)

    def block(self, language, text):
        if language == "sh":
            for line in text.splitlines():
                self.command(line)
        else:
            name = re.match(r"(?://|#) (\S+)\n", text)[1]
            (self.directory / name).write_text(text)

    def command(self, line):
        if line.startswith("export "):
            self.exports = (line.replace("AKIAIOSFODNN7EXAMPLE", AWS_KEY_ID)
                            .replace("...", AWS_SECRET) + "; ")
        elif line == "./run" or " serve " in line:
            self.serve(line)
        elif "--follow" in line:
            self.follow(line)
        elif line.startswith("npm install "):
            self.install(line)
        else:
            self.run(line)

    def serve(self, line):
        if self.running is not None:
            status = self.running.control_c()
            assert status in (0, 130), f"Ctrl-C ended it with {status}:\n{''.join(self.running.lines)}"
        self.running = Terminal(f"bash -c '{self.exports}exec {line}'", self.directory, self.env)
        self.running.wait_for("exported=[1-9]" if line == "./run" else "weir ready")

    def follow(self, line):
        terminal = Terminal(line, self.directory, self.env)
        terminal.wait_for(r"\S")
        status = terminal.control_c()
        assert status in (0, 130), f"{line}: status {status}"

    def install(self, line):
        wanted = line.split()[-1]
        name, version = wanted.rsplit("@", 1)
        package = (ROOT / "tests" / "e2e" / "package.json").read_text()
        assert f'"{name}": "{version}"' in package, f"{wanted} is not what the tests install"
        (self.directory / "node_modules").symlink_to(NPM)

    def run(self, line):
        def says():
            result = subprocess.run(
                ["bash", "-c", self.exports + line], cwd=self.directory, env=self.env,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S)
            assert result.returncode == 0, f"{line}: status {result.returncode}\n{result.stderr}"
            self.said[line] = result.stdout + result.stderr
            return self.said[line].strip()
        if line.startswith("ls "):
            eventually("something is exported", says)
        else:
            assert says(), f"{line} says nothing"


def walk():
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7, "the page has lost its commands"
    with tempfile.TemporaryDirectory(prefix="weir-quickstart-") as directory, \
            Recorder("my-kinesis-stream", region="eu-central-1") as recorder:
        reader = Reader(directory, recorder)
        try:
            for language, text in blocks:
                reader.block(language, text)
            eventually("the message is in Kinesis", lambda: b'{"rpm": 1450}' in recorder.stored())
            assert "hello" in "".join(reader.said.values())
            assert '{"rpm": 1450}' in reader.said["build/release/weir sub pumps --from start --count 1"]
            assert reader.running.control_c() == 0
        finally:
            # Not killed: ./run ends the weir that it has started.
            if reader.running is not None and reader.running.process.poll() is None:
                reader.running.control_c()


if __name__ == "__main__":
    loopback_up()
    walk()
