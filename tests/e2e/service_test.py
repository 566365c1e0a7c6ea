"""What a service manager hears of weir: ready, alive, stopping; and silence when it is stuck."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from weir_client import Client
from weir_server import DEADLINE_S, Weir, eventually

WATCHDOG_S = 4  # weir then reports once a second


class Manager:
    """Plays systemd: a datagram socket, at a path or with an abstract name."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def env(self, **more):
        return {"NOTIFY_SOCKET": self.name, **more}

    def message(self, deadline_s=DEADLINE_S):
        """The next message as a dictionary; None if nothing came in time."""
        self.socket.settimeout(deadline_s)
        try:
            text = self.socket.recv(8192).decode()
        except TimeoutError:
            return None
        return dict(line.split("=", 1) for line in text.split("\n"))

    def forget(self):
        """Throws away what waits."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(8192)
        except BlockingIOError:
            pass

    def close(self):
        self.socket.close()


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def manager(self, name=None):
        manager = Manager(name or str(self.directory / "notify"))
        self.addCleanup(manager.close)
        return manager

    def test_a_manager_hears_when_programs_can_connect_and_when_it_stops(self):
        for name in (None, f"@weir-e2e-{os.getpid()}"):
            manager = self.manager(name)
            weir = self.enterContext(Weir(env=manager.env()))
            ready = manager.message()
            self.assertEqual(ready["READY"], "1")
            self.assertIn(f"127.0.0.1:{weir.port}", ready["STATUS"])
            Client(weir.port).close()
            weir.stop()
            stopping = manager.message()
            self.assertEqual(stopping["STOPPING"], "1")
            self.assertGreaterEqual(int(stopping["EXTEND_TIMEOUT_USEC"]), 10_000_000)
            self.assertIsNone(manager.message(0.1), "nobody watches, so there are no signs of life")

    def test_a_start_that_fails_is_never_ready(self):
        manager = self.manager()
        weir = Weir(env=manager.env(), directory=self.directory)
        weir.store.write_text("not a directory")
        with self.assertRaises(Exception):
            weir.start()
        self.assertIsNone(manager.message(0.1))

    def test_a_reload_is_reported_from_its_beginning_to_its_end(self):
        manager = self.manager()
        weir = self.enterContext(Weir(env=manager.env()))
        self.assertEqual(manager.message()["READY"], "1")
        for _ in range(2):
            weir.process.send_signal(signal.SIGHUP)
            reloading = manager.message()
            self.assertEqual(reloading["RELOADING"], "1")
            self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
            self.assertEqual(manager.message(), {"READY": "1"})

    def test_a_stuck_weir_gives_no_sign_of_life(self):
        manager = self.manager()
        weir = self.enterContext(
            Weir(env=manager.env(WATCHDOG_USEC=str(WATCHDOG_S * 1_000_000))))
        self.assertEqual(manager.message()["READY"], "1")
        for _ in range(2):
            self.assertEqual(manager.message(), {"WATCHDOG": "1"})
        # Each wait for events of each thread now takes a minute more; threads that wait for anything
        # else run on, so a sign of life from one of them would be heard.
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(weir.process.pid), "-o", self.directory / "trace",
             "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2",
             "-e", "inject=epoll_wait,epoll_pwait,epoll_pwait2:delay_exit=60000000"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            attached = tracer.stderr.readline()
            if "attached" not in attached:
                self.skipTest(f"cannot trace here: {attached}")
            # The heartbeat that was on its way, then silence.
            eventually("no sign of life for as long as systemd waits",
                       lambda: manager.message(WATCHDOG_S) is None)
        finally:
            tracer.terminate()
            tracer.communicate(timeout=DEADLINE_S)
        manager.forget()
        self.assertEqual(manager.message(), {"WATCHDOG": "1"}, "it is not stuck any more")
        with Client(weir.port) as client:
            client.create("still there")


if __name__ == "__main__":
    unittest.main()
