"""The official Node.js SDK (aws-greengrass-core-sdk 1.7.0 from npm), unchanged, drives weir."""

import os
import pathlib
import resource
import subprocess
import unittest

from sinks import Recorder, aws_environment, impatient
from weir_client import Client
from weir_server import DEADLINE_S, ROOT, SANITIZED, TOKEN, Weir, eventually

HERE = pathlib.Path(__file__).parent


def delayed_acknowledgements():
    """How many acknowledgements this machine has sent late so far."""
    lines = pathlib.Path("/proc/net/netstat").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        if names.startswith("TcpExt"):
            return int(dict(zip(names.split(), values.split()))["DelayedACKs"])
    raise AssertionError("no TcpExt in /proc/net/netstat")


class SdkTest(unittest.TestCase):
    def drive(self, weir, scenario, on_ask=None, token=None):
        """Runs one scenario of sdk.js; `on_ask` maps what it asks for to what does it."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        env["NODE_PATH"] = str(ROOT / "build" / "npm" / "node_modules")
        if token is not None:
            env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        node = subprocess.Popen(["node", str(HERE / "sdk.js"), str(weir.port), scenario],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=env, text=True)
        import threading
        watchdog = threading.Timer(DEADLINE_S * 3, node.kill)
        watchdog.start()
        printed = []
        try:
            for line in node.stdout:
                printed.append(line)
                if line.startswith("ask "):
                    on_ask[line.split()[1]]()
                    node.stdin.write("done\n")
                    node.stdin.flush()
            status = node.wait()
        finally:
            watchdog.cancel()
            node.kill()
            node.wait()
            node.stdout.close()
            node.stdin.close()
        self.assertEqual((status, printed[-1:] == ["passed\n"]), (0, True), "".join(printed))

    def simple(self, scenario, config=None):
        self.drive(self.enterContext(Weir(config)), scenario)

    def test_every_operation(self):
        self.simple("every_operation")

    def test_defaults_of_the_sdk(self):
        self.simple("defaults_of_the_sdk")

    def test_refusals_become_the_right_exceptions(self):
        self.simple("refusals_become_the_right_exceptions")

    def test_the_documented_maximum_of_max_size(self):
        self.simple("the_documented_maximum_of_max_size")

    def test_fractions_and_nan_are_refused(self):
        self.simple("fractions_and_nan_are_refused")

    def test_requests_in_parallel(self):
        self.simple("requests_in_parallel")

    def test_a_message_of_60_mib(self):
        self.simple("a_message_of_60_mib", {"server": {"request_budget_bytes": 256 << 20}})

    def test_sitewise_entries_are_what_the_service_takes(self):
        recorder = self.enterContext(Recorder())
        weir = self.enterContext(Weir(impatient(), env=aws_environment(
            recorder.url, AWS_ENDPOINT_URL_IOTSITEWISE=recorder.url)))
        self.drive(weir, "sitewise_entries")
        eventually("30 entries", lambda: len(recorder.stored()) == 30)
        self.assertEqual([call["problems"] for call in recorder.calls() if call["problems"]], [])

    def test_status_documents_parse(self):
        self.simple("status_documents_parse")

    def test_a_request_above_the_limit(self):
        self.simple("a_request_above_the_limit", {"server": {"frame_bytes_max": 65536}})

    def test_a_thousand_calls_do_not_wait_for_delayed_acknowledgements(self):
        # The SDK writes header and payload separately with Nagle's algorithm on: without
        # TCP_QUICKACK each call costs one delayed acknowledgement, 40 ms. They are counted by
        # the whole machine, so somebody else's may spoil one attempt.
        counts = []
        for _ in range(3):
            at = {}
            self.drive(self.enterContext(Weir()), "a_thousand_calls_one_after_the_other", {
                "begin": lambda: at.update(begin=delayed_acknowledgements()),
                "end": lambda: at.update(end=delayed_acknowledgements())})
            counts.append(at["end"] - at["begin"])
            if counts[-1] < 300:
                return
        self.fail(f"delayed acknowledgements during 1000 calls: {counts}")

    def test_it_reconnects_after_a_restart(self):
        weir = self.enterContext(Weir())

        def restart():
            weir.stop()
            weir.config["server"]["port"] = weir.port
            weir.start()

        self.drive(weir, "it_reconnects_after_a_restart", {"restart": restart})

    def test_a_waiting_read_when_the_server_stops(self):
        weir = self.enterContext(Weir())
        self.drive(weir, "a_waiting_read_when_the_server_stops", {"stop": weir.stop})

    def test_a_full_disk(self):
        weir = self.enterContext(Weir())

        def limit_files(size):
            resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        self.drive(weir, "a_full_disk", {
            "full": lambda: limit_files(0), "room": lambda: limit_files(resource.RLIM_INFINITY)})

    @unittest.skipIf(SANITIZED, "a gigabyte takes too long in a sanitizer build")
    def test_an_answer_that_cannot_fit(self):
        weir = self.enterContext(Weir())
        with Client(weir.port, timeout=120) as client:
            client.create("gigabyte", maxSize=2 << 30)
            for number in range(40):
                self.assertEqual(client.append("gigabyte", b"G" * (28 << 20)), number)
        self.drive(weir, "an_answer_that_cannot_fit")

    def test_stored_data_that_cannot_be_read(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("damaged", streamSegmentSize=4096)
            for number in range(100):
                client.append("damaged", b"message number %04d " % number * 10)
        # What a dying disk does to a sealed segment, as far as it can be had without one.
        segment = sorted(weir.store.rglob("*.seg"))[1]
        segment.unlink()
        segment.mkdir()
        self.drive(weir, "stored_data_that_cannot_be_read")

    def test_damaged_messages_are_skipped(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("damaged", streamSegmentSize=1 << 20, flushOnWrite=True)
            for number in range(10):
                client.append("damaged", b"message number %04d " % number * 50)
            segment = sorted(weir.store.rglob("*.seg"))[0]
            content = segment.read_bytes()
            at = content.index(b"message number 0005") + 100
            with segment.open("r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ 0x40]))
        self.drive(weir, "damaged_messages_are_skipped")
        self.assertRegex(weir.log(), r"ERROR .*damaged.*stream=damaged .*first_lost=5 last_lost=5")

    def test_a_token_is_needed_and_enough(self):
        weir = Weir(authenticate=True)
        tokens = weir.directory / "tokens"
        tokens.write_text(TOKEN + "\n")
        tokens.chmod(0o600)
        weir.config["server"]["tokens_file"] = str(tokens)
        self.enterContext(weir)
        self.drive(weir, "no_token")
        self.drive(weir, "no_token", token="WRONG")
        self.drive(weir, "the_right_token", token=TOKEN)


if __name__ == "__main__":
    unittest.main()
