"""What an operator does with exports: dead letters, pause, resume, rewind, retry now."""

import json
import pathlib
import re
import stat
import threading
import time
import unittest
import urllib.error
import urllib.request

from sinks import HttpSink, impatient
from weir_client import Client
from weir_server import Weir, eventually, weir_command

MESSAGES = [b"message %03d" % i for i in range(20)]


def http(uri, **members):
    return {"http": [{"identifier": "h", "uri": uri, **members}]}


class ControlCase(unittest.TestCase):
    def setUp(self):
        self.sink = self.enterContext(HttpSink())

    def start(self, options=None, store=None):
        config = impatient()
        config.setdefault("store", {}).update(store or {})
        if options:
            config.setdefault("export", {})["options"] = [{"stream": "*", **options}]
        self.weir = self.enterContext(Weir(config))
        self.client = self.enterContext(Client(self.weir.port))

    def run_weir(self, *arguments, status=0):
        command = list(arguments)
        if command[0] == "export":
            command += ["--admin-port", self.weir.admin_port]
        done = weir_command(*command, env={"STREAM_MANAGER_SERVER_PORT": str(self.weir.port)})
        self.assertEqual(done.returncode, status, (arguments, done.stdout, done.stderr))
        return done

    def export_state(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/status") as answer:
            return json.load(answer)["streams"][-1]["exports"][0]

    def exported(self, number, stream="s"):
        eventually(f"{stream} is exported up to {number}",
                   lambda: self.client.describe(stream)["exportStatuses"][0]["lastExportedSequenceNumber"] == number)

    def bodies(self):
        with self.sink.lock:
            return [request.body for request in self.sink.requests]


class DeadLetterTest(ControlCase):
    def test_a_refused_message_is_kept_shown_and_replayed(self):
        self.start({"identifier": "h", "dead_letter_stream": "weir-dlq"})
        self.sink.faults = [None, ("status", 422, "")]
        self.client.create("a-stream", exportDefinition=http(self.sink.uri))
        self.assertIn("no dead letters", self.run_weir("dlq", "ls").stderr)
        self.client.append_all("a-stream", MESSAGES[:4])
        self.exported(3, "a-stream")
        self.assertEqual(self.bodies(), [MESSAGES[0], MESSAGES[2], MESSAGES[3]])
        kept = self.client.read_all("weir-dlq")[0]["payload"]
        head, payload = kept.split(b"\n", 1)
        self.assertEqual(payload, MESSAGES[1])
        self.assertEqual(json.loads(head)["sequenceNumber"], 1)
        listed = json.loads(self.run_weir("dlq", "ls", "-o", "json").stdout)
        self.assertEqual((listed["number"], listed["stream"], listed["export"], listed["sequenceNumber"]),
                         (0, "a-stream", "h", 1))
        self.assertIn("422", listed["reason"])
        self.assertIn("a-stream/h message 1", self.run_weir("dlq", "ls").stdout)
        self.assertEqual(self.run_weir("dlq", "show", "0", "--payload").stdout, MESSAGES[1].decode())
        self.assertEqual(json.loads(self.run_weir("dlq", "show", "0").stdout)["payloadBytes"], len(MESSAGES[1]))
        self.run_weir("dlq", "show", "7", status=1)
        self.assertIn("--yes", self.run_weir("dlq", "replay", "0", status=1).stderr)
        self.run_weir("dlq", "replay", "0", "--yes")
        self.exported(4, "a-stream")
        self.assertEqual(self.bodies()[-1], MESSAGES[1])
        definition = self.client.describe("weir-dlq")["definition"]
        self.assertTrue(definition["flushOnWrite"])
        self.assertEqual(definition["strategyOnFull"], 1)

    def letters_of(self, **streams):
        """Makes streams whose messages are refused, one after the other; the sink is well again then."""
        self.start({"identifier": "h", "dead_letter_stream": "weir-dlq"})
        self.sink.faults = [("status", 422, "")] * sum(streams.values())
        for name, count in streams.items():
            self.client.create(name, exportDefinition=http(self.sink.uri))
            self.client.append_all(name, [b"%s%d" % (name.encode(), i) for i in range(count)])
            self.exported(count - 1, name)
        self.sink.faults = []

    def test_letters_of_a_stream_that_is_gone_are_left_out_and_counted(self):
        self.letters_of(a=3, b=3)
        self.client.delete("a")
        done = self.run_weir("dlq", "replay", "--all", "--yes", status=1)
        self.assertIn("3 replayed, 3 left out: stream 'a' does not exist (3); --to", done.stderr)
        self.exported(5, "b")
        self.assertEqual(self.bodies(), [b"b0", b"b1", b"b2"])
        done = self.run_weir("dlq", "replay", "5", "0", "99", "4", "--yes", status=1)
        self.assertIn("there is no letter 99; the newest is 5", done.stderr)
        self.exported(7, "b")
        self.assertEqual(self.bodies()[3:], [b"b2", b"b1"])
        self.assertIn("nosuch", self.run_weir("dlq", "replay", "5", "--to", "nosuch", "--yes", status=1).stderr)
        self.run_weir("dlq", "replay", "0-2", "--to", "b", "--yes")
        self.exported(10, "b")
        self.assertEqual(self.bodies()[5:], [b"a0", b"a1", b"a2"])

    def test_letters_are_chosen_by_range_stream_and_export(self):
        self.letters_of(a=3, b=3)
        self.run_weir("dlq", "replay", "2-3", "5-", "--yes")
        self.exported(3, "a")
        self.exported(4, "b")
        self.assertEqual(sorted(self.bodies()), [b"a2", b"b0", b"b2"])
        self.run_weir("dlq", "replay", "--all", "--only", "a/h", "--yes")
        self.exported(6, "a")
        self.assertEqual(sorted(self.bodies()[3:]), [b"a0", b"a1", b"a2"])
        self.assertIn("no dead letters to replay",
                      self.run_weir("dlq", "replay", "--all", "--only", "a/other", "--yes").stderr)
        self.assertEqual(len(self.run_weir("dlq", "replay", "--all", "--only", "b", "--yes").stdout.splitlines()), 3)
        for word in ("x", "5-2", "1.5"):
            self.run_weir("dlq", "replay", word, "--yes", status=2)

    def test_a_replay_that_breaks_off_says_how_to_go_on(self):
        self.letters_of(s=10)
        self.client.create("small", maxSize=1024, streamSegmentSize=1024, strategyOnFull=0)
        first = self.run_weir("dlq", "replay", "--all", "--to", "small", "--yes")
        self.assertEqual(len(first.stdout.splitlines()), 10)
        room = 1024 - self.client.describe("small")["storageStatus"]["totalBytes"]
        self.client.append("small", b"x" * (room * 3 // 4))
        broken = self.run_weir("dlq", "replay", "--all", "--to", "small", "--yes", "3", status=2)
        self.assertIn("not both", broken.stderr)
        broken = self.run_weir("dlq", "replay", *["0-"] * 20, "--to", "small", "--yes", status=1)
        replayed = len(broken.stdout.splitlines())
        self.assertLess(replayed, 200)
        self.assertIn(f"full", broken.stderr)
        self.assertIn(f"{replayed} replayed; go on with weir dlq replay {replayed % 10}- ", broken.stderr)
        self.assertNotIn("may have been appended", broken.stderr)

    def test_what_is_no_letter_is_summed_up(self):
        self.start()
        self.client.create("plain")
        self.assertIn("no dead letters to replay",
                      self.run_weir("dlq", "replay", "--all", "--from", "plain", "--yes").stderr)
        self.client.append_all("plain", MESSAGES)
        for command in (("ls",), ("replay", "--all", "--yes")):
            said = self.run_weir("dlq", *command, "--from", "plain").stderr.splitlines()
            self.assertEqual(len(said), 2, said)
            self.assertIn("20 of the messages in stream plain are no dead letters", said[0])
        self.assertIn("no dead letter", self.run_weir("dlq", "show", "3", "--from", "plain", status=1).stderr)
        self.assertIn("there is no letter 99; the newest is 19",
                      self.run_weir("dlq", "show", "99", "--from", "plain", status=1).stderr)

    def test_no_refused_message_is_without_a_letter_however_often_weir_is_killed(self):
        self.start({"identifier": "h", "poison": "dead_letter"})
        self.sink.faults = [("status", 422, "")] * 100_000
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", [b"message %04d" % i for i in range(600)])
        for enough in (50, 150, 300, 450):
            eventually("some were refused", lambda n=enough: len(self.sink.seen) >= n)
            self.client.close()
            self.weir.kill()
            self.weir.start()
            self.client = self.enterContext(Client(self.weir.port))
        self.exported(599)
        letters = [message["payload"].split(b"\n", 1) for message in self.client.read_all("weir-dlq")]
        numbers = [json.loads(head)["sequenceNumber"] for head, _ in letters]
        self.assertEqual(sorted(set(numbers)), list(range(600)))
        for number, (_, payload) in zip(numbers, letters):
            self.assertEqual(payload, b"message %04d" % number)

    def test_a_full_dead_letter_stream_blocks_and_says_so(self):
        self.start({"identifier": "h", "dead_letter_stream": "zz-letters"})
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.create("zz-letters", maxSize=1024, streamSegmentSize=1024, strategyOnFull=0)
        self.client.append("zz-letters", b"x" * 900)
        self.sink.faults = [("status", 422, "")] * 1000
        self.client.append_all("s", MESSAGES[:3])

        def blocked():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/status") as answer:
                streams = json.load(answer)["streams"]
            error = next(s for s in streams if s["name"] == "s")["exports"][0]["last_error"]
            return "cannot be kept" in error and error
        self.assertIn("'zz-letters': the message stream is full", eventually("it blocks", blocked))
        self.assertEqual(self.client.describe("s")["exportStatuses"][0]["lastExportedSequenceNumber"], -1)

    def test_letters_do_not_go_round_between_two_streams(self):
        config = impatient()
        config.setdefault("export", {})["options"] = [{"stream": "pumps", "dead_letter_stream": "tanks"},
                                                      {"stream": "tanks", "dead_letter_stream": "pumps"}]
        self.weir = self.enterContext(Weir(config))
        self.client = self.enterContext(Client(self.weir.port))
        self.sink.faults = [("status", 422, "")] * 1000
        for name in ("pumps", "tanks"):
            self.client.create(name, exportDefinition=http(self.sink.uri))
        self.client.append("pumps", b"hello")
        self.exported(0, "tanks")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/status") as answer:
            exports = {s["name"]: s["exports"][0] for s in json.load(answer)["streams"]}
        self.assertEqual((exports["pumps"]["dead_letters"], exports["pumps"]["skipped_messages"]), (1, 0))
        self.assertEqual((exports["tanks"]["dead_letters"], exports["tanks"]["skipped_messages"]), (0, 1))
        self.assertIn("Dead letters were refused in turn and are skipped", self.weir.log())
        self.assertEqual(len(self.client.read_all("pumps")), 1)
        self.assertEqual(len(self.client.read_all("tanks")), 1)

    def test_a_stream_that_does_not_flush_on_write_is_synced_for_its_letters(self):
        config = impatient()
        config["store"] = {"sync_interval_ms": 3_600_000}
        config.setdefault("export", {})["options"] = [{"stream": "s", "dead_letter_stream": "by-hand"}]
        self.weir = self.enterContext(Weir(config))
        self.client = self.enterContext(Client(self.weir.port))
        self.client.create("by-hand", flushOnWrite=False)
        self.client.create("s", flushOnWrite=True, exportDefinition=http(self.sink.uri))
        self.sink.faults = [("status", 422, "")] * 1000
        self.client.append_all("s", MESSAGES[:3])
        self.exported(2)
        self.assertEqual(len(self.client.read_all("by-hand")), 3)

    def test_block_waits_for_a_person_who_can_go_past_the_message(self):
        self.start({"identifier": "h", "poison": "block"})
        self.sink.faults = [("status", 422, "")] * 10_000
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES[:3])
        eventually("it blocks", lambda: "blocks the export" in self.export_state()["last_error"])
        self.run_weir("export", "pause", "s", "h")
        eventually("it stands still", lambda: self.export_state()["state"] == "stopped")
        self.sink.faults = []
        self.run_weir("export", "rewind", "s", "h", "--to", "1", "--yes")
        state = self.export_state()
        self.assertEqual((state["last_error"], state["failure_class"], state["lost_messages"]), ("", "none", 1))
        self.run_weir("export", "resume", "s", "h")
        self.exported(2)
        self.assertEqual(self.bodies(), MESSAGES[1:3])

    def test_without_a_policy_it_is_dropped_and_counted(self):
        self.start()
        self.sink.faults = [("status", 422, "")]
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES[:3])
        self.exported(2)
        state = self.export_state()
        self.assertEqual((state["skipped_messages"], state["dead_letters"]), (1, 0))
        self.assertEqual(self.client.list(), ["s"])


class OrderTest(ControlCase):
    def test_a_pause_survives_kill_and_ends_with_resume(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES[:5])
        self.exported(4)
        self.assertIn("paused", self.run_weir("export", "pause", "s", "h").stdout)
        self.client.close()
        self.weir.kill()
        self.weir.start()
        self.client = self.enterContext(Client(self.weir.port))
        self.client.append_all("s", MESSAGES[5:8])
        eventually("it is paused", lambda: self.export_state()["paused"])
        self.assertEqual(self.export_state()["state"], "stopped")
        self.assertIn("paused by hand", weir_command("status", "--admin-port", self.weir.admin_port).stdout)
        self.assertEqual(len(self.bodies()), 5)
        self.run_weir("export", "resume", "s")
        self.exported(7)
        self.assertEqual(self.bodies(), MESSAGES[:8])

    def test_rewind_sends_again_only_when_told_twice(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES)
        self.exported(19)
        refused = self.run_weir("export", "rewind", "s", "h", "--to", "17", status=1)
        self.assertIn("--yes", refused.stderr)
        self.assertIn("again", refused.stderr)
        self.run_weir("export", "rewind", "s", "h", "--to", "17", "--yes")
        eventually("three come again", lambda: self.bodies() == MESSAGES + MESSAGES[17:])
        self.exported(19)
        self.run_weir("export", "rewind", "s", "--to", "-1", "--yes")
        eventually("the last comes again", lambda: self.bodies()[23:] == MESSAGES[19:])
        self.exported(19)
        self.run_weir("export", "rewind", "s", "--to", "2020-01-01", "--yes")
        eventually("all come again", lambda: self.bodies()[24:] == MESSAGES)
        self.assertIn("there is no stream 'nosuch'",
                      self.run_weir("export", "rewind", "nosuch", "--to", "0", status=1).stderr)
        self.assertIn("holds 0 to 19", self.run_weir("export", "rewind", "s", "--to", "21", "--yes", status=1).stderr)
        self.run_weir("export", "rewind", "s", "--to", "nonsense", status=2)

    def test_rewind_goes_to_the_end_of_a_stream_that_a_program_appends_to(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append("s", b"0")
        self.exported(0)
        self.run_weir("export", "pause", "s")
        appended, enough = [b"0"], threading.Event()

        def append():
            with Client(self.weir.port) as program:
                while not enough.is_set():
                    appended.append(b"%d" % len(appended))
                    program.append("s", appended[-1])
        program = threading.Thread(target=append)
        program.start()
        try:
            for where in ("end", "-5", "2099-01-01", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "end") * 2:
                said = self.run_weir("export", "rewind", "s", "--to", where, "--yes").stdout
        finally:
            enough.set()
            program.join()
        place = int(re.search(r"at message (\d+)", said)[1])
        self.run_weir("export", "resume", "s")
        self.exported(len(appended) - 1)
        self.assertEqual(self.bodies(), [b"0", *appended[place:]])

    def test_rewind_says_what_is_not_stored_yet(self):
        self.start(store={"sync_interval_ms": 3_600_000})
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES)
        self.assertIn("stable storage", self.run_weir("export", "rewind", "s", "--to", "17", "--yes", status=1).stderr)
        self.assertIn("message 0 already", self.run_weir("export", "rewind", "s", "--to", "end", "--yes").stdout)

    def test_retry_now_ends_a_long_wait(self):
        self.start()
        self.weir.stop()
        self.weir.config["export"] = {"backoff_first_ms": 3_000_000, "backoff_ceiling_ms": 3_600_000}
        self.weir.start()
        self.client = self.enterContext(Client(self.weir.port))
        self.sink.faults = [("status", 503, "")]
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", MESSAGES[:2])
        eventually("it waits", lambda: self.export_state()["state"] == "backoff")
        self.run_weir("export", "retry-now", "s", "h")
        self.exported(1)
        self.run_weir("export", "retry-now", "s/h")
        self.assertIn("it has h", self.run_weir("export", "pause", "s", "nobody", status=1).stderr)
        self.run_weir("export", "pause", "nowhere", "h", status=1)

    def test_orders_need_the_token_that_only_the_owner_can_read(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        path = self.weir.store / "admin-token"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        url = f"http://127.0.0.1:{self.weir.admin_port}/exports"
        order = json.dumps({"stream": "s", "export": "h", "order": "pause"}).encode()
        good = {"Authorization": "Bearer " + path.read_text().strip()}
        for headers, status in (({}, 401), ({"Authorization": "Bearer "}, 401), ({"Authorization": "Bearer x"}, 401),
                                ({**good, "Origin": "http://evil.example"}, 403), ({**good, "Host": "evil"}, 421)):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, order, headers))
            self.assertEqual(refused.exception.code, status, headers)
        self.assertFalse(self.export_state()["paused"])
        for body in (b"", b"[]", b"{}", b'{"order": "pause"}', b'{"stream":"s","export":"h","order":"stop"}',
                     b'{"stream":"s","export":"h","order":"move","to":"x"}', b"\xff"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, body, good))
            self.assertEqual(refused.exception.code, 400, body)
        with urllib.request.urlopen(urllib.request.Request(url, order, good)) as answer:
            self.assertIn("paused", json.load(answer)["done"])
        self.assertNotIn(path.read_text().strip(), self.weir.log())
        self.assertTrue(pathlib.Path(path).exists())


if __name__ == "__main__":
    unittest.main()
