"""A configuration that changes while weir runs: what takes effect, what waits for a restart, what is refused."""

import copy
import http.client as http_client
import json
import pathlib
import signal
import threading
import unittest
import urllib.request

import jsonschema
import yaml

from sinks import HttpSink, impatient
from weir_client import Client
from weir_server import ROOT, TOKEN, Weir, eventually, weir_command


def http(uri, **members):
    return {"http": [{"identifier": "h", "uri": uri, **members}]}


class ReloadCase(unittest.TestCase):
    def start(self, config=None, **options):
        self.weir = self.enterContext(Weir(config, **options))
        self.client = self.enterContext(Client(self.weir.port, token=TOKEN if options.get("authenticate") else None))

    def write(self, config):
        """Replaces the file as a program that takes care does."""
        path = self.weir.directory / "weir.yaml"
        text = config if isinstance(config, str) else json.dumps(config, indent=2) + "\n"
        new = self.weir.directory / "weir.yaml.new"
        new.write_text(text)
        new.rename(path)

    def reload(self, status=0):
        done = weir_command("reload", "-o", "json", "--admin-port", self.weir.admin_port)
        self.assertEqual(done.returncode, status, (done.stdout, done.stderr))
        return json.loads(done.stdout)

    def change(self, section, **members):
        """Changes the configuration and reads it again."""
        config = copy.deepcopy(self.weir.config)
        config.setdefault(section, {}).update(members)
        self.weir.config = config
        self.write(config)
        return self.reload()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}{path}") as answer:
            return json.load(answer)

    def values(self):
        return {key: value["value"] for key, value in self.get("/config")["values"].items()}

    def export(self, stream="s"):
        return next(s for s in self.get("/status")["streams"] if s["name"] == stream)["exports"][0]


class WhatChangesTest(ReloadCase):
    def setUp(self):
        self.sink = self.enterContext(HttpSink())
        self.other = self.enterContext(HttpSink())

    def test_bandwidth_redirects_and_log_level_change_under_traffic_and_nothing_is_lost(self):
        self.start(impatient())
        self.client.create("s", exportDefinition=http(self.sink.uri))
        sent = []
        enough = threading.Event()

        def produce():
            with Client(self.weir.port) as client:
                while not enough.is_set():
                    payload = b"message %06d " % len(sent) + b"x" * 200
                    client.append("s", payload)
                    sent.append(payload)
                    enough.wait(0.002)
        producer = threading.Thread(target=produce)
        producer.start()
        try:
            redirect = {"match": {"stream": "s"}, "to": {"type": "http", "uri": self.other.uri}}
            for turn in range(4):
                away = turn % 2 == 0
                self.weir.config["redirects"] = [redirect] if away else []
                self.weir.config["log"] = {"level": ["debug", "warn", "info"][turn % 3]}
                self.weir.config["export"]["max_bandwidth_kbps"] = [20_000, 0][turn % 2]
                self.write(self.weir.config)
                self.assertEqual(self.reload(), {
                    "changed": ["export.max_bandwidth_kbps", "log.level", "redirects"],
                    "needs_restart": [], "refused": [], "failed": []})
                there, seen = (self.other, len(self.other.payloads())) if away else (self.sink, len(self.sink.payloads()))
                eventually("what comes now goes there", lambda at=there, so_far=seen: len(at.payloads()) > so_far + 3)
        finally:
            enough.set()
            producer.join()
        eventually("everything arrived at one of the two",
                   lambda: set(sent) <= set(self.sink.payloads()) | set(self.other.payloads()))
        self.assertTrue(self.sink.payloads() and self.other.payloads(), "both were used")
        for sink in (self.sink, self.other):
            firsts = list(dict.fromkeys(sink.payloads()))
            self.assertEqual(firsts, sorted(firsts), "in order at each place")
        exports = self.export()
        self.assertEqual((exports["skipped_messages"], exports["lost_messages"]), (0, 0))

    def test_a_limit_that_holds_an_upload_up_is_lifted_at_once(self):
        self.start(impatient(max_bandwidth_kbps=1))
        self.client.create("s", exportDefinition=http(self.sink.uri))
        payload = b"z" * 900_000  # two hours at one kilobit a second
        self.client.append("s", payload)
        eventually("it is on its way", lambda: self.export()["state"] == "in_flight")
        self.assertEqual(self.change("export", max_bandwidth_kbps=0)["changed"], ["export.max_bandwidth_kbps"])
        self.sink.wait_for([payload])

    def test_an_export_that_is_broken_by_its_options_is_mended_by_a_reload(self):
        missing = str(self.enterContext(HttpSink()).port)  # any text that is no file
        self.start({**impatient(), "export": {**impatient()["export"], "options": [
            {"stream": "s", "http": {"ca_file": f"/nowhere/{missing}.pem"}}]}})
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append("s", b"one")
        eventually("it is broken", lambda: self.export()["state"] == "broken")
        self.weir.config["export"].pop("options")
        self.write(self.weir.config)
        self.assertEqual(self.reload()["changed"], ["export.options"])
        self.sink.wait_for([b"one"])

    def test_options_reach_an_export_without_sending_anything_again(self):
        self.start(impatient())
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append("s", b"before")
        self.sink.wait_for([b"before"])
        eventually("its position is there", lambda: self.export()["last_exported"] == 0)
        self.change("export", options=[{"stream": "*", "http": {"headers": {"X-Site": "plant-7"}}}])
        self.client.append("s", b"after")
        self.assertEqual(self.sink.wait_for([b"before", b"after"]), 0)
        with self.sink.lock:
            self.assertEqual([request.headers.get("x-site") for request in self.sink.requests], [None, "plant-7"])

    def test_declared_streams_and_additions_come_and_go(self):
        out = self.enterContext(Weir({})).directory / "out"
        self.start()
        self.weir.config["streams"] = [{"name": "declared", "max_size_bytes": 1_000_000}]
        self.weir.config["additions"] = [{"on_streams": "declared", "type": "file", "identifier": "f",
                                          "directory": str(out), "file": {"roll_bytes": 1}}]
        self.write(self.weir.config)
        self.assertEqual(self.reload()["changed"], ["additions", "streams"])
        self.assertEqual(self.client.describe("declared")["definition"]["maxSize"], 1_000_000)
        self.client.append("declared", b"kept")
        eventually("it is in a file", lambda: any(b"kept" in p.read_bytes() for p in out.rglob("*") if p.is_file()))
        self.weir.config["streams"][0]["max_size_bytes"] = 2_000_000
        self.write(self.weir.config)
        self.assertEqual(self.reload()["changed"], ["streams"])
        self.assertEqual(self.client.describe("declared")["definition"]["maxSize"], 2_000_000)
        del self.weir.config["streams"], self.weir.config["additions"]
        self.write(self.weir.config)
        self.reload()
        self.assertEqual(self.client.list(), ["declared"], "what is not declared any more stays")
        eventually("its export is gone", lambda: not self.get("/status")["streams"][0]["exports"])

    def test_what_a_person_changed_is_not_undone_by_a_reload_of_something_else(self):
        self.start({"streams": [{"name": "declared", "max_size_bytes": 1_000_000}]})
        self.client.update("declared", maxSize=3_000_000, streamSegmentSize=1_000_000)
        self.change("log", level="debug")
        self.assertEqual(self.client.describe("declared")["definition"]["maxSize"], 3_000_000)

    def test_tokens_are_read_again_and_connections_stay(self):
        tokens = pathlib.Path(self.enterContext(Weir({})).directory) / "tokens"
        tokens.write_text(TOKEN + "\n")
        tokens.chmod(0o600)
        self.start({"server": {"tokens_file": str(tokens)}}, authenticate=True)
        tokens.write_text("another-token-0123456789\n")
        self.assertEqual(self.reload()["changed"], [])
        self.client.create("s")  # this connection had shown the old one
        with self.assertRaises(Exception):
            Client(self.weir.port, token=TOKEN).list()
        with Client(self.weir.port, token="another-token-0123456789") as client:
            self.assertEqual(client.list(), ["s"])
        tokens.chmod(0o644)
        answer = self.reload(status=1)
        self.assertIn("chmod 600", answer["refused"][0])


class WhatIsRefusedTest(ReloadCase):
    def test_a_bad_file_changes_nothing_and_says_where(self):
        self.start({"log": {"level": "info"}})
        before = self.values()
        self.write("log:\n  level: debug\nexport:\n  max_bandwidth_kbps: plenty\n")
        answer = self.reload(status=1)
        self.assertEqual((answer["changed"], answer["needs_restart"]), ([], []))
        self.assertIn("weir.yaml:4:23: export.max_bandwidth_kbps: 'plenty' is not a whole number", answer["refused"][0])
        self.assertEqual(self.values(), before)
        self.assertIn(answer["refused"][0], self.get("/status")["config"]["refused"])
        eventually("the log says it", lambda: "ERROR The configuration was read again and is refused" in self.weir.log())
        said = weir_command("reload", "--admin-port", self.weir.admin_port)
        self.assertIn("weir.yaml:4:23", said.stderr)
        self.assertIn("everything stays as it was", said.stderr)
        self.write(self.weir.config)
        self.assertEqual(self.reload()["refused"], [])
        self.assertEqual(self.get("/status")["config"]["refused"], [])

    def test_a_file_cut_off_anywhere_is_refused_if_it_ends_with_the_mark(self):
        self.start()
        text = ("store: {directory: %s}\nserver: {port: 0, authenticate_client: false}\nadmin: {port: 0}\n"
                "log:\n  level: debug\nexport:\n  max_bandwidth_kbps: 4000\n...\n" % self.weir.store)
        self.write(text)
        self.assertEqual(self.reload()["changed"], ["export.max_bandwidth_kbps", "log.level"])
        before = self.values()
        # Some in each line; the unit tests cut at every byte.
        for end in [0, 5, text.index("\n") + 1, text.index("log"), text.index("4000") + 1, text.index("...")]:
            self.write(text[:end])
            answer = self.reload(status=1)
            self.assertTrue(answer["refused"], end)
            self.assertEqual(self.values(), before)

    def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(self):
        self.start()
        path = self.weir.directory / "weir.yaml"
        text = path.read_text()
        answers = []
        with open(path, "w") as file:  # empty from now on
            asking = threading.Thread(target=lambda: answers.append(weir_command(
                "reload", "-o", "json", "--admin-port", self.weir.admin_port)))
            asking.start()
            for part in range(0, len(text), 40):
                file.write(text[part:part + 40])
                file.flush()
                threading.Event().wait(0.01)
        asking.join()
        answer = json.loads(answers[0].stdout)
        # On a slow machine it may be caught half written; then it says so and changes nothing.
        self.assertEqual(answer["changed"], [])
        self.assertEqual(self.reload()["refused"], [])

    def test_what_needs_a_restart_says_so_until_then(self):
        self.start({"log": {"level": "info"}})
        answer = self.change("server", frame_bytes_max=2_000_000)
        self.assertEqual((answer["changed"], answer["needs_restart"]), ([], ["server.frame_bytes_max"]))
        answer = self.change("log", level="debug")
        self.assertEqual((answer["changed"], answer["needs_restart"]), (["log.level"], ["server.frame_bytes_max"]))
        self.assertEqual(self.get("/status")["config"]["needs_restart"], ["server.frame_bytes_max"])
        self.assertNotEqual(self.values()["server.frame_bytes_max"], "2000000", "what is in force is shown")
        eventually("the log says it", lambda: "take effect when weir is restarted. keys=server.frame_bytes_max" in self.weir.log())
        self.client.close()
        self.weir.restart()
        self.assertEqual(self.values()["server.frame_bytes_max"], "2000000")
        self.assertEqual(self.get("/status")["config"]["needs_restart"], [])

    def test_a_stream_that_cannot_be_changed_is_told_and_the_rest_is_done(self):
        self.start({"streams": [{"name": "declared"}]})
        self.weir.config["streams"][0]["persistence"] = "memory"
        self.weir.config["log"] = {"level": "debug"}
        self.write(self.weir.config)
        answer = self.reload(status=1)
        self.assertEqual(answer["changed"], ["log.level", "streams"])
        self.assertEqual(answer["refused"], [])
        self.assertIn("cannot update the stream 'declared'", answer["failed"][0])

    def test_an_order_to_reload_needs_the_token(self):
        self.start()
        connection = http_connection(self.weir.admin_port)
        for token in (None, "wrong"):
            headers = {"Content-Type": "application/json"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request("POST", "/reload", body="{}", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 401)


def http_connection(port):
    return http_client.HTTPConnection("127.0.0.1", port, timeout=20)




class SignalsTest(ReloadCase):
    def test_sighup_reads_the_configuration_again(self):
        self.start({"log": {"level": "info"}})
        self.weir.config["log"]["level"] = "debug"
        self.write(self.weir.config)
        self.weir.process.send_signal(signal.SIGHUP)
        eventually("it is in force", lambda: self.values()["log.level"] == "debug")

    def test_sighup_before_it_is_ready_does_no_harm(self):
        weir = Weir({})
        with weir:
            pass
        for _ in range(3):
            fresh = Weir({})
            ended = threading.Event()

            def hang_up():
                while not ended.is_set():
                    if fresh.process is not None and fresh.process.poll() is None:
                        # Only once its signals are blocked: before that the kernel's default counts.
                        mask = pathlib.Path(f"/proc/{fresh.process.pid}/status").read_text()
                        blocked = int(mask.split("SigBlk:")[1].split()[0], 16)
                        if blocked & (1 << (signal.SIGHUP - 1)):
                            fresh.process.send_signal(signal.SIGHUP)
                    ended.wait(0.001)
            thread = threading.Thread(target=hang_up)
            thread.start()
            try:
                with fresh:
                    ended.set()
                    thread.join()
                    eventually("it was heard", lambda: "Configuration read again" in fresh.log())
            finally:
                ended.set()

    def test_many_at_once_and_a_stop_in_the_middle(self):
        self.start()
        answers = []

        def ask():
            answers.append(weir_command("reload", "-o", "json", "--admin-port", self.weir.admin_port))
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.weir.process.send_signal(signal.SIGHUP)
        for thread in threads:
            thread.join()
        for answer in answers:
            self.assertEqual(json.loads(answer.stdout)["refused"], [])
        for _ in range(20):
            self.weir.process.send_signal(signal.SIGHUP)
        self.client.close()
        self.weir.stop()
        self.weir.start()


class DropInsTest(ReloadCase):
    def test_files_of_conf_d_merge_override_and_join_in_byte_order(self):
        self.start({"log": {"level": "info"}})
        drop_ins = self.weir.directory / "conf.d"
        drop_ins.mkdir()
        (drop_ins / "20-later.yaml").write_text("log: {level: warn}\nstreams:\n- name: two\n")
        (drop_ins / "10-first.yaml").write_text("log: {level: debug}\nstreams:\n- name: one\nexport: {backoff_first_ms: 500}\n")
        (drop_ins / "30-link.yaml").symlink_to(drop_ins / "linked.conf")
        (drop_ins / "linked.conf").write_text("export: {stall_timeout_ms: 5000}\n")
        for ignored in ["40-old.yaml~", "50-new.yaml.dpkg-new", "60-other.yml", ".70-hidden.yaml"]:
            (drop_ins / ignored).write_text("this: is not read\n")
        (drop_ins / "80-directory.yaml").mkdir()
        (drop_ins / "90-nowhere.yaml").symlink_to(drop_ins / "nothing")
        answer = self.reload()
        self.assertEqual(answer["changed"], ["export.backoff_first_ms", "export.stall_timeout_ms", "log.level", "streams"])
        self.assertEqual(self.client.list(), ["one", "two"])
        config = self.get("/config")
        self.assertEqual([pathlib.Path(file).name for file in config["files"]],
                         ["weir.yaml", "10-first.yaml", "20-later.yaml", "30-link.yaml"])
        self.assertTrue(config["values"]["log.level"]["source"].endswith("conf.d/20-later.yaml:1"))
        self.assertEqual(config["values"]["streams[1].name"]["value"], "two")
        checked = weir_command("validate", self.weir.directory / "weir.yaml")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for name in ["40-old.yaml~", "50-new.yaml.dpkg-new", "60-other.yml", "80-directory.yaml", "90-nowhere.yaml"]:
            self.assertIn(f"{name} is not read:", checked.stderr)
        (drop_ins / "20-later.yaml").write_text("log: {level: loud}\n")
        answer = self.reload(status=1)
        self.assertRegex(answer["refused"][0], r"conf\.d/20-later\.yaml:1:14: log\.level: 'loud'")
        for path in (drop_ins, self.weir.directory):
            checked = weir_command("validate", path)
            self.assertEqual(checked.returncode, 1)
            self.assertIn("20-later.yaml:1:14", checked.stderr)


class CommandsTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(Weir({})).directory)

    def test_init_writes_a_file_that_is_good_and_never_overwrites(self):
        path = self.directory / "new.yaml"
        done = weir_command("config", "init", "--output", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(weir_command("validate", path).returncode, 0)
        self.assertTrue(path.read_text().endswith("\n...\n"))
        again = weir_command("config", "init", "--output", path)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is there already", again.stderr)

    def test_the_schema_is_one_and_fits_what_is_shipped(self):
        schema = json.loads(weir_command("config", "schema").stdout)
        self.assertIs(jsonschema.validators.validator_for(schema), jsonschema.Draft202012Validator, schema["$schema"])
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        good = [ROOT / "packaging" / "weir.yaml", ROOT / "packaging" / "quickstart.yaml",
                *sorted((ROOT / "packaging").glob("package-conf.d/*.yaml")), *sorted((ROOT / "packaging").glob("debian/**/*.yaml"))]
        for path in good:
            problems = [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))]
            self.assertEqual(problems, [], path)
        everything = "\n".join(line.removeprefix("#") for line in (ROOT / "packaging" / "weir.yaml").read_text().splitlines()
                               if not line.startswith("##"))
        self.assertEqual([error.message for error in validator.iter_errors(yaml.safe_load(everything))], [],
                         "the sample with every key")
        for bad in [{"log": {"level": "loud"}}, {"server": {"port": 70_000}}, {"serve": {}}, {"streams": [{}]},
                    {"server": {"authenticate_client": "maybe"}}, {"redirects": [{"match": {}}]}]:
            self.assertFalse(validator.is_valid(bad), bad)
            path = self.directory / "bad.yaml"
            path.write_text(json.dumps(bad) + "\n")
            self.assertEqual(weir_command("validate", path).returncode, 1, bad)

    def test_show_names_the_source_of_each_value_and_hides_secrets(self):
        path = self.directory / "shown.yaml"
        path.write_text("export:\n  options:\n  - http:\n      headers:\n        Authorization: sesame-opens-it\n"
                        "log:\n  level: warn\nadditions:\n- {type: http, identifier: a, uri: 'http://host/in?key=opens'}\n")
        done = weir_command("config", "show", "--config", path, env={"WEIR_SERVER_READER_THREADS": "3"})
        self.assertRegex(done.stdout, r"log\.level: warn +# \S*shown\.yaml:7\n")
        self.assertRegex(done.stdout, r"server\.reader_threads: 3 +# environment WEIR_SERVER_READER_THREADS\n")
        self.assertNotIn("sesame", done.stdout)
        self.assertNotIn("opens", done.stdout)
        self.assertIn("http://host/in?(hidden)", done.stdout)
        self.assertNotIn("store.streams_max", done.stdout)
        effective = weir_command("config", "show", "--effective", "--config", path)
        self.assertRegex(effective.stdout, r"store\.streams_max: 10000 +# default\n")
        path.write_text(path.read_text().replace("//host", "//me:word@host"))
        refused = weir_command("validate", path)
        self.assertIn("additions[0]: the URI contains user information", refused.stdout + refused.stderr)
        self.assertNotIn("word", refused.stdout + refused.stderr)
