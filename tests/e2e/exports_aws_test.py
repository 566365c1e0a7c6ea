"""Exports to the AWS services beside Kinesis, and several messages in one record: against the recorder,
which checks each signature in two ways, each body against the service's model, and the limits of a call."""

import base64
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import time
import unittest
import urllib.request

from exports_test import NUMBERED, ExportCase, kinesis
from sinks import Recorder, aws_environment, impatient
from weir_server import SANITIZED, eventually, weir_command


# As a document in memory it would take more than 300 MiB.
CROWDED = b'{"device":"p-1","x":[' + b"[]," * (4 << 20) + b"[]]}"


def deaggregated(data):
    """The messages in a KPL container, by the rules of its format; the data itself if it is none."""
    if data[:4] != b"\xf3\x89\x9a\xc2":
        return [data]
    body, digest = data[4:-16], data[-16:]
    assert hashlib.md5(body).digest() == digest, "the digest of an aggregate is wrong"
    at, keys, found = 0, [], []

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(body):
        tag, end = body[at], 0
        at += 1
        end = varint() + at
        if tag == 0x0a:
            keys.append(body[at:end])
        else:
            assert tag == 0x1a and body[at] == 0x08
            at += 1
            assert varint() < len(keys), "a record names a key that is not there"
            assert body[at] == 0x1a
            at += 1
            size = varint()
            found.append(body[at:at + size])
        at = end
    assert len(keys) == 1, "one key for each aggregate"
    return found


class AwsCase(ExportCase):
    def begin(self, *names, faults=(), config=None):
        self.recorder = self.enterContext(Recorder(*names))
        self.recorder.faults(*faults)
        self.start(config, env=aws_environment(self.recorder.url, AWS_ENDPOINT_URL=self.recorder.url))

    def no_problems(self):
        problems = [(call["number"], call["problems"]) for call in self.recorder.calls() if call["problems"]]
        self.assertEqual(problems, [])

    def peak_bytes(self):
        status = pathlib.Path(f"/proc/{self.weir.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def options(self, **options):
        return {"export": {**impatient()["export"], "options": [{"stream": "*", **options}]}}


class SitewiseExportTest(AwsCase):
    definition = {"IotSitewise": [{"identifier": "i", "batchSize": 10}]}

    @staticmethod
    def entry(number, seconds=None, alias="/pump/1", name=None):
        value = {"value": {"doubleValue": number + 0.5}, "quality": "GOOD",
                 "timestamp": {"timeInSeconds": int(seconds or time.time() - number), "offsetInNanos": number}}
        return json.dumps({"entryId": name or f"e{number}", "propertyAlias": alias, "propertyValues": [value]}).encode()

    def entries(self, count):
        return [self.entry(number) for number in range(count)]

    def stored(self):
        return [json.loads(data)["propertyValues"][0]["timestamp"]["offsetInNanos"] for data in self.recorder.stored()]

    def append(self, payloads):
        self.client.create("s", exportDefinition=self.definition)
        self.client.append_all("s", payloads)

    def test_entries_arrive_in_order(self):
        self.begin()
        self.append(self.entries(105))
        self.exported("s", 104)
        self.assertEqual(self.stored(), list(range(105)))
        self.no_problems()
        for call in self.recorder.calls():
            self.assertLessEqual(call["records"], 10)
            self.assertEqual((call["method"], call["target"]), ("POST", "/properties"))

    def test_one_id_and_one_time_for_everything_still_arrive(self):
        self.begin()
        now = time.time()
        self.append([self.entry(7, now, name="same") for _ in range(5)])
        self.exported("s", 4)
        self.assertEqual(len(self.stored()), 5)
        self.no_problems()

    def test_a_backlog_of_more_than_a_week_does_not_hold_up_what_is_new(self):
        self.begin()
        old = time.time() - 9 * 86_400
        self.append([self.entry(0)] + [self.entry(n, old) for n in range(1, 300)] + [self.entry(300)])
        status = self.exported("s", 300)
        self.assertEqual(self.stored(), [0, 300])
        self.assertEqual(status["exportedMessagesCount"], 301)
        self.no_problems()
        # The first call tells the service's time; from then on nothing old is sent.
        self.assertLessEqual(len(self.recorder.calls()), 4)

    def test_what_is_no_entry_is_skipped_and_counted(self):
        self.begin()
        two_values = json.loads(self.entry(5))
        two_values["propertyValues"][0]["value"]["integerValue"] = 1
        self.append([self.entry(0), b"not json", b"{}", json.dumps(two_values).encode(), self.entry(1)])
        status = self.exported("s", 4)
        self.assertEqual(self.stored(), [0, 1])
        self.assertEqual(status["exportedMessagesCount"], 5)
        self.no_problems()

    @unittest.skipIf(SANITIZED, "memory figures mean nothing in a sanitizer build")
    def test_a_large_document_that_is_no_entry_takes_no_memory(self):
        self.begin()
        self.append([CROWDED, self.entry(0)])
        self.exported("s", 1)
        self.assertEqual(self.stored(), [0])
        self.assertLess(self.peak_bytes(), 160 << 20)

    def test_failed_entries_are_sent_again_and_only_they(self):
        self.begin(faults=({"fail": [1, 3]}, {"fail": [0], "code": "ConflictingOperationException"},
                           {"fail": [0], "code": "InternalFailureException"},
                           {"fail": [0], "code": "AccessDeniedException"}))
        self.append(self.entries(30))
        self.exported("s", 29)
        self.assertEqual(sorted(self.stored()), list(range(30)))
        self.no_problems()

    def test_calls_that_were_refused_are_repeated(self):
        self.begin(faults=({"status": 429, "type": "ThrottlingException"},
                           {"status": 503, "type": "ServiceUnavailableException"},
                           {"status": 410, "type": "LimitExceededException"}, {"status": 500, "body": ""},
                           {"half": True}, {"html": True}, {"drop": "before"}))
        self.append(self.entries(20))
        self.exported("s", 19)
        self.assertEqual(list(dict.fromkeys(self.stored())), list(range(20)))
        self.no_problems()


class IotAnalyticsExportTest(AwsCase):
    definition = {"iotAnalytics": [{"identifier": "a", "iotChannel": "ch", "iotMsgIdPrefix": "site7-"}]}

    def test_without_an_endpoint_the_service_is_retired(self):
        self.recorder = self.enterContext(Recorder())
        weir = self.start(env=aws_environment(self.recorder.url))
        self.client.create("s", exportDefinition=self.definition)
        self.client.append_all("s", NUMBERED[:5])
        text = eventually("an error", lambda: self.status("s")["errorMessage"])
        self.assertIn("service retired", text)
        self.assertEqual(self.status("s")["lastExportedSequenceNumber"], -1)
        definition = self.client.describe("s")["definition"]["exportDefinition"]["iotAnalytics"][0]
        self.assertEqual(definition["iotChannel"], "ch")
        self.assertEqual(self.recorder.calls(), [])
        status = weir_command("status", "--admin-port", weir.admin_port).stdout
        self.assertIn("service retired", status)
        with urllib.request.urlopen(f"http://127.0.0.1:{weir.admin_port}/metrics", timeout=10) as answer:
            self.assertIn('type="iot_analytics",state="service_retired"', answer.read().decode())

    def test_with_an_endpoint_it_works_in_full(self):
        self.begin("ch", faults=({"fail": [2, 5]}, {"drop": "after"},
                                 {"status": 503, "type": "ServiceUnavailableException"}))
        self.client.create("s", exportDefinition=self.definition)
        self.client.append_all("s", NUMBERED)
        self.exported("s", 299)
        records = self.recorder.order("records")
        ids = {}
        for record in records:
            self.assertTrue(record["id"].startswith("site7-"))
            known = ids.setdefault(record["id"], record["data"])
            self.assertEqual(known, record["data"], "an id stands for one message for ever")
        self.assertEqual(sorted(base64.b64decode(data) for data in ids.values()), NUMBERED)
        self.no_problems()


class FirehoseExportTest(AwsCase):
    def declare(self, faults=(), **options):
        self.begin("lake", faults=faults, config={"streams": [{"name": "s", "exports": [
            {"type": "firehose", "identifier": "f", "delivery_stream": "lake", **options}]}]})

    def arrived(self, lines, read=lambda data: data):
        """Waits until these lines are in the lake, as whoever reads its files sees them."""
        eventually("all lines", lambda: sorted(
            read(b"".join(self.recorder.stored())).splitlines()) == sorted(lines))
        self.no_problems()

    def test_messages_become_lines(self):
        self.declare()
        self.client.append_all("s", NUMBERED)
        self.arrived(NUMBERED)
        self.assertEqual(b"".join(self.recorder.stored()).splitlines(), NUMBERED, "in order")
        self.assertEqual(self.client.describe("s")["exportStatuses"], [], "clients do not see it")

    def test_failed_records_are_sent_again_and_only_they(self):
        self.declare(faults=({"fail": [1, 3]}, {"fail": [0]}, {"status": 503, "type": "ServiceUnavailableException"},
                             {"fail": [0], "code": "InternalFailure"}))
        self.client.append_all("s", NUMBERED)
        self.arrived(NUMBERED)

    def test_packed_and_compressed(self):
        self.declare(firehose={"packing": True, "compression": "gzip", "packing_bytes_max": 4096})
        self.client.append_all("s", NUMBERED)
        self.arrived(NUMBERED, gzip.decompress)
        self.assertLess(sum(call["records"] for call in self.recorder.calls()), 30)

    def test_a_call_refused_without_reason_is_divided_and_loses_nothing(self):
        self.declare(firehose={"packing": True, "packing_bytes_max": 2048},
                     faults=[{"status": 400, "type": "InvalidArgumentException"}] * 3)
        self.client.append_all("s", NUMBERED[:100])
        self.arrived(NUMBERED[:100])

    def test_strict_order(self):
        self.declare(firehose={"ordering": "strict"}, faults=({}, {"status": 503, "type": "ServiceUnavailableException"}))
        self.client.append_all("s", NUMBERED[:20])
        self.arrived(NUMBERED[:20])
        self.assertEqual(b"".join(self.recorder.stored()).splitlines(), NUMBERED[:20])
        self.assertEqual({call["operation"] for call in self.recorder.calls()}, {"PutRecord"})


class KinesisAggregationTest(AwsCase):
    def begin_kinesis(self, faults=(), **options):
        self.begin("cloud", faults=faults, config=self.options(kinesis=options))
        self.client.create("s", exportDefinition=kinesis("cloud"))

    def test_kpl_containers_hold_every_message_once(self):
        self.begin_kinesis(aggregation="kpl", aggregation_bytes_max=2048)
        self.client.append_all("s", NUMBERED)
        self.exported("s", 299)
        stored = self.recorder.stored()
        self.assertEqual([message for data in stored for message in deaggregated(data)], NUMBERED)
        self.assertLess(len(stored), 60)
        self.no_problems()

    def test_a_failed_aggregate_is_sent_again_whole(self):
        self.begin_kinesis(faults=({"fail": [0]}, {"drop": "after"}), aggregation="kpl", aggregation_bytes_max=1024,
                           partition_key="stream")
        self.client.append_all("s", NUMBERED)
        self.exported("s", 299)
        found = [message for data in self.recorder.stored() for message in deaggregated(data)]
        self.assertEqual(set(found), set(NUMBERED))
        self.no_problems()

    @unittest.skipIf(SANITIZED, "memory figures mean nothing in a sanitizer build")
    def test_the_key_of_a_large_document_takes_no_memory(self):
        self.begin_kinesis(compression="gzip", partition_key={"field": "/device"})
        self.client.append_all("s", [CROWDED, b'{"device":"p-2"}'])
        self.exported("s", 1)
        self.assertEqual([gzip.decompress(data) for data in self.recorder.stored()], [CROWDED, b'{"device":"p-2"}'])
        self.assertLess(self.peak_bytes(), 160 << 20)

    def test_compressed_lines(self):
        self.begin_kinesis(aggregation="lines", compression="zstd")
        self.client.append_all("s", NUMBERED)
        self.exported("s", 299)
        plain = b"".join(subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
                         for data in self.recorder.stored())
        self.assertEqual(plain.splitlines(), NUMBERED)
        self.no_problems()


if __name__ == "__main__":
    unittest.main()
