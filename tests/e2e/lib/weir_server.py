"""Starts the real weir, each in directories of its own and on a port that the system chooses."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("WEIR_BINARY", ROOT / "build" / "release" / "weir")).resolve()
SANITIZED = os.environ.get("WEIR_E2E_SANITIZED") == "1"
# How long a state may take to arrive before the test fails. Never a pause: where much else goes on, what takes a
# second takes a minute.
DEADLINE_S = 120.0

# What must appear in no log line of any weir that the tests start. Tests use these values.
TOKEN = "TOKEN-7Q2XVARE9PLM4WZ0"
AWS_KEY_ID = "AKIDWEIREXAMPLE00001"
AWS_SECRET = "secret/2hTqX9wExampleKeyNotReal+bPv71Zk"
AWS_SESSION = "session-IQoJb3JpZ2luX2VjExampleNotReal"
PAYLOAD_MARK = b"payload-mark-c0ffee"
SECRETS = [TOKEN, AWS_SECRET, AWS_SESSION, PAYLOAD_MARK.decode()]


def eventually(what, check, deadline_s=None):
    """Asks `check` again and again until it gives something true; returns that."""
    end = time.monotonic() + (deadline_s or DEADLINE_S)
    pause = threading.Event()
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within the deadline: {what}")
        pause.wait(0.01)


class Output:
    """Collects the lines of a pipe."""

    def __init__(self, pipe, changed):
        self.lines = []
        self.ended = False
        self.changed = changed
        self.thread = threading.Thread(target=self.collect, args=(pipe,), daemon=True)
        self.thread.start()

    def collect(self, pipe):
        for line in iter(pipe.readline, b""):
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        pipe.close()

    def text(self):
        return "\n".join(self.lines)


class StartFailed(Exception):
    def __init__(self, status, text):
        super().__init__(f"weir ended with status {status}:\n{text}")
        self.status = status
        self.text = text


class Weir:
    """One `weir serve`. `config` is merged into the settings every test needs; it is written as
    JSON, which YAML readers read."""

    def __init__(self, config=None, env=None, authenticate=False, directory=None, arguments=(),
                 wrapper=(), use_config=True):
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="weir-e2e-"))
        self.store = self.directory / "store"
        self.config = {
            "store": {"directory": str(self.store)},
            "server": {"port": 0, "authenticate_client": authenticate},
            "admin": {"port": 0},
        }
        for section, members in (config or {}).items():
            if isinstance(members, dict):
                self.config.setdefault(section, {}).update(members)
            else:
                self.config[section] = members
        self.use_config = use_config
        self.env = {
            key: value for key, value in os.environ.items()
            if not key.startswith(("STREAM_MANAGER_", "AWS_", "WEIR_")) and key != "LOG_LEVEL"
        }
        self.env.update(env or {})
        self.arguments = list(arguments)
        self.wrapper = list(wrapper)
        self.process = None
        self.outputs = []
        self.starts = 0
        self.all_logs = []

    # -- life

    def config_file(self):
        path = self.directory / "weir.yaml"
        path.write_text(json.dumps(self.config, indent=2) + "\n")
        return path

    def command(self):
        command = [*self.wrapper, str(BINARY), "serve"]
        if self.use_config:
            command += ["--config", str(self.config_file())]
        return command + self.arguments

    def start(self):
        """Starts and waits for the line that says it accepts. Raises StartFailed."""
        assert self.process is None
        self.starts += 1
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.env, cwd=self.directory)
        self.changed = threading.Condition()
        self.out = Output(self.process.stdout, self.changed)
        self.err = Output(self.process.stderr, self.changed)
        self.outputs = [self.out, self.err]
        end = time.monotonic() + DEADLINE_S
        with self.changed:
            while True:
                ready = self.ready_line()
                if ready:
                    break
                if self.out.ended and self.err.ended:
                    ready = None
                    break
                if not self.changed.wait(max(0.0, end - time.monotonic())):
                    if time.monotonic() >= end:
                        break
        if not ready:
            alive = self.process.poll() is None and not (self.out.ended and self.err.ended)
            if alive:
                self.process.kill()
            status = self.process.wait(10)
            text = self.log()
            self.forget_process()
            raise StartFailed("(killed: no ready line)" if alive else status, text)
        self.port = int(ready["port"])
        self.admin_port = int(ready["admin"])
        return self

    def ready_line(self):
        """The line on standard output that says it accepts, taken apart."""
        for line in self.out.lines:
            found = re.fullmatch(r"weir ready: address=\S+ port=(?P<port>\d+) admin=(?P<admin>\d+) store=.*", line)
            if found:
                return found
        return None

    def log(self):
        return "\n".join([*self.all_logs, *(output.text() for output in self.outputs)])

    def forget_process(self):
        for output in self.outputs:
            output.thread.join(10)
        self.all_logs += [output.text() for output in self.outputs]
        self.outputs = []
        self.process = None

    def stop(self, deadline_s=30):
        """An ordered stop; it must succeed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(deadline_s * (4 if SANITIZED else 1))
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise AssertionError(f"weir did not stop within {deadline_s} s:\n{self.log()}") from late
        self.forget_process()
        assert status == 0, f"weir stopped with status {status}:\n{self.log()[-6000:]}"

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.forget_process()

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process is not None:
                if self.process.poll() is not None:
                    status = self.process.returncode
                    self.forget_process()
                    raise AssertionError(f"weir ended by itself, status {status}:\n{self.log()[-8000:]}")
                if kind is None:
                    self.stop()
                else:
                    self.kill()
            found = [secret for secret in SECRETS if secret in self.log()]
            assert not found, f"the log contains what must never be logged: {found}"
        finally:
            if self.process is not None:
                self.kill()
            if kind is not None:
                print(f"--- log of weir\n{self.log()[-6000:]}\n---")
            if self.own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    # -- looking at it

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def weir_command(*arguments, input=None, env=None, timeout=None, cwd=None):
    """Runs the `weir` program; returns the finished process with text output."""
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(("STREAM_MANAGER_", "AWS_", "WEIR_"))}
    return subprocess.run(
        [str(BINARY), *map(str, arguments)], input=input, env={**clean, **(env or {})},
        capture_output=True, timeout=timeout or DEADLINE_S, cwd=cwd,
        text=not isinstance(input, bytes), check=False)
