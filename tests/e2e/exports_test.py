"""Exports: in order, at least once, without a gap, whatever the destination does."""

import base64
import gzip
import json
import pathlib
import re
import subprocess
import unittest

import weir_client as w
from sinks import HttpSink, Kinesalite, Recorder, aws_environment, impatient
from weir_client import Client, Refused
from weir_server import PAYLOAD_MARK, Weir, eventually

NUMBERED = [b"message %04d" % i for i in range(300)]
SHORT_STALL = {"stall_timeout_ms": 2000}


def http(uri, identifier="h", **members):
    return {"http": [{"identifier": identifier, "uri": uri, **members}]}


def kinesis(name, identifier="k", **members):
    return {"kinesis": [{"identifier": identifier, "kinesisStreamName": name, **members}]}


class ExportCase(unittest.TestCase):
    def start(self, config=None, env=None):
        merged = impatient()
        for section, members in (config or {}).items():
            if isinstance(members, dict):
                merged.setdefault(section, {}).update(members)
            else:
                merged[section] = members
        self.weir = self.enterContext(Weir(merged, env=env))
        self.client = self.connect()
        return self.weir

    def connect(self):
        return self.enterContext(Client(self.weir.port))

    def restarted(self, kill=False):
        self.client.close()
        if kill:
            self.weir.kill()
            self.weir.start()
        else:
            self.weir.restart()
        self.client = self.connect()

    def status(self, stream, index=0):
        return self.client.describe(stream)["exportStatuses"][index]

    def exported(self, stream, number, index=0):
        """Waits until the export reports this number as done."""
        return eventually(
            f"{stream} is exported up to {number}",
            lambda: (s := self.status(stream, index))["lastExportedSequenceNumber"] == number and s)


class HttpExportTest(ExportCase):
    def setUp(self):
        self.sink = self.enterContext(HttpSink())

    def test_raw_sends_one_message_a_request(self):
        self.start()
        self.client.create("raw", exportDefinition=http(self.sink.uri))
        self.client.append_all("raw", NUMBERED)
        self.assertEqual(self.sink.wait_for(NUMBERED), 0)
        status = self.exported("raw", 299)
        self.assertEqual(status["exportedMessagesCount"], 300)
        self.assertEqual(status["exportedBytesFromStream"], sum(map(len, NUMBERED)))
        self.assertEqual(status["errorMessage"], "")
        self.assertGreater(status["lastExportTime"], 1_600_000_000_000)
        request = self.sink.requests[7]
        self.assertEqual((request.method, request.target), ("POST", "/in"))
        self.assertEqual(request.headers["content-type"], "application/octet-stream")
        self.assertRegex(request.headers["user-agent"], r"^weir/")
        self.assertEqual(request.headers["x-weir-stream"], "raw")
        self.assertEqual(request.headers["x-weir-sequence"], "7")
        self.assertRegex(request.headers["x-weir-ingest-time"], r"^\d{13}$")
        self.assertNotIn("expect", request.headers)

    def test_json_sends_a_batch_a_request(self):
        self.start()
        payloads = [b"\x00\xff%d" % i for i in range(100)]
        self.client.create("json", exportDefinition=http(self.sink.uri, exportFormat=1, batchSize=30))
        self.client.append_all("json", payloads)
        self.sink.wait_for(payloads)
        messages = [m for request in self.sink.requests for m in request.messages()]
        self.assertEqual([m["sequenceNumber"] for m in messages], list(range(100)))
        kept = self.client.read_all("json")
        for message, stored in zip(messages, kept):
            self.assertEqual(message, {
                "streamName": "json", "sequenceNumber": stored["sequenceNumber"],
                "ingestTime": stored["ingestTime"],
                "payload": base64.b64encode(stored["payload"]).decode()})
        for request in self.sink.requests:
            self.assertLessEqual(len(request.messages()), 30)
            self.assertEqual(request.headers["content-type"], "application/json")

    def test_a_destination_that_misbehaves_in_every_way(self):
        for fault in (("status", 500, ""), ("status", 503, "Retry-After: 0\r\n"), ("status", 429, ""),
                      ("status", 400, ""), ("status", 404, ""), ("status", 408, ""),
                      ("status", 307, "Location: /elsewhere\r\n"), ("status", 304, ""),
                      ("drop",), ("lost",), ("half",), ("garbage",), ("stall",)):
            with self.subTest(fault=fault):
                sink = self.enterContext(HttpSink([None, fault, fault]))
                # Only who really stalls is given up early: a loaded machine answers late, too.
                weir = self.enterContext(Weir(impatient(**SHORT_STALL) if fault[0] == "stall" else impatient()))
                with Client(weir.port) as client:
                    client.create("s", exportDefinition=http(sink.uri, exportFormat=1, batchSize=10))
                    client.append_all("s", NUMBERED[:50])
                    again = sink.wait_for(NUMBERED[:50])
                    self.assertLessEqual(again, 20 if fault[0] == "lost" else 0)
                    eventually("the error is over", lambda: client.describe(
                        "s")["exportStatuses"][0]["errorMessage"] == "")
                self.assertTrue(all(r.target == "/in" for r, _ in sink.seen), "a redirect was followed")

    def test_the_error_is_shown_while_it_lasts(self):
        self.start()
        self.sink.refuse()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", NUMBERED[:5])
        eventually("an error", lambda: self.status("s")["errorMessage"])
        self.assertEqual(self.status("s")["lastExportedSequenceNumber"], -1)
        self.assertGreater(self.status("s")["lastExportTime"], 0)
        self.sink.open()
        self.assertEqual(self.sink.wait_for(NUMBERED[:5]), 0)
        eventually("no error", lambda: self.status("s")["errorMessage"] == "")

    def test_one_stalling_destination_does_not_hold_up_the_others(self):
        stalling = self.enterContext(HttpSink([("stall",)] * 1000))
        self.start({"export": {**impatient()["export"], "worker_count": 3}})
        for number in range(2):
            self.client.create(f"stuck {number}", exportDefinition=http(stalling.uri))
            self.client.append(f"stuck {number}", b"x")
        self.client.create("well", exportDefinition=http(self.sink.uri, exportFormat=1))
        self.client.append_all("well", NUMBERED)
        self.sink.wait_for(NUMBERED)

    def test_on_a_slow_link_alarms_overtake_the_bodies_of_a_backlog(self):
        self.start({"export": {**impatient()["export"], "max_bandwidth_kbps": 4000}})
        logs = [self.enterContext(HttpSink()) for _ in range(3)]
        for number, sink in enumerate(logs):
            self.client.create(f"log {number}", exportDefinition=http(sink.uri, priority=10))
            self.client.append(f"log {number}", b"log" * 300_000)
        self.client.create("alarms", exportDefinition=http(self.sink.uri, priority=1, exportFormat=1))
        alarms = [b"alarm %02d" % i + b"!" * 20_000 for i in range(60)]
        for alarm in alarms:
            self.client.append("alarms", alarm)
        self.sink.wait_for(alarms)
        self.assertEqual([sink.payloads() for sink in logs], [[]] * 3, "all alarms were there before any log")
        for sink in logs:
            sink.wait_for([b"log" * 300_000])

    def test_an_ordered_restart_goes_on_where_it_was(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri, exportFormat=1, batchSize=7))
        self.client.append_all("s", NUMBERED[:100])
        self.exported("s", 99)
        before = self.status("s")
        self.restarted()
        self.assertEqual(self.status("s"), before)
        self.client.append_all("s", NUMBERED[100:200])
        self.assertEqual(self.sink.wait_for(NUMBERED[:200]), 0)

    def test_kills_cause_no_gap(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri, exportFormat=1, batchSize=5))
        sent = 0
        for _ in range(5):
            self.client.append_all("s", NUMBERED[sent:sent + 60])
            sent += 60
            eventually("some deliveries", lambda: len(self.sink.payloads()) > sent - 40)
            self.restarted(kill=True)
        self.sink.wait_for(NUMBERED)
        self.exported("s", 299)

    def test_disabled_pauses_and_enabled_goes_on(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", NUMBERED[:10])
        self.exported("s", 9)
        self.client.update("s", exportDefinition=http(self.sink.uri, disabled=True))
        self.client.append_all("s", NUMBERED[10:20])
        self.assertEqual(self.status("s")["lastExportedSequenceNumber"], 9)
        self.client.update("s", exportDefinition=http(self.sink.uri))
        self.assertEqual(self.sink.wait_for(NUMBERED[:20]), 0)

    def test_it_starts_where_it_was_told(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri, startSequenceNumber=5))
        self.client.append_all("s", NUMBERED[:10])
        self.assertEqual(self.sink.wait_for(NUMBERED[5:10]), 0)

    def test_moved_back_it_delivers_again(self):
        self.start()
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append_all("s", NUMBERED[:10])
        self.exported("s", 9)
        self.client.update("s", exportDefinition=http(self.sink.uri, startSequenceNumber=4))
        eventually("sent again", lambda: self.sink.payloads() == NUMBERED[:10] + NUMBERED[4:10])

    def test_several_exports_of_one_stream_are_independent(self):
        other = self.enterContext(HttpSink())
        other.refuse()
        self.start()
        self.client.create("s", exportDefinition={"http": [
            {"identifier": "well", "uri": self.sink.uri}, {"identifier": "ill", "uri": other.uri}]})
        self.client.append_all("s", NUMBERED[:20])
        self.sink.wait_for(NUMBERED[:20])
        self.exported("s", 19, index=0)
        self.assertEqual(self.status("s", 1)["lastExportedSequenceNumber"], -1)
        other.open()
        other.wait_for(NUMBERED[:20])

    def test_overwritten_before_they_were_exported(self):
        self.start()
        self.sink.refuse()
        self.client.create("s", w.OVERWRITE_OLDEST_DATA, maxSize=8192, streamSegmentSize=1024,
                           exportDefinition=http(self.sink.uri))
        self.client.append_all("s", [b"%0100d" % i for i in range(300)])
        oldest = self.client.describe("s")["storageStatus"]["oldestSequenceNumber"]
        self.assertGreater(oldest, 0)
        self.sink.open()
        self.exported("s", 299)
        delivered = [int(p) for p in self.sink.payloads()]
        self.assertEqual(delivered[-1], 299)
        self.assertEqual(delivered, sorted(set(delivered)))
        self.assertEqual(delivered, list(range(delivered[0], 300)))

    def test_networks_that_clients_must_not_reach_are_refused(self):
        self.start()
        for number, uri in enumerate(("http://169.254.169.254/latest/", "http://[fe80::1]/", "http://224.0.0.1/",
                                      f"http://127.0.0.1:{self.weir.port}/", f"http://localhost:{self.weir.admin_port}/")):
            name = f"s{number}"
            try:
                self.client.create(name, exportDefinition=http(uri))
            except Refused as refused:  # said at once is as good
                self.assertEqual(refused.status, w.INVALID_REQUEST)
                continue
            self.client.append(name, b"x")
            self.assertTrue(eventually(f"an error for {uri}", lambda: self.status(name)["errorMessage"]))
            self.assertEqual(self.status(name)["lastExportedSequenceNumber"], -1)

    def test_payloads_are_never_logged(self):
        self.start({"log": {"level": "debug"}})
        self.sink.faults = [("status", 403, ""), ("garbage",)]
        self.client.create("s", exportDefinition=http(self.sink.uri))
        self.client.append("s", PAYLOAD_MARK * 3)
        self.sink.wait_for([PAYLOAD_MARK * 3])
        # Weir.__exit__ looks for the mark in the log.


class FileExportTest(ExportCase):
    def declare(self, **options):
        self.out = None
        weir = Weir(impatient())
        self.out = weir.directory / "out"
        weir.config["streams"] = [{"name": "s", "exports": [
            {"type": "file", "identifier": "f", "directory": str(self.out), **options}]}]
        self.weir = self.enterContext(weir)
        self.client = self.connect()

    def files(self):
        """Finished and growing ones; weir's own notes begin with a dot."""
        return sorted(path for path in self.out.glob("[!.]*")) if self.out.exists() else []

    def content(self, read=pathlib.Path.read_bytes):
        """What all files hold together, in order."""
        while True:
            try:
                return b"".join(read(path) for path in self.files())
            except FileNotFoundError:
                # A growing file got its last name between the two looks.
                continue

    def lines(self, read=pathlib.Path.read_bytes):
        return self.content(read).splitlines()

    def test_lines(self):
        self.declare()
        self.client.append_all("s", NUMBERED)
        eventually("all lines", lambda: self.lines() == NUMBERED)
        # It is weir's own, so clients do not see it.
        info = self.client.describe("s")
        self.assertEqual(info["exportStatuses"], [])
        self.assertEqual(sum(map(len, info["definition"]["exportDefinition"].values())), 0)

    def test_files_roll_by_size(self):
        self.declare(file={"roll_bytes": 500}, batch_size=10)
        self.client.append_all("s", NUMBERED)
        eventually("all lines", lambda: self.lines() == NUMBERED)
        self.assertGreater(len(self.files()), 4)

    def test_restarts_and_kills_lose_nothing(self):
        self.declare(batch_size=5)
        for begin in range(0, 300, 60):
            self.client.append_all("s", NUMBERED[begin:begin + 60])
            eventually("some lines", lambda: len(self.lines()) > begin + 10)
            self.restarted(kill=begin % 120 == 0)
        eventually("all lines", lambda: set(NUMBERED) <= set(self.lines()))
        first = list(dict.fromkeys(line for line in self.lines() if line in set(NUMBERED)))
        self.assertEqual(first, NUMBERED)

    def test_messages_that_contain_line_ends_are_framed_by_length(self):
        payloads = [b"two\nlines %d" % i for i in range(50)]
        self.declare(file={"format": "length"})
        self.client.append_all("s", payloads)

        def framed():
            data, found = self.content(), []
            while len(data) >= 4:
                length = int.from_bytes(data[:4], "big")
                found.append(data[4:4 + length])
                data = data[4 + length:]
            return found

        eventually("all frames", lambda: framed() == payloads)

    def test_compressed_files_are_read_by_the_usual_tools(self):
        for name, tool in (("gzip", lambda path: gzip.decompress(path.read_bytes())),
                           ("zstd", lambda path: subprocess.run(
                               ["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout)):
            with self.subTest(name):
                self.declare(file={"compression": name, "roll_bytes": 600}, batch_size=20)
                self.client.append_all("s", NUMBERED)
                self.exported_lines(tool)

    def exported_lines(self, tool):
        def lines():
            try:
                return self.lines(tool)
            except (OSError, EOFError, subprocess.CalledProcessError):
                return None  # one is being written

        eventually("all lines", lambda: lines() == NUMBERED)


class KinesisExportTest(ExportCase):
    @classmethod
    def setUpClass(cls):
        cls.kinesis = cls.enterClassContext(Kinesalite())

    def begin(self, name, shards=1, config=None, **members):
        self.kinesis.create(name, shards)
        self.start(config, env=aws_environment(self.kinesis.url))
        self.client.create("s", exportDefinition=kinesis(name, **members))

    def wait_for(self, name, payloads):
        """Waits until the stream holds them all; returns its records."""
        eventually(f"{len(payloads)} records in {name}",
                   lambda: set(payloads) <= {data for _, data in self.kinesis.records(name)})
        return self.kinesis.records(name)

    def test_what_was_appended_is_read_back_from_the_cloud(self):
        self.begin("readback", shards=2)
        self.client.append_all("s", NUMBERED)
        records = self.wait_for("readback", NUMBERED)
        self.assertEqual(sorted(data for _, data in records), NUMBERED)
        self.assertEqual(len({key for key, _ in records}), 300, "a random partition key each")
        status = self.exported("s", 299)
        self.assertEqual(status["exportedBytesFromStream"], sum(map(len, NUMBERED)))
        self.assertEqual(status["errorMessage"], "")

    def test_order_in_one_shard(self):
        self.begin("ordered", batchSize=50)
        self.client.append_all("s", NUMBERED)
        self.assertEqual([data for _, data in self.wait_for("ordered", NUMBERED)], NUMBERED)

    def test_records_that_were_refused_are_sent_again_and_only_they(self):
        self.begin("partial", batchSize=100)
        self.kinesis.faults({"fail": [1, 3]}, {"fail": [0]}, {"fail": list(range(100))}, {"fail": [0, 1, 2]})
        self.client.append_all("s", NUMBERED)
        records = self.wait_for("partial", NUMBERED)
        self.assertEqual(sorted(data for _, data in records), NUMBERED, "each exactly once")
        self.exported("s", 299)

    def test_strict_order_survives_partial_failures(self):
        self.begin("strict", config={"export": {**impatient()["export"], "options": [
            {"stream": "*", "kinesis": {"ordering": "strict"}}]}}, batchSize=100)
        self.kinesis.faults(*[{"fail": [0]}, {}, {"fail": [0]}, {}, {"fail": [0]}])
        self.client.append_all("s", NUMBERED[:40])
        records = self.wait_for("strict", NUMBERED[:40])
        self.assertEqual([data for _, data in records], NUMBERED[:40])

    def test_calls_that_were_refused_are_repeated(self):
        self.begin("refused", batchSize=50)
        self.kinesis.faults({"status": 400, "type": "ProvisionedThroughputExceededException"},
                            {"status": 500, "type": "InternalFailure"},
                            {"status": 400, "type": "AccessDeniedException"},
                            {"status": 400, "type": "ExpiredTokenException"},
                            {"status": 503, "type": "ServiceUnavailable"})
        self.client.append_all("s", NUMBERED[:100])
        self.assertEqual([d for _, d in self.wait_for("refused", NUMBERED[:100])], NUMBERED[:100])

    def test_a_stream_that_does_not_exist_is_named_until_it_does(self):
        self.start(env=aws_environment(self.kinesis.url))
        self.client.create("s", exportDefinition=kinesis("later"))
        self.client.append_all("s", NUMBERED[:5])
        text = eventually("an error", lambda: self.status("s")["errorMessage"])
        self.assertIn("later", text)
        self.kinesis.create("later")
        self.wait_for("later", NUMBERED[:5])
        eventually("no error", lambda: self.status("s")["errorMessage"] == "")

    def test_a_restart_in_the_middle_causes_no_gap(self):
        self.begin("restarts", batchSize=10)
        for begin in range(0, 300, 100):
            self.client.append_all("s", NUMBERED[begin:begin + 100])
            self.restarted(kill=begin == 100)
        self.wait_for("restarts", NUMBERED)
        self.exported("s", 299)

    def test_a_message_that_kinesis_can_never_take_is_skipped_and_counted(self):
        self.begin("poison")
        payloads = [b"before", b"P" * (2 << 20), b"after"]
        self.client.append_all("s", payloads)
        records = self.wait_for("poison", [b"before", b"after"])
        self.assertEqual([data for _, data in records], [b"before", b"after"])
        status = self.exported("s", 2)
        self.assertEqual(status["exportedMessagesCount"], 3)
        self.assertEqual(status["exportedBytesFromStream"], len(b"before") + len(b"after"))

    def test_partition_keys_by_configuration(self):
        for number, (option, keys) in enumerate((
                ("stream", lambda records: {"s"}),
                ({"field": "/device"}, lambda records: {"pump-1", "pump-2"}),
                ({"template": "{stream}-{/device}"}, lambda records: {"s-pump-1", "s-pump-2"}))):
            with self.subTest(option=option):
                payloads = [json.dumps({"device": f"pump-{1 + i % 2}", "n": i}).encode() for i in range(20)]
                name = f"keys-{number}"
                self.begin(name, config={"export": {**impatient()["export"], "options": [
                    {"stream": "s", "kinesis": {"partition_key": option}}]}})
                self.client.append_all("s", payloads)
                records = self.wait_for(name, payloads)
                self.assertEqual({key for key, _ in records}, keys(records))


class StrictKinesisTest(ExportCase):
    """Against the recorder, which checks each signature in two ways, each body against the service's
    model, and the limits of a call."""

    def begin(self, *faults, config=None, **members):
        self.recorder = self.enterContext(Recorder("cloud"))
        self.recorder.faults(*faults)
        self.start(config, env=aws_environment(self.recorder.url))
        self.client.create("s", exportDefinition=kinesis("cloud", **members))

    def stored(self, payloads):
        """Waits until they are all stored; first deliveries in order, no call that a good client
        would not make. Returns how many came again."""
        eventually(f"{len(payloads)} records", lambda: set(payloads) <= set(self.recorder.stored()))
        stored = self.recorder.stored()
        self.assertEqual(list(dict.fromkeys(stored)), payloads)
        return len(stored) - len(payloads)

    def no_problems(self):
        problems = [(call["number"], call["problems"]) for call in self.recorder.calls() if call["problems"]]
        self.assertEqual(problems, [])

    def test_every_call_is_signed_and_within_limits(self):
        self.begin()
        payloads = NUMBERED + [b"\x00\xff" + bytes([i]) * (700 * i) for i in range(1, 200)]
        self.client.append_all("s", payloads)
        self.assertEqual(self.stored(payloads), 0)
        self.no_problems()
        self.assertTrue(all(call["records"] <= 500 for call in self.recorder.calls()))

    def test_large_messages_are_divided_among_calls(self):
        self.begin()
        payloads = [b"%02d" % i + b"L" * 1_000_000 for i in range(20)]
        for payload in payloads:
            self.client.append("s", payload)
        self.assertEqual(self.stored(payloads), 0)
        self.no_problems()

    def test_answers_that_are_no_success_are_not_taken_for_one(self):
        for fault, stored_already in (
                ({"half": True}, True), ({"count": -1}, True), ({"count": 1}, True), ({"html": True}, False),
                ({"drop": "before"}, False), ({"drop": "after"}, True), ({"status": 200, "body": ""}, False),
                ({"status": 200, "body": "{}"}, False), ({"status": 500, "body": "<html>"}, False),
                ({"status": 413, "body": ""}, False), ({"status": 302, "headers": {"Location": "/x"}}, False)):
            with self.subTest(fault=fault):
                self.begin({}, fault, batchSize=20)
                self.client.append_all("s", NUMBERED[:100])
                again = self.stored(NUMBERED[:100])
                self.assertLessEqual(again, 20 if stored_already else 0)
                self.exported("s", 99)
                self.no_problems()

    def test_a_wrong_clock_is_corrected_from_the_answer(self):
        self.begin({"date_offset": 3600, "status": 400, "type": "InvalidSignatureException",
                    "message": "Signature expired: is now earlier than"})
        self.client.append_all("s", NUMBERED[:20])
        self.stored(NUMBERED[:20])

    def test_a_destination_that_stalls(self):
        self.begin({"delay": 4}, config={"export": SHORT_STALL}, batchSize=10)
        self.client.append_all("s", NUMBERED[:30])
        self.assertLessEqual(self.stored(NUMBERED[:30]), 10)

    def test_one_poisonous_record_costs_only_itself(self):
        self.begin(batchSize=50)
        poison = NUMBERED[17]
        self.recorder.order("poison", {"data": [base64.b64encode(poison).decode()], "named": True})
        self.client.append_all("s", NUMBERED[:100])
        rest = [payload for payload in NUMBERED[:100] if payload != poison]
        self.assertEqual(self.stored(rest), 0)
        status = self.exported("s", 99)
        self.assertEqual(status["exportedMessagesCount"], 100)
        self.assertEqual(status["exportedBytesFromStream"], sum(map(len, rest)))

    def test_a_poisonous_record_that_nobody_names_is_found(self):
        self.begin(batchSize=50)
        poison = NUMBERED[33]
        self.recorder.order("poison", {"data": [base64.b64encode(poison).decode()], "named": False})
        self.client.append_all("s", NUMBERED[:100])
        rest = [payload for payload in NUMBERED[:100] if payload != poison]
        self.stored(rest)
        self.exported("s", 99)

    def test_wrong_credentials_are_said_plainly_and_lose_nothing(self):
        self.begin()
        self.recorder.order("keys", {"AKIDSOMEBODYELSE0001": ["other", None]})
        self.client.append_all("s", NUMBERED[:10])
        self.assertTrue(eventually("an error", lambda: self.status("s")["errorMessage"]))
        self.assertEqual(self.status("s")["lastExportedSequenceNumber"], -1)
        from weir_server import AWS_KEY_ID, AWS_SECRET, AWS_SESSION
        self.recorder.order("keys", {AWS_KEY_ID: [AWS_SECRET, AWS_SESSION]})
        self.assertEqual(self.stored(NUMBERED[:10]), 0)

    def test_restarts_resume_without_a_gap(self):
        self.begin(batchSize=10)
        for begin in range(0, 300, 60):
            self.client.append_all("s", NUMBERED[begin:begin + 60])
            self.restarted(kill=begin % 120 == 60)
        self.stored(NUMBERED)
        self.exported("s", 299)
        self.no_problems()


if __name__ == "__main__":
    unittest.main()
