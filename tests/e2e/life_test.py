"""Starting, stopping, dying, and what is still there afterwards; stores and settings that are wrong."""

import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import unittest
import urllib.request

import weir_client as w
from weir_client import Client, ConnectionClosed, Refused
from weir_server import BINARY, DEADLINE_S, SANITIZED, StartFailed, Weir, eventually, weir_command


class RestartTest(unittest.TestCase):
    def setUp(self):
        self.weir = self.enterContext(Weir())

    def test_streams_survive_an_ordered_stop(self):
        exports = {"kinesis": [{"identifier": "k", "kinesisStreamName": "x", "disabled": True,
                                "startSequenceNumber": 7}]}
        with Client(self.weir.port) as client:
            client.create("kept", w.REJECT_NEW_DATA, maxSize=1 << 20, streamSegmentSize=4096,
                          timeToLiveMillis=3_600_000, exportDefinition=exports)
            client.append_all("kept", [b"%0100d" % i for i in range(500)])
            before = client.describe("kept")
        self.weir.restart()
        with Client(self.weir.port) as client:
            self.assertEqual(client.describe("kept"), before)
            self.assertEqual([m["payload"] for m in client.read_all("kept")],
                             [b"%0100d" % i for i in range(500)])
            self.assertEqual(client.append("kept", b"next"), 500)

    def test_what_was_acknowledged_survives_a_kill(self):
        for flush in (False, True):
            name = f"flush {flush}"
            with Client(self.weir.port) as client:
                client.create(name, streamSegmentSize=4096, flushOnWrite=flush)
                client.append_all(name, [b"%0100d" % i for i in range(500)])
                self.weir.kill()
            self.weir.start()
            with Client(self.weir.port) as client:
                self.assertEqual([m["payload"] for m in client.read_all(name)],
                                 [b"%0100d" % i for i in range(500)])
                self.assertEqual(client.append(name, b"next"), 500)

    def test_killed_in_the_middle_of_appends(self):
        rng = random.Random(99)
        with Client(self.weir.port) as client:
            client.create("torn", streamSegmentSize=8192)
            client.create("torn flushed", streamSegmentSize=8192, flushOnWrite=True)
        kept = {"torn": [], "torn flushed": []}
        for _ in range(6):
            client = Client(self.weir.port)
            sent = {}
            for number in range(400):
                name = "torn" if number % 2 else "torn flushed"
                payload = rng.randbytes(rng.randrange(1, 600))
                sent[client.submit(w.APPEND, {"name": name, "payload": payload})] = (name, payload)
            for _ in range(rng.randrange(50, 350)):
                request_id, response = client.next_answer()
                name, payload = sent[request_id]
                kept[name].append((response["sequenceNumber"], payload))
            self.weir.kill()
            client.close()
            self.weir.start()
            with Client(self.weir.port) as client:
                for name, acknowledged in kept.items():
                    messages = client.read_all(name)
                    self.assertEqual([m["sequenceNumber"] for m in messages], list(range(len(messages))))
                    there = {m["sequenceNumber"]: m["payload"] for m in messages}
                    for number, payload in acknowledged:
                        self.assertEqual(there.get(number), payload)

    def test_memory_streams_keep_their_definition_only(self):
        with Client(self.weir.port) as client:
            client.create("ram", persistence=w.MEMORY, maxSize=1 << 20)
            client.append_all("ram", [b"x"] * 10)
            definition = client.describe("ram")["definition"]
        self.weir.restart()
        with Client(self.weir.port) as client:
            info = client.describe("ram")
            self.assertEqual(info["definition"], definition)
            self.assertEqual(info["storageStatus"], {
                "oldestSequenceNumber": 0, "newestSequenceNumber": -1, "totalBytes": 0})
            self.assertEqual(client.append("ram", b"first"), 0)

    def test_deleted_streams_stay_deleted(self):
        with Client(self.weir.port) as client:
            client.create("gone")
            client.append("gone", b"x")
            client.delete("gone")
            client.create("kept")
            self.weir.kill()
        self.weir.start()
        with Client(self.weir.port) as client:
            self.assertEqual(client.list(), ["kept"])

    def test_overwritten_messages_stay_overwritten(self):
        with Client(self.weir.port) as client:
            client.create("ring", w.OVERWRITE_OLDEST_DATA, maxSize=16_384, streamSegmentSize=2048)
            client.append_all("ring", [b"%0100d" % i for i in range(1000)])
            before = client.describe("ring")["storageStatus"]
            self.weir.kill()
        self.weir.start()
        with Client(self.weir.port) as client:
            self.assertEqual(client.describe("ring")["storageStatus"], before)
            self.assertEqual(client.append("ring", b"next"), 1000)

    def test_connections_end_in_order_when_it_stops(self):
        clients = [Client(self.weir.port) for _ in range(20)]
        clients[0].create("s")
        self.weir.stop()
        for client in clients:
            client.wire.expect_close()
        self.weir.start()

    def test_a_torn_tail_is_cut(self):
        with Client(self.weir.port) as client:
            client.create("tail")
            client.append_all("tail", [b"%0100d" % i for i in range(50)])
        self.weir.kill()
        [segment] = self.weir.store.rglob("*.seg")
        with segment.open("ab") as file:
            file.write(b"\x01\x02half a record that never was finished")
        self.weir.start()
        with Client(self.weir.port) as client:
            self.assertEqual(len(client.read_all("tail")), 50)
            self.assertEqual(client.append("tail", b"next"), 50)


class SignalTest(unittest.TestCase):
    def test_sigterm_and_sigint_stop_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            weir = self.enterContext(Weir())
            with Client(weir.port) as client:
                client.create("s")
                client.append("s", b"x")
                weir.process.send_signal(number)
                self.assertEqual(weir.process.wait(DEADLINE_S), 0)
            weir.forget_process()

    def test_a_second_signal_ends_it_at_once(self):
        # A destination that never answers makes the ordered stop take its time.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            weir = self.enterContext(Weir())
            port = silent.getsockname()[1]
            with Client(weir.port) as client:
                client.create("s", exportDefinition={"http": [
                    {"identifier": "h", "uri": f"http://127.0.0.1:{port}/"}]})
                client.append("s", b"x")
                connection, _ = silent.accept()
                weir.process.terminate()
                weir.process.terminate()
                weir.process.wait(DEADLINE_S)
                connection.close()
            weir.forget_process()
            weir.start()
            with Client(weir.port) as client:
                self.assertEqual(client.read("s")[0]["payload"], b"x")

    def test_a_hanging_destination_does_not_hold_up_the_stop(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            weir = self.enterContext(Weir())
            with Client(weir.port) as client:
                client.create("s", exportDefinition={"http": [
                    {"identifier": "h", "uri": f"http://127.0.0.1:{silent.getsockname()[1]}/"}]})
                client.append("s", b"x")
                connection, _ = silent.accept()
                weir.stop()
                connection.close()

    def test_a_vanished_terminal_does_not_matter(self):
        weir = self.enterContext(Weir())
        weir.process.send_signal(signal.SIGPIPE)
        with Client(weir.port) as client:
            client.create("s")


class SettingsTest(unittest.TestCase):
    def start_fails(self, weir):
        """Starting it must fail with status 1 and one clear message, which is returned."""
        try:
            with self.assertRaises(StartFailed) as caught:
                weir.start()
        finally:
            shutil.rmtree(weir.directory, ignore_errors=True)
        self.assertEqual(caught.exception.status, 1, caught.exception.text)
        return caught.exception.text

    def test_environment_names_of_existing_deployments(self):
        weir = Weir(use_config=False)
        weir.store.mkdir()
        weir.env.update({
            "STREAM_MANAGER_STORE_ROOT_DIR": str(weir.store), "STREAM_MANAGER_SERVER_PORT": "0",
            "STREAM_MANAGER_AUTHENTICATE_CLIENT": "false", "STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH": "10000",
            "STREAM_MANAGER_THREAD_POOL_SIZE": "2", "STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE": "3",
            "LOG_LEVEL": "INFO", "JVM_ARGS": "-Xmx512m -XX:+UseSerialGC"})
        # The admin port has no such name; leave it to the command line.
        weir.arguments = ["--admin-port", "0"]
        with weir:
            with Client(weir.port) as client:
                client.create("s")
                self.assertEqual(client.append("s", b"x"), 0)
            self.assertEqual(weir.log().count("JVM_ARGS"), 1, weir.log())
            self.assertTrue(list(weir.store.iterdir()))

    def test_an_invalid_environment_value_is_refused_by_name(self):
        for name, value in (("STREAM_MANAGER_SERVER_PORT", "eighty"), ("STREAM_MANAGER_SERVER_PORT", "70000"),
                            ("STREAM_MANAGER_AUTHENTICATE_CLIENT", "maybe"),
                            ("STREAM_MANAGER_STORE_ROOT_DIR", "relative/path"),
                            ("STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", "0"), ("LOG_LEVEL", "LOUD")):
            text = self.start_fails(Weir(env={name: value}))
            self.assertIn(name, text)

    def test_a_store_of_the_environment_must_exist(self):
        weir = Weir(use_config=False, env={"STREAM_MANAGER_STORE_ROOT_DIR": "/nonexistent/weir-store",
                                           "STREAM_MANAGER_SERVER_PORT": "0"})
        self.assertIn("/nonexistent/weir-store", self.start_fails(weir))

    def test_a_typo_names_file_line_column_and_the_nearest_key(self):
        weir = Weir()
        weir.config_file = lambda: weir.directory / "typo.yaml"
        weir.config_file().write_text("server:\n  port: 0\n  authenticate_cleint: false\n")
        text = self.start_fails(weir)
        self.assertRegex(text, r"typo\.yaml:3:3")
        self.assertIn("authenticate_cleint", text)
        self.assertIn("authenticate_client", text)

    def test_values_that_are_wrong(self):
        for yaml, where in (("server: {port: eighty}\n", ":1:"), ("server:\n  port: 99999\n", ":2:"),
                            ("streams:\n  - name: a/b\n", ":2:"), ("streams:\n  - strategy_on_full: reject\n", ":2:"),
                            ("server: [1]\n", ":1:"), ("server:\n  port: 1\n  port: 2\n", ":3:"),
                            ("a: b: c\n", ":1:"), ("store:\n\tdirectory: x\n", ":2:")):
            weir = Weir()
            weir.config_file = lambda weir=weir: weir.directory / "wrong.yaml"
            weir.config_file().write_text(yaml)
            text = self.start_fails(weir)
            self.assertRegex(text, r"wrong\.yaml" + where, yaml)

    def test_a_missing_configuration_file(self):
        weir = Weir()
        weir.config_file = lambda: weir.directory / "absent.yaml"
        self.assertIn("absent.yaml", self.start_fails(weir))

    def test_the_port_is_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = self.start_fails(Weir({"server": {"port": port}}))
            self.assertIn(str(port), text)
            self.assertIn("in use", text)
            text = self.start_fails(Weir({"admin": {"port": port}}))
            self.assertIn(str(port), text)

    def test_streams_declared_in_the_configuration(self):
        declared = {"streams": [{"name": "declared", "max_size_bytes": 1 << 20, "strategy_on_full": "overwrite"}]}
        weir = self.enterContext(Weir(declared))
        with Client(weir.port) as client:
            self.assertEqual(client.list(), ["declared"])
            definition = client.describe("declared")["definition"]
            self.assertEqual((definition["maxSize"], definition["strategyOnFull"]), (1 << 20, 1))
            client.append("declared", b"kept")
            client.create("by a client")
        weir.config["streams"][0]["max_size_bytes"] = 2 << 20
        weir.restart()
        with Client(weir.port) as client:
            self.assertEqual(client.list(), ["by a client", "declared"])
            self.assertEqual(client.describe("declared")["definition"]["maxSize"], 2 << 20)
            self.assertEqual(client.read("declared")[0]["payload"], b"kept")


class StoreTest(unittest.TestCase):
    def refused(self, weir):
        try:
            with self.assertRaises(StartFailed) as caught:
                weir.start()
        finally:
            if weir.own_directory:
                shutil.rmtree(weir.directory, ignore_errors=True)
        self.assertEqual(caught.exception.status, 1, caught.exception.text)
        return caught.exception.text

    def test_it_is_created_for_the_owner_alone(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("s")
            client.append("s", b"x")
        for path in [weir.store, *weir.store.rglob("*")]:
            mode = path.stat().st_mode & 0o777
            self.assertEqual(mode, 0o700 if path.is_dir() else 0o600, path)

    def test_a_second_weir_on_the_same_store_is_refused(self):
        first = self.enterContext(Weir())
        second = Weir(directory=first.directory)
        text = self.refused(second)
        self.assertIn(str(first.store), text)
        self.assertRegex(text, r"lock|in use|already")
        with Client(first.port) as client:
            client.create("still there")

    def test_a_store_of_the_original_is_refused(self):
        weir = Weir()
        weir.store.mkdir()
        (weir.store / "stream_manager_metadata_store").write_text("{}")
        self.assertIn("stream_manager_metadata_store", self.refused(weir))

    def test_a_directory_full_of_something_else_is_refused_untouched(self):
        weir = Weir()
        weir.store.mkdir()
        (weir.store / "thesis.txt").write_text("precious")
        elsewhere = weir.store
        try:
            with self.assertRaises(StartFailed) as caught:
                weir.start()
            self.assertEqual(caught.exception.status, 1)
            self.assertEqual([p.name for p in elsewhere.iterdir()], ["thesis.txt"])
        finally:
            shutil.rmtree(weir.directory)

    def test_a_store_of_a_newer_format_is_refused(self):
        weir = self.enterContext(Weir())
        weir.stop()
        format_file = weir.store / "FORMAT"
        newer = re.sub(r"(?m)^(weir store) \d+$", r"\1 999", format_file.read_text().split("crc32c")[0])
        format_file.write_text(f"{newer}crc32c {crc32c(newer.encode()):08x}\n")
        with self.assertRaises(StartFailed) as caught:
            weir.start()
        self.assertEqual(caught.exception.status, 1)
        self.assertIn(str(weir.store), caught.exception.text)
        self.assertIn("newer version", caught.exception.text)

    def test_a_store_that_is_a_file_is_refused(self):
        weir = Weir()
        weir.store.write_text("not a directory")
        self.assertIn(str(weir.store), self.refused(weir))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_a_store_that_may_not_be_written_is_refused(self):
        weir = Weir()
        weir.directory.chmod(0o755)
        weir.store.mkdir(mode=0o755)
        weir.wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        self.assertIn(str(weir.store), self.refused(weir))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to mount")
    def test_a_full_disk(self):
        weir = Weir()
        weir.store.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(weir.store)],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            shutil.rmtree(weir.directory)
            self.skipTest(f"this machine does not let us mount: {mounted.stderr.strip()}")
        try:
            weir.config["store"]["min_free_bytes"] = 0
            weir.config["store"]["zeros_ahead_bytes"] = 0
            with weir:
                with Client(weir.port) as client:
                    client.create("s", w.REJECT_NEW_DATA, streamSegmentSize=1 << 20)
                    client.create("other")
                    client.append("other", b"x" * 1_000_000)
                    count = 0
                    with self.assertRaises(Refused) as caught:
                        while True:
                            self.assertEqual(client.append("s", b"%0100000d" % count), count)
                            count += 1
                    self.assertEqual(caught.exception.status, w.UNKNOWN_FAILURE)
                    self.assertRegex(caught.exception.text, r"(?i)no space left")
                    # Everything else works, and a refused create leaves nothing.
                    self.assertEqual(len(client.read_all("s")), count)
                    with was_refused(client.create, "perhaps") as refused:
                        wanted = ["other", "s"] if refused else ["other", "perhaps", "s"]
                        self.assertEqual(client.list(), wanted)
                    client.delete("other")
                    number = eventually("appends work again", lambda: append_or_none(client, "s", b"again"))
                    self.assertEqual(number, count)
                    self.assertEqual(client.read("s", number)[0]["payload"], b"again")
        finally:
            subprocess.run(["umount", str(weir.store)], check=False)
            shutil.rmtree(weir.directory, ignore_errors=True)

    def test_a_file_size_limit_and_room_again(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("s", flushOnWrite=True)
            client.append("s", b"before")
            resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            for _ in range(3):
                with self.assertRaises(Refused) as caught:
                    client.append("s", b"y" * 100_000)
                self.assertEqual(caught.exception.status, w.UNKNOWN_FAILURE)
            with self.assertRaises(Refused):
                client.create("refused")
            self.assertEqual(client.list(), ["s"])
            self.assertEqual(client.read("s")[0]["payload"], b"before")
            resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            number = eventually("appends work again", lambda: append_or_none(client, "s", b"again"))
            weir.kill()
        weir.start()
        with Client(weir.port) as client:
            self.assertEqual(client.list(), ["s"])
            self.assertEqual(client.read("s")[0]["payload"], b"before")
            self.assertEqual(client.read("s", number)[0]["payload"], b"again")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class was_refused:
    """`with was_refused(call, ...) as refused`: whether the call was refused is all that matters."""

    def __init__(self, call, *arguments):
        try:
            call(*arguments)
            self.refused = False
        except Refused:
            self.refused = True

    def __enter__(self):
        return self.refused

    def __exit__(self, *_):
        return False


def append_or_none(client, name, payload):
    try:
        return client.append(name, payload)
    except Refused:
        return None


class AdminTest(unittest.TestCase):
    def get(self, weir, path, headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{weir.admin_port}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_the_pages(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("pumps")
            client.append_all("pumps", [b"x" * 100] * 10)
            self.assertEqual(self.get(weir, "/livez")[0], 200)
            self.assertEqual(self.get(weir, "/readyz")[0], 200)
            status, metrics = self.get(weir, "/metrics")
            self.assertEqual(status, 200)
            for line in metrics.splitlines():
                self.assertRegex(line, r"^(# (HELP|TYPE) weir_\w+ .*|weir_\w+(\{.*\})? \S+)$")
            status, text = self.get(weir, "/status")
            self.assertEqual(status, 200)
            self.assertIn("pumps", text)
            self.assertEqual(self.get(weir, "/nothing")[0], 404)

    def test_a_foreign_host_name_is_refused(self):
        weir = self.enterContext(Weir())
        self.assertEqual(self.get(weir, "/metrics", {"Host": "evil.example"})[0], 421)

    def test_appends_are_counted(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("counted")
            client.append_all("counted", [b"x"] * 25)
        status, metrics = self.get(weir, "/metrics")
        numbers = [float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines()
                   if line.startswith("weir_stream_") and "append" in line and "messages" in line]
        self.assertIn(25.0, numbers, metrics)


class FootprintTest(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "memory figures mean nothing in a sanitizer build")
    def test_idle_memory(self):
        weir = self.enterContext(Weir())
        # What starting needed is given back right after the ready line.
        eventually("less than 10 MiB when idle", lambda: weir.rss_bytes() < 10 << 20)
        clients = [self.enterContext(Client(weir.port)) for _ in range(1000)]
        self.assertLess(weir.rss_bytes(), 40 << 20)
        del clients

    @unittest.skipIf(SANITIZED, "memory figures mean nothing in a sanitizer build")
    def test_reading_much_does_not_grow_it(self):
        weir = self.enterContext(Weir())
        with Client(weir.port, timeout=60) as client:
            client.create("s", maxSize=1 << 30)
            for number in range(200):
                client.append("s", b"x" * (1 << 20))
            client.read("s", 0, 1, 8)
            before = weir.rss_bytes()
            for start in range(0, 200, 8):
                client.read("s", start, 1, 8)
            self.assertLess(weir.rss_bytes() - before, 24 << 20)


if __name__ == "__main__":
    unittest.main()
