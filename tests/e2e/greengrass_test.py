"""weir as a component of a Greengrass nucleus, classic or lite, which a stand-in plays (lib/nucleus.py)."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import sdk_test
from component import PLATFORM, Component, built
from exports_test import kinesis
from key_servers import KeyServer
from nucleus import NotifySocket, Nucleus, encode
from sinks import Recorder, aws_environment, impatient
from weir_client import Client, Refused
from weir_server import BINARY, DEADLINE_S, ROOT, TOKEN, Weir, eventually, weir_command

# Short, so that nobody waits for a nucleus that does not answer on purpose.
QUICK = {"answer_timeout_ms": 300, "telemetry_interval_ms": 100}


class NucleusCase(unittest.TestCase):
    lite = False

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weir-gg-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def nucleus_with(self, **more):
        return self.enterContext(Nucleus(self.directory, tokens=[TOKEN], lite=self.lite, **more))

    def weir(self, nucleus, config=None, env=None, **more):
        config = {"greengrass": {"telemetry_interval_ms": 100}, **(config or {})}
        return self.enterContext(Weir(config, env={**nucleus.environment(), **(env or {})},
                                      authenticate=True, **more))

    def logged(self, weir, text):
        eventually(f"{text!r} in the log", lambda: text in weir.log())

    def metric(self, weir, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{weir.admin_port}/metrics", timeout=DEADLINE_S) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        return None

    def let_in(self, weir, token=TOKEN):
        with Client(weir.port, token=token) as client:
            client.create(f"stream-{time.monotonic_ns()}")

    def is_let_in(self, weir, token=TOKEN):
        try:
            self.let_in(weir, token)
            return True
        except (Refused, OSError):
            return False

    def bad(self, weir, token="of-nobody"):
        """The token is refused, and not because the nucleus was slow for once."""
        eventually("the token is refused", lambda: self.refused(weir, token) == "Unauthorized")

    def refused(self, weir, token=TOKEN):
        """The text of the refusal."""
        with self.assertRaises(Refused) as caught:
            Client(weir.port, token=token).close()
        self.assertEqual(caught.exception.status, 2)
        return caught.exception.text


class TokenTest(NucleusCase):
    def test_only_clients_that_the_nucleus_knows_are_let_in(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus)
        self.let_in(weir)
        self.assertEqual(self.refused(weir, "of-nobody"), "Unauthorized")
        self.assertEqual(self.refused(weir, ""), "Unauthorized")
        self.assertEqual(self.refused(weir, None), "Unauthorized")
        self.assertEqual(self.refused(weir, "two\nlines"), "Unauthorized")
        self.assertEqual(nucleus.asked("ValidateAuthorizationToken"), [{"token": TOKEN}, {"token": "of-nobody"}])
        nucleus.tokens.add("of-nobody")
        eventually("the refusal is forgotten", lambda: self.is_let_in(weir, "of-nobody"))
        nucleus.tokens.clear()  # the component was removed: whoever connects now is nobody
        self.assertEqual(self.refused(weir), "Unauthorized")

    def test_the_official_sdk_with_a_good_and_a_bad_token(self):
        weir = self.weir(self.nucleus_with())
        drive = sdk_test.SdkTest("drive").drive
        drive(weir, "every_operation", token=TOKEN)
        for token in ("of-nobody", None):
            with self.assertRaises(AssertionError) as caught:
                drive(weir, "every_operation", token=token)
            self.assertIn("Failed to establish connection with the server", str(caught.exception))

    def test_a_nucleus_that_does_not_answer(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, {"greengrass": QUICK})
        eventually("all is said", lambda: "knows that weir is running" in weir.log())
        nucleus.silent.add("ValidateAuthorizationToken")
        self.assertIn("try again", self.refused(weir))
        self.assertEqual(self.metric(weir, "weir_server_unchecked_tokens_total"), 1)
        self.assertEqual(self.metric(weir, "weir_server_authentication_failures_total"), 0)
        nucleus.silent.clear()
        eventually("clients are let in again", lambda: self.is_let_in(weir))
        # Nothing was heard on that connection since it was asked, so it might have been dead.
        self.assertGreaterEqual(nucleus.connects, 2)

    def test_an_answer_that_comes_too_late(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, {"greengrass": QUICK})
        nucleus.held.add("ValidateAuthorizationToken")
        self.assertIn("try again", self.refused(weir))
        nucleus.release()
        eventually("clients are let in again", lambda: self.is_let_in(weir))
        self.bad(weir)

    def test_a_nucleus_that_goes_away_and_comes_back(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, {"greengrass": {"answer_timeout_ms": 1000}})
        with Client(weir.port, token=TOKEN) as early:
            early.create("pumps")
            self.assertNotIn("nucleus", weir_command("status", "--admin-port", weir.admin_port).stdout)
            nucleus.stop()
            self.assertIn("try again", self.refused(weir))
            self.assertIn("Greengrass nucleus", weir_command("status", "--admin-port", weir.admin_port).stdout)
            self.assertEqual(early.append("pumps", b"who was let in stays"), 0)
            nucleus.start()
            eventually("new clients are let in", lambda: self.is_let_in(weir))
            self.assertEqual(early.append("pumps", b"still"), 1)
        self.bad(weir)
        nucleus.close_connections()
        eventually("new clients are let in", lambda: self.is_let_in(weir))

    def garbage(self, where):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, {"greengrass": QUICK})
        good = encode([(":message-type", 0), (":message-flags", 2), (":stream-id", 99)], b'{"isValid":true}')
        flipped = bytearray(encode([(":message-type", 0), (":message-flags", 2), (":stream-id", 1)],
                                   b'{"isValid":true}'))
        flipped[-7] ^= 1
        for garbage in (b"HTTP/1.1 200 OK\r\n\r\n", bytes(64), good, bytes(flipped)):
            nucleus.garbage[where] = garbage
            if where == "connect":
                nucleus.close_connections()
            self.assertIn("try again", self.refused(weir))
            nucleus.garbage.clear()
            eventually("clients are let in again", lambda: self.is_let_in(weir))

    def test_garbage_instead_of_a_verdict_lets_nobody_in(self):
        self.garbage("ValidateAuthorizationToken")

    def test_garbage_instead_of_a_greeting_lets_nobody_in(self):
        self.garbage("connect")

    def test_messages_that_arrive_byte_by_byte(self):
        nucleus = self.nucleus_with()
        nucleus.single_bytes = nucleus.ping_first = True
        weir = self.weir(nucleus)
        self.let_in(weir)
        self.assertEqual(self.refused(weir, "of-nobody"), "Unauthorized")

    def test_errors_of_the_nucleus_let_nobody_in_and_are_no_verdict(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus)
        for error in (("ServiceError", "out of order"), ("ServiceError", ""), ("InvalidArgumentsError", "what?")):
            nucleus.errors["ValidateAuthorizationToken"] = error
            self.assertIn("try again", self.refused(weir))
        nucleus.errors.clear()
        nucleus.raw_errors["ValidateAuthorizationToken"] = b"<html>\xff"
        self.assertIn("try again", self.refused(weir))
        nucleus.raw_errors.clear()
        self.let_in(weir)

    def test_a_nucleus_that_does_not_know_weir(self):
        nucleus = self.nucleus_with()
        nucleus.refuse_connections = True
        weir = self.weir(nucleus, {"greengrass": QUICK})
        self.assertIn("try again", self.refused(weir))
        self.logged(weir, "SVCUID" if not self.lite else "without letting weir in")
        nucleus.refuse_connections = False
        eventually("clients are let in", lambda: self.is_let_in(weir))

    def test_under_another_name_the_token_exchange_service_is_asked(self):
        nucleus = self.nucleus_with(component="com.example.weir")
        keys = self.enterContext(KeyServer())
        weir = self.weir(nucleus, env=keys.environment())
        self.let_in(weir, KeyServer.TOKEN)
        self.assertEqual(self.refused(weir, "of-nobody"), "Unauthorized")
        self.assertEqual(len(nucleus.asked("ValidateAuthorizationToken")), 1)

    def test_under_another_name_without_that_service_weir_says_what_to_do(self):
        weir = self.weir(self.nucleus_with(component="com.example.weir"))
        self.assertIn("try again", self.refused(weir))
        self.logged(weir, "deploy weir under that name")

    def test_tokens_of_a_file_count_beside_those_of_the_nucleus(self):
        nucleus = self.nucleus_with()
        tokens = pathlib.Path(self.directory) / "tokens"
        tokens.write_text("of-the-file\n")
        tokens.chmod(0o600)
        weir = self.weir(nucleus, {"server": {"tokens_file": str(tokens)}})
        self.let_in(weir, "of-the-file")
        self.let_in(weir)
        self.assertEqual(nucleus.asked("ValidateAuthorizationToken"), [{"token": TOKEN}])


class TokenLiteTest(NucleusCase):
    lite = True

    def test_nucleus_lite_judges_tokens_too(self):
        weir = self.weir(self.nucleus_with())
        self.let_in(weir)
        self.assertEqual(self.refused(weir, "of-nobody"), "Unauthorized")


class LifeTest(NucleusCase):
    def test_running_is_reported_when_clients_can_connect_and_find_the_port(self):
        nucleus = Nucleus(self.directory, tokens=[TOKEN])
        systemd = self.enterContext(NotifySocket(self.directory))
        found = []

        def when_running(operation, body):
            if operation == "UpdateState":
                # An application that starts now looks up the port and connects.
                port = nucleus.configuration["port"]
                socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
                found.append(port)

        at_ready = []
        systemd.on_line = lambda line: at_ready.append(dict(nucleus.configuration)) if line == "READY=1" else None
        nucleus.on_request = when_running
        self.enterContext(nucleus)
        weir = self.weir(nucleus, env={"NOTIFY_SOCKET": systemd.path})
        eventually("RUNNING", lambda: nucleus.states == ["RUNNING"])
        self.assertEqual(found, [weir.port])
        eventually("READY", lambda: at_ready)
        self.assertEqual(at_ready, [{"port": weir.port}])
        self.assertEqual([name for name, _ in nucleus.requests[:2]], ["UpdateConfiguration", "UpdateState"])
        weir.stop()
        self.assertEqual(nucleus.states, ["RUNNING"])
        self.assertIn("STOPPING=1", systemd.lines)

    def test_a_fixed_port_is_published_only_over_an_older_one(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus)
        eventually("RUNNING", lambda: len(nucleus.states) == 1)
        weir.stop()
        weir.config["server"]["port"] = weir.port
        weir.start()
        eventually("RUNNING again", lambda: len(nucleus.states) == 2)
        self.assertEqual(len(nucleus.asked("UpdateConfiguration")), 1)
        weir.stop()
        nucleus.configuration["port"] = 1.0  # of another time
        weir.start()
        eventually("RUNNING once more", lambda: len(nucleus.states) == 3)
        self.assertEqual(nucleus.configuration, {"port": weir.port})
        weir.stop()
        nucleus.configuration.clear()
        weir.start()
        eventually("RUNNING for the last time", lambda: len(nucleus.states) == 4)
        self.assertEqual(nucleus.configuration, {})

    def test_a_nucleus_that_is_late_is_told_later(self):
        nucleus = self.nucleus_with()
        nucleus.silent |= {"UpdateConfiguration"}
        weir = self.weir(nucleus, {"greengrass": QUICK})  # starts all the same
        # What is not answered makes weir connect again; a client that comes just then is told to try again.
        eventually("a client is let in", lambda: self.is_let_in(weir))
        self.assertEqual(nucleus.states, [])
        nucleus.silent = {"UpdateState"}
        eventually("the port is known", lambda: nucleus.configuration == {"port": weir.port})
        eventually("asked for", lambda: nucleus.asked("UpdateState"))
        nucleus.silent.clear()
        eventually("RUNNING is answered", lambda: "knows that weir is running" in weir.log())

    def test_a_nucleus_that_refuses_is_complained_of(self):
        nucleus = self.nucleus_with()
        nucleus.errors["UpdateConfiguration"] = ("FailedUpdateConditionCheckError", "older")
        weir = self.weir(nucleus)
        eventually("RUNNING", lambda: nucleus.states == ["RUNNING"])
        self.logged(weir, "set STREAM_MANAGER_SERVER_PORT to a fixed one")
        self.logged(weir, "FailedUpdateConditionCheckError")
        nucleus.errors.clear()  # the clock is right again
        eventually("the port is known", lambda: nucleus.configuration == {"port": weir.port})
        self.assertEqual(nucleus.states, ["RUNNING"])

    def test_without_a_nucleus_there_is_nothing_of_it(self):
        weir = self.enterContext(Weir())
        self.assertIsNone(self.metric(weir, "weir_greengrass_connected"))
        self.assertNotIn("nucleus", weir.log())


    def test_what_the_nucleus_gave_to_weir_is_shown_to_nobody(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, config={"log": {"level": "trace"}})
        self.let_in(weir)
        eventually("RUNNING", lambda: nucleus.states)
        for page in ("config", "status", "metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{weir.admin_port}/{page}", timeout=DEADLINE_S) as answer:
                shown = answer.read().decode()
            self.assertNotIn(Nucleus.SVCUID, shown)
            if page == "config":
                self.assertIn('"SVCUID"', shown)
        self.assertNotIn(Nucleus.SVCUID, weir.log())


class TelemetryTest(NucleusCase):
    def test_bytes_arrive_under_the_original_names(self):
        nucleus = self.nucleus_with()
        recorder = self.enterContext(Recorder("telemetry"))
        weir = self.weir(nucleus, impatient(), aws_environment(recorder.url))
        payloads = [b"x" * size for size in (1, 20, 300)]
        with Client(weir.port, token=TOKEN) as client:
            client.create("gone")
            client.append_all("gone", payloads)
            client.delete("gone")
            client.create("pumps", exportDefinition=kinesis("telemetry"))
            client.append_all("pumps", payloads)
            eventually("both are reported", lambda: nucleus.metrics == {
                "BytesAppended": 642.0, "BytesUploadedToKinesis": 321.0})
            # While the nucleus is away nothing is forgotten. (What it did not confirm would be reported twice.)
            for name, value in (("BytesAppended", 642), ("BytesUploadedToKinesis", 321)):
                eventually("it is confirmed", lambda: self.metric(
                    weir, f'weir_greengrass_telemetry_bytes_total{{name="{name}"}}') == value)
            nucleus.stop()
            client.append_all("pumps", payloads)
            nucleus.start()
            eventually("the rest is reported", lambda: nucleus.metrics == {
                "BytesAppended": 963.0, "BytesUploadedToKinesis": 642.0})

    def test_the_last_bytes_are_reported_when_weir_stops(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus, {"greengrass": {"telemetry_interval_ms": 3_600_000}})
        with Client(weir.port, token=TOKEN) as client:
            client.create("pumps")
            client.append("pumps", b"0123456789")
        weir.stop()
        self.assertEqual(nucleus.metrics, {"BytesAppended": 10.0})

    def test_a_nucleus_that_refuses_once_is_asked_again(self):
        nucleus = self.nucleus_with()
        nucleus.errors["PutComponentMetric"] = ("ServiceError", "later")
        weir = self.weir(nucleus)
        with Client(weir.port, token=TOKEN) as client:
            client.create("pumps")
            client.append("pumps", b"0123456789")
            eventually("one refusal", lambda: nucleus.asked("PutComponentMetric"))
            nucleus.errors.clear()
            eventually("it is reported", lambda: nucleus.metrics == {"BytesAppended": 10.0})


class TelemetryLiteTest(NucleusCase):
    lite = True

    def test_nucleus_lite_is_offered_telemetry_only_once(self):
        nucleus = self.nucleus_with()
        weir = self.weir(nucleus)
        with Client(weir.port, token=TOKEN) as client:
            client.create("pumps")
            client.append("pumps", b"0123456789")
            eventually("it is offered", lambda: "takes no telemetry" in weir.log())
            client.append("pumps", b"0123456789")
        weir.stop()
        self.assertEqual(len(nucleus.asked("PutComponentMetric")), 1)


class RecipeTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-gg-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def run_component(self, lite, configuration, check):
        """Deploys, starts, lets `check(port)` look at it, and stops it as its nucleus does."""
        recipe, artifacts = built(self.directory / "out")
        component = Component(recipe, artifacts, self.directory, lite, configuration)
        with Nucleus(self.directory, tokens=[TOKEN], lite=lite) as nucleus, NotifySocket(self.directory) as systemd:
            return component, self.run_under(nucleus, systemd, component, check)

    def run_under(self, nucleus, systemd, component, check):
        """What it logged."""
        lite = component.lite
        env = nucleus.environment()
        if lite:
            env["NOTIFY_SOCKET"] = systemd.path
        process = component.start(env)
        # The output is read all the time, as the nucleus does for its log.
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        try:
            if lite:
                eventually("READY", lambda: "READY=1" in systemd.lines or process.poll() is not None)
            eventually("RUNNING", lambda: nucleus.states or process.poll() is not None)
            self.assertIsNone(process.poll(), "".join(lines))
            check(nucleus.configuration["port"])
            if lite:
                process.send_signal(signal.SIGTERM)
            else:
                component.shut_down()
            self.assertEqual(process.wait(DEADLINE_S), 0, "".join(lines))
        finally:
            process.kill()
            process.wait()
            reader.join(DEADLINE_S)
            process.stdout.close()
        return "".join(lines)

    # As deployments write them: numbers of the cloud's documents are floats.
    FLOATS = {"STREAM_MANAGER_SERVER_PORT": 0.0, "WEIR_ADMIN_PORT": 0.0, "STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE": 3.0,
              "STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS": 500.0, "STREAM_MANAGER_AUTHENTICATE_CLIENT": True}
    TEXTS = {"STREAM_MANAGER_SERVER_PORT": "0", "WEIR_ADMIN_PORT": "0", "STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE": "3",
             "STREAM_MANAGER_AUTHENTICATE_CLIENT": "true", "JVM_ARGS": "-Xmx256m", "LOG_LEVEL": "DEBUG"}

    def starts_and_stops(self, lite, configuration):
        def use(port):
            with Client(port, token=TOKEN) as client:
                if "pumps" not in client.list():
                    client.create("pumps")
                client.append("pumps", b"kept")
            with self.assertRaises(Refused):
                Client(port, token="of-nobody").close()

        component, log = self.run_component(lite, configuration, use)
        self.assertNotIn(TOKEN, log)
        self.assertNotIn(Nucleus.SVCUID, log)
        self.assertNotIn("knows no such variable", log)
        self.assertEqual((component.work / "weir").stat().st_mode & 0o777, 0o700)
        return component, log

    def test_it_starts_and_stops_under_the_classic_nucleus(self):
        self.starts_and_stops(False, self.FLOATS)
        self.starts_and_stops(False, self.TEXTS)

    def test_it_starts_and_stops_under_nucleus_lite(self):
        self.starts_and_stops(True, self.FLOATS)
        self.starts_and_stops(True, self.TEXTS)

    def test_keys_that_the_classic_nucleus_does_not_know_count_as_unset(self):
        _, log = self.starts_and_stops(False, {**self.TEXTS, "STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH": None})
        self.assertIn("STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH is '{configuration:", log)

    def test_a_wrong_value_and_a_store_of_the_original_are_named(self):
        recipe, artifacts = built(self.directory / "out")
        store = self.directory / "original"
        store.mkdir()
        (store / "stream_manager_metadata_store").write_bytes(b"of the original")
        for configuration, told in (
                ({"STREAM_MANAGER_SERVER_PORT": 8088.5}, ["STREAM_MANAGER_SERVER_PORT", "not a whole number"]),
                ({"STREAM_MANAGER_STORE_ROOT_DIR": str(store)}, [str(store), "stream_manager_metadata_store"])):
            for lite in (False, True):
                env = Nucleus(self.directory).environment()  # it is not there, which comes to light later
                process = Component(recipe, artifacts, self.directory, lite, configuration).start(env)
                output, _ = process.communicate(timeout=DEADLINE_S)
                self.assertEqual(process.returncode, 1, output)
                for text in told:
                    self.assertIn(text, output)

    def test_the_recipe_says_what_it_must(self):
        recipe, artifacts = built(self.directory / "out", "--bucket", "s3://fleet/weir/")
        self.assertEqual(recipe["RecipeFormatVersion"], "2020-01-25")
        self.assertEqual(recipe["ComponentName"], "aws.greengrass.StreamManager")
        self.assertRegex(recipe["ComponentVersion"], r"^2\.\d+\.\d+$")
        defaults = recipe["ComponentConfiguration"]["DefaultConfiguration"]
        # protocol.md 8.1, the column V2.
        for key in ("STREAM_MANAGER_STORE_ROOT_DIR", "STREAM_MANAGER_SERVER_PORT",
                    "STREAM_MANAGER_AUTHENTICATE_CLIENT", "STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH",
                    "STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", "STREAM_MANAGER_THREAD_POOL_SIZE",
                    "STREAM_MANAGER_EXPORTER_S3_DESTINATION_MULTIPART_UPLOAD_MIN_PART_SIZE_BYTES",
                    "STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS", "JVM_ARGS", "LOG_LEVEL",
                    "startupTimeoutSeconds"):
            self.assertIsInstance(defaults.get(key), str, key)
        self.assertEqual((defaults["STREAM_MANAGER_SERVER_PORT"], defaults["STREAM_MANAGER_AUTHENTICATE_CLIENT"],
                          defaults["LOG_LEVEL"], defaults["startupTimeoutSeconds"]), ("8088", "true", "INFO", "120"))
        # A port of an earlier deployment would be taken for the present one.
        self.assertNotIn("port", defaults)
        self.assertNotIn("accessControl", defaults)
        self.assertEqual([manifest["Platform"].get("runtime") for manifest in recipe["Manifests"]],
                         ["aws_nucleus_lite", None])
        for manifest in recipe["Manifests"]:
            for variable in re.findall(r"\{([^{}]+)\}", json.dumps(manifest["Lifecycle"])):
                if variable.startswith("configuration:/"):
                    self.assertIn(variable.removeprefix("configuration:/"), defaults)
                else:
                    self.assertIn(variable, ("work:path", "artifacts:path"))
            for artifact in manifest["Artifacts"]:
                self.assertEqual(artifact["Permission"], {"Read": "ALL", "Execute": "ALL"})
                name = artifact["URI"].rpartition("/")[2]
                self.assertEqual(artifact["URI"], f"s3://fleet/weir/{recipe['ComponentName']}/"
                                 f"{recipe['ComponentVersion']}/{name}")
                self.assertTrue((artifacts / name).stat().st_mode & 0o111)
                self.assertIn(f"/{name}\"", manifest["Lifecycle"]["startup"]["Script"])

    def test_what_cannot_run_is_not_packed(self):
        build = [str(ROOT / "packaging" / "greengrass" / "build"), "--out", str(self.directory / "out")]
        other = "aarch64" if PLATFORM == "amd64" else "amd64"
        for arguments, told in ((["--binary", f"{other}={BINARY}"], "another processor"),
                                (["--binary", f"{PLATFORM}={__file__}"], "no Linux program"),
                                (["--binary", f"{PLATFORM}=/nonexistent"], "cannot be read"),
                                (["--binary", "sparc=/bin/sh"], "write one of"),
                                (["--binary", f"{PLATFORM}={BINARY}", "--bucket", "fleet"], "s3://BUCKET/PREFIX")):
            done = subprocess.run([*build, *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)
        self.assertFalse((self.directory / "out").exists())


if __name__ == "__main__":
    unittest.main()
