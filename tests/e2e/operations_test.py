"""What each operation does and says: definitions, names, sizes, reads, updates."""

import random
import unittest

import weir_client as w
from weir_client import Client, Refused
from weir_server import Weir, eventually

FIVE_LISTS = {"http": [], "iotAnalytics": [], "kinesis": [], "IotSitewise": [], "s3TaskExecutor": []}
FULL = (w.INVALID_REQUEST, "the message stream is full")
MISSING = (w.RESOURCE_NOT_FOUND, "the requested message stream does not exist")
TOO_FEW = (w.NOT_ENOUGH_MESSAGES, "not enough messages to return before time out")


class OperationsTest(unittest.TestCase):
    def setUp(self):
        self.weir = self.enterContext(Weir())
        self.client = self.enterContext(Client(self.weir.port))

    def refused(self, call, *arguments, **members):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **members)
        return caught.exception.status, caught.exception.text

    def invalid(self, place, name="bad", strategy=0, **members):
        """Creating this is refused with a text that names the place, and leaves nothing."""
        status, text = self.refused(self.client.create, name, strategy, **members)
        self.assertEqual(status, w.INVALID_REQUEST)
        self.assertIn(place, text)
        self.assertNotIn(name, self.client.list())


class DefinitionsTest(OperationsTest):
    def test_describe_fills_in_what_was_not_said(self):
        self.client.create("plain", w.REJECT_NEW_DATA)
        info = self.client.describe("plain")
        self.assertEqual(info["definition"], {
            "name": "plain", "maxSize": 268435456, "streamSegmentSize": 16777216,
            "strategyOnFull": 0, "persistence": 0, "flushOnWrite": False,
            "exportDefinition": FIVE_LISTS})
        self.assertEqual(info["storageStatus"], {
            "oldestSequenceNumber": 0, "newestSequenceNumber": -1, "totalBytes": 0})
        self.assertEqual(info["exportStatuses"], [])

    def test_describe_echoes_every_export_in_order_with_a_status_each(self):
        exports = {
            "http": [{"identifier": "h1", "uri": "http://127.0.0.1:1/a", "disabled": True,
                      "batchSize": 7, "exportFormat": 1}],
            "iotAnalytics": [{"identifier": "a1", "iotChannel": "c", "iotMsgIdPrefix": "p", "disabled": True}],
            "kinesis": [{"identifier": "k2", "kinesisStreamName": "x", "disabled": True, "priority": 3},
                        {"identifier": "k1", "kinesisStreamName": "y", "disabled": True,
                         "startSequenceNumber": 5, "batchIntervalMillis": 60000}],
            "IotSitewise": [{"identifier": "s1", "disabled": True}],
            "s3TaskExecutor": [{"identifier": "x1", "disabled": True,
                                "sizeThresholdForMultipartUploadBytes": 5242880}],
        }
        self.client.create("all", exportDefinition=exports)
        info = self.client.describe("all")
        self.assertEqual(info["definition"]["exportDefinition"], exports)
        self.assertEqual([s["exportConfigIdentifier"] for s in info["exportStatuses"]],
                         ["h1", "a1", "k2", "k1", "s1", "x1"])
        fresh = next(s for s in info["exportStatuses"] if s["exportConfigIdentifier"] == "h1")
        self.assertEqual(fresh, {
            "exportConfigIdentifier": "h1", "lastExportedSequenceNumber": -1, "lastExportTime": 0,
            "errorMessage": "", "exportedBytesFromStream": 0, "exportedMessagesCount": 0})

    def test_synonyms_of_sitewise_are_taken_and_the_sdk_name_is_sent(self):
        self.client.create("s", exportDefinition={"iotSiteWise": [{"identifier": "i", "disabled": True}]})
        definition = self.client.describe("s")["definition"]["exportDefinition"]
        self.assertEqual(definition, {**FIVE_LISTS, "IotSitewise": [{"identifier": "i", "disabled": True}]})

    def test_ranges(self):
        k = {"identifier": "k", "kinesisStreamName": "s"}
        for members, place in (
                ({"maxSize": 1023}, "maxSize"), ({"maxSize": -1}, "maxSize"),
                ({"streamSegmentSize": 1023}, "streamSegmentSize"),
                ({"streamSegmentSize": 2147483648}, "streamSegmentSize"),
                ({"timeToLiveMillis": 59999}, "timeToLiveMillis"),
                ({"timeToLiveMillis": 9223372036855}, "timeToLiveMillis"),
                ({"persistence": 2}, "persistence"),
                ({"exportDefinition": {"kinesis": [{**k, "batchSize": 501}]}}, "kinesis[0].batchSize"),
                ({"exportDefinition": {"iotAnalytics": [
                    {"identifier": "k", "iotChannel": "c", "batchSize": 101}]}}, "iotAnalytics[0].batchSize"),
                ({"exportDefinition": {"IotSitewise": [{"identifier": "k", "batchSize": 11}]}},
                 "IotSitewise[0].batchSize"),
                ({"exportDefinition": {"kinesis": [{**k, "batchIntervalMillis": 59999}]}}, "batchIntervalMillis"),
                ({"exportDefinition": {"kinesis": [{**k, "priority": 0}]}}, "priority"),
                ({"exportDefinition": {"kinesis": [{**k, "priority": 11}]}}, "priority"),
                ({"exportDefinition": {"kinesis": [{**k, "startSequenceNumber": -1}]}}, "startSequenceNumber"),
                ({"exportDefinition": {"kinesis": [{"identifier": "k"}]}}, "kinesisStreamName"),
                ({"exportDefinition": {"kinesis": [{"identifier": "k", "kinesisStreamName": ""}]}},
                 "kinesisStreamName"),
                ({"exportDefinition": {"kinesis": [{"kinesisStreamName": "s"}]}}, "identifier"),
                ({"exportDefinition": {"http": [{"identifier": "h", "uri": "http://127.0.0.1:1/",
                                                 "exportFormat": 2}]}}, "exportFormat"),
                ({"exportDefinition": {"iotAnalytics": [{"identifier": "k", "iotChannel": "c",
                                                         "iotMsgIdPrefix": "x" * 33}]}}, "iotMsgIdPrefix"),
                ({"exportDefinition": {"s3TaskExecutor": [
                    {"identifier": "k", "sizeThresholdForMultipartUploadBytes": 5242879}]}},
                 "sizeThresholdForMultipartUploadBytes")):
            with self.subTest(members=members):
                self.invalid(place, **members)
        self.client.create("limits", maxSize=2**63 - 1, streamSegmentSize=2147483647,
                           timeToLiveMillis=9223372036854)

    def test_contradictions(self):
        k = {"identifier": "same", "kinesisStreamName": "s"}
        self.invalid("same", exportDefinition={"kinesis": [k, k]})
        self.invalid("same", exportDefinition={
            "kinesis": [k], "http": [{"identifier": "same", "uri": "http://127.0.0.1:1/"}]})
        self.invalid("statusStreamName", exportDefinition={"s3TaskExecutor": [
            {"identifier": "x", "statusConfig": {"statusStreamName": "nowhere"}}]})
        self.invalid("statusStreamName", name="self", exportDefinition={"s3TaskExecutor": [
            {"identifier": "x", "statusConfig": {"statusStreamName": "self"}}]})
        for uri in ("ftp://127.0.0.1/", "nonsense", "http://", "http://user:secret@127.0.0.1/",
                    "file:///etc/passwd", "http://127.0.0.1:0/", "http://127.0.0.1:70000/"):
            self.invalid("uri", exportDefinition={"http": [{"identifier": "h", "uri": uri}]})

    def test_a_segment_larger_than_the_stream_is_taken_as_the_stream(self):
        self.client.create("small", maxSize=1 << 20, streamSegmentSize=16 << 20)
        definition = self.client.describe("small")["definition"]
        self.assertEqual((definition["maxSize"], definition["streamSegmentSize"]), (1 << 20, 16 << 20))


class NamesTest(OperationsTest):
    def test_every_legal_name_is_a_stream_of_its_own(self):
        names = [".", "..", "...", " ", "  ", "a", "A", "a.", "a ", " a", "a b", "a,b", "-", "--help", "_",
                 "LOCK", "FORMAT", "streams", "con", "n" * 255, "N" * 255, "definition.json", "0"]
        for number, name in enumerate(names):
            self.client.create(name, flushOnWrite=True)
            for _ in range(2):
                self.client.append(name, b"%d" % number)
        self.assertEqual(self.client.list(), sorted(names))
        self.client.close()
        self.weir.restart()
        with Client(self.weir.port) as client:
            self.assertEqual(client.list(), sorted(names))
            for number, name in enumerate(names):
                self.assertEqual([m["payload"] for m in client.read(name, 0, 2)], [b"%d" % number] * 2)
                self.assertEqual(client.read(name)[0]["streamName"], name)
                client.delete(name)
            self.assertEqual(client.list(), [])
        above = sorted(path.name for path in self.weir.directory.iterdir())
        self.assertEqual(above, ["store", "weir.yaml"])

    def test_other_names_are_refused(self):
        for name in ("", "n" * 256, "a/b", "../x", "température", "a\x00b", "a\nb", "a:b", "日本", "a\\b"):
            with self.subTest(name=name):
                self.invalid("name", name=name)
        self.assertEqual(self.client.list(), [])

    def test_a_missing_stream_is_missing_for_every_operation(self):
        for call, arguments in ((self.client.append, ("no", b"x")), (self.client.read, ("no",)),
                                (self.client.describe, ("no",)), (self.client.delete, ("no",)),
                                (self.client.update, ("no",))):
            self.assertEqual(self.refused(call, *arguments), MISSING)

    def test_a_stream_created_again_starts_from_nothing(self):
        self.client.create("again")
        self.client.append_all("again", [b"old"] * 10)
        self.client.delete("again")
        self.assertEqual(self.client.list(), [])
        self.client.create("again")
        self.assertEqual(self.refused(self.client.read, "again"), TOO_FEW)
        self.assertEqual(self.client.append("again", b"new"), 0)
        self.assertEqual(self.client.read("again")[0]["payload"], b"new")


class AppendAndReadTest(OperationsTest):
    def test_what_is_read_is_what_was_appended(self):
        rng = random.Random(7)
        for persistence in (w.FILE, w.MEMORY):
            name = f"kept {persistence}"
            self.client.create(name, persistence=persistence, streamSegmentSize=4096)
            payloads = [rng.randbytes(rng.choice([1, 2, 23, 24, 255, 256, 4000, 5000, 70_000]))
                        for _ in range(200)]
            self.assertEqual(self.client.append_all(name, payloads), list(range(200)))
            messages = self.client.read_all(name)
            self.assertEqual([m["payload"] for m in messages], payloads)
            self.assertEqual([m["sequenceNumber"] for m in messages], list(range(200)))
            self.assertTrue(all(m["ingestTime"] > 1_600_000_000_000 for m in messages))
            for _ in range(30):
                start, count = rng.randrange(200), rng.randrange(1, 40)
                found = self.client.read(name, start, 1, count)
                self.assertEqual([m["payload"] for m in found], payloads[start:start + count])

    def test_an_empty_payload_is_refused(self):
        self.client.create("s")
        self.assertEqual(self.refused(self.client.append, "s", b"")[0], w.INVALID_REQUEST)
        self.assertEqual(self.client.append("s", b"1"), 0)

    def test_options_of_a_read(self):
        self.client.create("s")
        self.client.append_all("s", [b"%d" % i for i in range(10)])

        def numbers(**options):
            return [m["sequenceNumber"] for m in self.client.read("s", **options)]

        self.assertEqual(numbers(), [0])
        self.assertEqual(numbers(minimum=1, timeout_ms=0), [0])
        self.assertEqual(numbers(minimum=3), [0, 1, 2])
        self.assertEqual(numbers(start=4, minimum=2, maximum=4), [4, 5, 6, 7])
        self.assertEqual(numbers(start=8, minimum=1, maximum=100), [8, 9])
        self.assertEqual(numbers(start=9, minimum=1), [9])
        for options in ({"start": 10}, {"start": 5, "minimum": 6}, {"start": 2**63 - 1},
                        {"minimum": 11, "timeout_ms": 1}):
            self.assertEqual(self.refused(self.client.read, "s", **options), TOO_FEW)
        for options in ({"minimum": 0}, {"maximum": 0}, {"minimum": 5, "maximum": 4}, {"start": -1},
                        {"timeout_ms": -1}, {"minimum": 2**31}, {"timeout_ms": 9223372036855}):
            self.assertEqual(self.refused(self.client.read, "s", **options)[0], w.INVALID_REQUEST, options)

    def test_reading_changes_nothing(self):
        self.client.create("s")
        self.client.append_all("s", [b"a", b"b"])
        before = self.client.describe("s")
        for _ in range(3):
            self.assertEqual(len(self.client.read("s", 0, 2)), 2)
        self.assertEqual(self.client.describe("s"), before)

    def test_refused_appends_do_not_disturb_the_order_of_the_others(self):
        self.client.create("s", w.REJECT_NEW_DATA, maxSize=4096)
        ids = [self.client.submit(w.APPEND, {"name": "s", "payload": b"x" * (100 if i % 3 else 5000)})
               for i in range(30)]
        answers = [self.client.collect(i) for i in ids]
        kept = [a["sequenceNumber"] for a in answers if a["status"] == 0]
        self.assertEqual(kept, list(range(len(kept))))
        self.assertEqual(len(kept), 20)

    def test_a_large_message_travels_whole(self):
        payload = random.Random(3).randbytes(20 << 20)
        self.client.create("large")
        self.assertEqual(self.client.append("large", payload), 0)
        self.assertEqual(self.client.read("large")[0]["payload"], payload)


class SizesTest(OperationsTest):
    def fill(self, name, payload):
        """Appends until it is full; returns how many fitted."""
        count = 0
        while True:
            try:
                self.assertEqual(self.client.append(name, payload), count)
                count += 1
            except Refused as refused:
                self.assertEqual((refused.status, refused.text), FULL)
                return count

    def test_a_full_stream_that_rejects(self):
        for persistence in (w.FILE, w.MEMORY):
            name = f"reject {persistence}"
            self.client.create(name, w.REJECT_NEW_DATA, maxSize=10_000, persistence=persistence)
            count = self.fill(name, b"x" * 100)
            self.assertTrue(60 <= count <= 100, count)
            status = self.client.describe(name)["storageStatus"]
            self.assertEqual((status["oldestSequenceNumber"], status["newestSequenceNumber"]), (0, count - 1))
            self.assertLessEqual(status["totalBytes"], 10_000)
            self.assertEqual(len(self.client.read_all(name)), count)
            self.client.update(name, w.REJECT_NEW_DATA, maxSize=20_000, streamSegmentSize=20_000,
                               **({"persistence": persistence}))
            self.assertEqual(self.client.append(name, b"room again"), count)

    def test_a_full_stream_that_overwrites(self):
        for persistence in (w.FILE, w.MEMORY):
            name = f"overwrite {persistence}"
            self.client.create(name, w.OVERWRITE_OLDEST_DATA, maxSize=16_384, streamSegmentSize=2048,
                               persistence=persistence)
            for number in range(1000):
                self.assertEqual(self.client.append(name, b"%0100d" % number), number)
                if number % 100 == 99:
                    status = self.client.describe(name)["storageStatus"]
                    self.assertLessEqual(status["totalBytes"], 16_384)
            status = self.client.describe(name)["storageStatus"]
            self.assertEqual(status["newestSequenceNumber"], 999)
            self.assertGreater(status["oldestSequenceNumber"], 800)
            # A read from the past starts at the oldest message there is.
            first = self.client.read(name, 0)[0]
            self.assertEqual(first["sequenceNumber"], status["oldestSequenceNumber"])
            for message in self.client.read_all(name):
                self.assertEqual(message["payload"], b"%0100d" % message["sequenceNumber"])

    def test_overwriting_with_one_segment(self):
        self.client.create("one", w.OVERWRITE_OLDEST_DATA, maxSize=4096, streamSegmentSize=16 << 20)
        for number in range(200):
            self.assertEqual(self.client.append("one", b"y" * 200), number)
            self.assertLessEqual(self.client.describe("one")["storageStatus"]["totalBytes"], 4096)
        self.assertEqual(self.client.read_all("one")[-1]["sequenceNumber"], 199)

    def test_messages_larger_than_a_segment_and_than_the_stream(self):
        self.client.create("s", w.OVERWRITE_OLDEST_DATA, maxSize=10_000, streamSegmentSize=1024)
        self.client.append_all("s", [b"small"] * 5)
        self.assertEqual(self.client.append("s", b"L" * 5000), 5)
        self.assertEqual(self.client.read("s", 5)[0]["payload"], b"L" * 5000)
        before = self.client.describe("s")["storageStatus"]
        for size in (10_000, 10_001, 100_000):
            self.assertEqual(self.refused(self.client.append, "s", b"T" * size)[0], w.INVALID_REQUEST)
        self.assertEqual(self.client.describe("s")["storageStatus"], before)
        self.assertEqual(self.client.append("s", b"goes on"), 6)


class UpdatesTest(OperationsTest):
    def test_describe_and_update_with_the_same_is_a_no_op(self):
        self.client.create("s", w.REJECT_NEW_DATA, maxSize=1 << 20, timeToLiveMillis=100_000, flushOnWrite=True,
                           exportDefinition={"kinesis": [
                               {"identifier": "k", "kinesisStreamName": "x", "disabled": True,
                                "startSequenceNumber": 3}]})
        self.client.append_all("s", [b"m"] * 2)
        before = self.client.describe("s")
        definition = dict(before["definition"])
        self.client.must(w.UPDATE, {"definition": definition})
        self.assertEqual(self.client.describe("s"), before)

    def test_an_update_replaces_everything_but_persistence(self):
        self.client.create("s", persistence=w.MEMORY, maxSize=1 << 20, timeToLiveMillis=100_000,
                           flushOnWrite=True, exportDefinition={"kinesis": [
                               {"identifier": "k", "kinesisStreamName": "x", "disabled": True}]})
        self.client.update("s", w.REJECT_NEW_DATA)
        definition = self.client.describe("s")["definition"]
        self.assertEqual(definition, {
            "name": "s", "maxSize": 268435456, "streamSegmentSize": 16777216, "strategyOnFull": 0,
            "persistence": w.MEMORY, "flushOnWrite": False, "exportDefinition": FIVE_LISTS})
        self.assertEqual(self.client.describe("s")["exportStatuses"], [])

    def test_what_an_update_may_not_do(self):
        self.client.create("s", maxSize=1 << 20, streamSegmentSize=1 << 16)
        self.client.append_all("s", [b"x" * 1000] * 50)
        before = self.client.describe("s")
        used = before["storageStatus"]["totalBytes"]
        for members in ({"persistence": w.MEMORY}, {"maxSize": used - 1, "streamSegmentSize": 1024},
                        {"maxSize": 1 << 20, "streamSegmentSize": (1 << 20) + 1}):
            status, text = self.refused(self.client.update, "s", **members)
            self.assertEqual(status, w.UPDATE_NOT_ALLOWED, members)
            self.assertTrue(text)
        for members in ({"timeToLiveMillis": 1}, {"maxSize": 5}, {"exportDefinition": {"http": [{}]}}):
            self.assertEqual(self.refused(self.client.update, "s", **members)[0], w.INVALID_REQUEST)
        self.assertEqual(self.client.describe("s"), before)
        self.client.update("s", maxSize=used, streamSegmentSize=1024)

    def test_the_strategy_changes_with_the_next_append(self):
        self.client.create("s", w.REJECT_NEW_DATA, maxSize=4096, streamSegmentSize=1024)
        with self.assertRaises(Refused):
            for _ in range(100):
                self.client.append("s", b"x" * 100)
        full = self.client.describe("s")["storageStatus"]
        self.client.update("s", w.OVERWRITE_OLDEST_DATA, maxSize=4096, streamSegmentSize=1024)
        for _ in range(50):
            self.client.append("s", b"y" * 100)
        self.assertGreater(self.client.describe("s")["storageStatus"]["oldestSequenceNumber"],
                           full["oldestSequenceNumber"])

    def test_repositioning_an_export(self):
        def kinesis(start):
            return {"kinesis": [{"identifier": "k", "kinesisStreamName": "x", "disabled": True,
                                 **({} if start is None else {"startSequenceNumber": start})}]}

        def position():
            return self.client.describe("s")["exportStatuses"][0]["lastExportedSequenceNumber"]

        self.client.create("s", exportDefinition=kinesis(500))
        self.assertEqual(position(), 499)
        self.client.append_all("s", [b"m"] * 10)
        self.client.update("s", exportDefinition=kinesis(500))  # unchanged: never refused
        self.assertEqual(position(), 499)
        self.client.update("s", exportDefinition=kinesis(4))
        eventually("the export is repositioned", lambda: position() == 3)
        self.assertEqual(self.refused(self.client.update, "s", exportDefinition=kinesis(9))[0], w.INVALID_REQUEST)
        self.client.update("s", exportDefinition=kinesis(8))
        eventually("the export is repositioned forwards", lambda: position() == 7)


class ManyTest(OperationsTest):
    def test_three_hundred_streams(self):
        names = [f"stream {i:04}" for i in range(300)]
        for name in names:
            self.client.submit(w.CREATE, {"definition": {"name": name, "strategyOnFull": 0}})
        for _ in names:
            self.assertEqual(self.client.next_answer()[1]["status"], 0)
        self.assertEqual(self.client.list(), names)
        for name in names:
            self.assertEqual(self.client.append(name, name.encode()), 0)
        self.client.close()
        self.weir.restart()
        with Client(self.weir.port) as client:
            self.assertEqual(client.list(), names)
            for name in names[::37]:
                self.assertEqual(client.read(name)[0]["payload"], name.encode())

    def test_many_connections(self):
        clients = [self.enterContext(Client(self.weir.port)) for _ in range(500)]
        self.client.create("s")
        numbers = [client.append("s", b"x") for client in clients]
        self.assertEqual(numbers, list(range(500)))


class WaitingReadsTest(OperationsTest):
    def setUp(self):
        super().setUp()
        self.client.create("s")
        self.other = self.enterContext(Client(self.weir.port))

    def wait_for(self, minimum=1, start=0, timeout_ms=30_000, client=None):
        return (client or self.client).submit(w.READ, {"streamName": "s", "readMessagesOptions": {
            "desiredStartSequenceNumber": start, "minMessageCount": minimum, "maxMessageCount": 1000,
            "readTimeoutMillis": timeout_ms}})

    def test_a_waiting_read_holds_up_nothing(self):
        read = self.wait_for(3)
        for number in range(2):
            self.assertEqual(self.client.append("s", b"x"), number)
            self.assertEqual(self.client.list(), ["s"])
        self.assertNotIn(read, self.client.early)
        self.other.append("s", b"last")
        self.assertEqual(len(self.client.collect(read)["messages"]), 3)

    def test_a_read_beyond_the_end_waits_for_that_number(self):
        read = self.wait_for(1, start=5)
        for _ in range(5):
            self.other.append("s", b"x")
        self.assertNotIn(read, self.client.early)
        self.other.append("s", b"five")
        found = self.client.collect(read)["messages"]
        self.assertEqual([(m["sequenceNumber"], m["payload"]) for m in found], [(5, b"five")])

    def test_after_the_timeout_nothing_is_returned_even_if_something_is_there(self):
        self.client.append("s", b"one")
        response = self.client.collect(self.wait_for(2, timeout_ms=50))
        self.assertEqual((response["status"], response["errorMessage"]), TOO_FEW)
        self.assertFalse(response.get("messages"))

    def test_deleting_the_stream_ends_the_wait(self):
        reads = [self.wait_for(1) for _ in range(10)]
        self.client.list()  # the reads have arrived
        self.other.delete("s")
        for read in reads:
            response = self.client.collect(read)
            self.assertEqual((response["status"], response["errorMessage"]), MISSING)

    def test_a_thousand_reads_wait_on_one_connection(self):
        reads = [self.wait_for(1) for _ in range(1000)]
        self.assertEqual(self.client.list(), ["s"])
        self.other.append("s", b"for all")
        for read in reads:
            self.assertEqual(self.client.collect(read)["messages"][0]["payload"], b"for all")

    def test_readers_on_many_connections_wake_together(self):
        readers = [self.enterContext(Client(self.weir.port)) for _ in range(100)]
        reads = [(reader, self.wait_for(1, client=reader)) for reader in readers]
        for reader in readers:
            reader.list()
        self.other.append("s", b"wake")
        for reader, read in reads:
            self.assertEqual(reader.collect(read)["messages"][0]["payload"], b"wake")

    def test_readers_that_leave_are_forgotten(self):
        for _ in range(20):
            reader = Client(self.weir.port)
            for _ in range(50):
                self.wait_for(1, client=reader)
            reader.list()
            reader.close()
        self.assertEqual(self.client.append("s", b"nobody waits"), 0)
        self.assertEqual(self.client.read("s")[0]["payload"], b"nobody waits")

    def test_retention_moves_a_waiting_read_up(self):
        self.client.create("ring", w.OVERWRITE_OLDEST_DATA, maxSize=4096, streamSegmentSize=1024)
        read = self.client.submit(w.READ, {"streamName": "ring", "readMessagesOptions": {
            "minMessageCount": 15, "maxMessageCount": 15, "readTimeoutMillis": 30_000}})
        for number in range(200):
            self.other.append("ring", b"%0100d" % number)
        messages = self.client.collect(read)["messages"]
        self.assertEqual(len(messages), 15)
        for message in messages:
            self.assertEqual(message["payload"], b"%0100d" % message["sequenceNumber"])

    def test_stopping_answers_the_waiting_reads(self):
        reads = [self.wait_for(1) for _ in range(5)]
        self.client.list()
        self.weir.process.terminate()
        for read in reads:
            self.assertEqual(self.client.collect(read)["status"], w.SERVER_TIMEOUT)
        self.client.wire.expect_close()
        self.assertEqual(self.weir.process.wait(30), 0)
        self.weir.forget_process()


if __name__ == "__main__":
    unittest.main()
