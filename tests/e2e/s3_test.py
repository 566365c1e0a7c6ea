"""S3 exports against Debian's Swift with s3api: files become objects, tasks get one completed status."""

import json
import os
import pathlib
import subprocess
import threading
import unittest
import urllib.request

import wrong_clock
from sinks import impatient
from swift import KEY_ID, REGION, Gate, Swift
from weir_client import Client, Refused
from weir_server import AWS_SECRET, DEADLINE_S, ROOT, SANITIZED, Weir, eventually, weir_command

HERE = pathlib.Path(__file__).parent
MIB = 1 << 20
SUCCESS, FAILURE, IN_PROGRESS, WARNING, CANCELED = range(5)
INFO, TRACE = 2, 4


def executor(level=INFO, **members):
    return {"s3TaskExecutor": [{"identifier": "s3", "statusConfig": {
        "statusLevel": level, "statusStreamName": "status"}, **members}]}


class S3Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swift = Swift.of_this_process()
        cls.swift.bucket("bucket")

    def start(self, url=None, options=(), **s3):
        config = impatient(stall_timeout_ms=30_000)
        config["export"]["options"] = list(options)
        config["export"]["s3"] = {"part_bytes_min": 5 * MIB, **s3}
        self.weir = Weir(config, env={
            "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": url or self.swift.url,
            "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": AWS_SECRET})
        self.files = self.weir.directory / "outbox"
        self.files.mkdir()
        self.weir.config["export"]["s3"].setdefault("input_directories", str(self.files))
        self.enterContext(self.weir)
        self.client = Client(self.weir.port)
        self.addCleanup(lambda: self.client.close())
        self.client.create("status")

    def file(self, name, size, seed=b"weir"):
        content = (seed * (size // len(seed) + 1))[:size]
        (self.files / name).write_bytes(content)
        return content

    def task(self, name, key, bucket="bucket", stream="uploads", **members):
        document = {"inputUrl": f"file:{self.files / name}", "bucket": bucket, "key": key, **members}
        return self.client.append(stream, json.dumps(document).encode())

    def statuses(self, sequence, stream="uploads"):
        told = [json.loads(m["payload"]) for m in self.client.read_all("status")]
        return [m for m in told if m["statusContext"]["streamName"] == stream
                and m["statusContext"]["sequenceNumber"] == sequence]

    def ended(self, sequence, stream="uploads"):
        """Waits for the end of a task; returns the statuses as numbers."""
        def end():
            told = self.statuses(sequence, stream)
            return told if any(m["status"] in (SUCCESS, FAILURE, CANCELED) for m in told) else None
        return [m["status"] for m in eventually(f"task {sequence} has ended", end)]

    # -- objects

    def test_files_become_objects_in_order(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor(TRACE))
        small = self.file("small", 1000)
        large = self.file("large", 12 * MIB)
        self.file("empty", 0)
        self.task("small", "a b/c+d=é!'()/!{timestamp:yyyy}", userMetadata={"Site": "plant-7"})
        self.task("large", "large")
        self.task("empty", "empty")
        self.assertEqual(self.ended(2), [IN_PROGRESS, SUCCESS])
        self.assertEqual(self.ended(1), [IN_PROGRESS] * 4 + [SUCCESS])
        year = self.swift.keys("bucket")[0].rpartition("/")[2]
        self.assertRegex(year, r"^20\d\d$")
        key = f"a b/c+d=é!'()/{year}"
        self.assertEqual(self.swift.object("bucket", key), small)
        self.assertEqual(self.swift.client.head_object(Bucket="bucket", Key=key)["Metadata"],
                         {"site": "plant-7"})
        self.assertEqual(self.swift.object("bucket", "large"), large)
        self.assertEqual(self.swift.object("bucket", "empty"), b"")
        self.assertEqual(self.client.describe("uploads")["exportStatuses"][0]["lastExportedSequenceNumber"], 2)

    def test_bad_tasks_fail_and_the_next_one_goes_on(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        self.file("good", 10)
        os.mkfifo(self.files / "fifo")
        (self.files / "link").symlink_to("/etc/hostname")
        self.client.append("uploads", b"this is no JSON")
        self.task("missing", "k")
        self.task("good", "k", bucket="no-such-bucket")
        self.task("good", "!{timestamp:b}")
        self.task("fifo", "k")
        self.task("link", "k")
        self.task("../secret", "k")
        self.client.append("uploads", json.dumps(
            {"inputUrl": "file:/etc/hostname", "bucket": "bucket", "key": "leak"}).encode())
        self.task("good", "good")
        self.assertEqual(self.ended(8), [IN_PROGRESS, SUCCESS])
        for sequence in range(8):
            self.assertEqual(self.ended(sequence)[-1], FAILURE, sequence)
            self.assertTrue(self.statuses(sequence)[-1]["message"])
        self.assertNotIn("s3ExportTaskDefinition", self.statuses(0)[0]["statusContext"])
        self.assertEqual(self.statuses(1)[0]["statusContext"]["s3ExportTaskDefinition"]["key"], "k")
        self.assertIn("NoSuchBucket", self.statuses(2)[-1]["message"])
        self.assertNotIn("leak", self.swift.keys("bucket"))

    def test_the_longest_key_in_characters_of_nine(self):
        key = "é" * 512  # 1,024 bytes, 3,072 in an address
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        small = self.file("small", 1000)
        self.task("small", key)
        self.assertEqual(self.ended(0), [IN_PROGRESS, SUCCESS])
        self.assertEqual(self.swift.object("bucket", key), small)

    def test_the_longest_key_and_a_long_id_in_parts(self):
        # Swift names its parts by the key and has no room for that behind one of 1,024 bytes.
        answers = {
            "create": (200, b"<InitiateMultipartUploadResult><UploadId>" + b"+" * 600 +
                       b"</UploadId></InitiateMultipartUploadResult>"),
            "part": (200, b"", {"ETag": '"x"'}),
            "complete": (200, b"<CompleteMultipartUploadResult><ETag>x</ETag>"
                         b"</CompleteMultipartUploadResult>")}
        with Gate(self.swift) as gate:
            gate.before = answers.get
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            self.file("large", 6 * MIB)
            self.task("large", "é" * 512)
            self.assertEqual(self.ended(0), [IN_PROGRESS, SUCCESS])
            self.assertEqual(gate.seen, ["create", "part", "part", "complete"])

    def test_metadata_may_be_blank(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        self.file("small", 10)
        for number, value in enumerate(("", " ", "  a   b ")):
            with self.subTest(value):
                self.task("small", f"blank/{number}", userMetadata={"note": value, "site": "7"})
                self.assertEqual(self.ended(number), [IN_PROGRESS, SUCCESS])
                kept = self.swift.client.head_object(Bucket="bucket", Key=f"blank/{number}")["Metadata"]
                self.assertEqual(kept.get("note", "").split(), value.split())
                self.assertEqual(kept["site"], "7")

    def test_two_streams_that_are_each_others_status_stream_come_to_an_end(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        back = executor()
        back["s3TaskExecutor"][0]["statusConfig"]["statusStreamName"] = "uploads"
        self.client.update("status", exportDefinition=back)
        self.client.append("uploads", b"this is no JSON")
        eventually("its status was looked at", lambda: self.client.describe("status")["exportStatuses"][0][
            "lastExportedSequenceNumber"] == 0)
        self.assertEqual([m["status"] for m in self.statuses(0)], [FAILURE])
        self.assertEqual(len(self.client.read_all("status")), 1)
        self.assertEqual(len(self.client.read_all("uploads")), 1)

    def test_a_file_that_becomes_a_secret_is_read_by_no_task(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        self.file("token", 10)
        self.file("other", 10)
        self.weir.config["additions"] = [{
            "on_streams": "none", "type": "http", "identifier": "h", "uri": "http://127.0.0.1:9/",
            "http": {"bearer_token_file": str(self.files / "token")}}]
        self.weir.config_file()
        ran = weir_command("reload", "--admin-port", self.weir.admin_port,
                           "--admin-token-file", str(self.weir.store / "admin-token"))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.task("token", "leak")
        self.task("other", "other")
        self.assertEqual(self.ended(1), [IN_PROGRESS, SUCCESS])
        self.assertEqual(self.ended(0)[-1], FAILURE)
        self.assertNotIn("leak", self.swift.keys("bucket"))

    def test_streams_side_by_side(self):
        self.start()
        for name in ("one", "two", "three"):
            self.client.create(name, exportDefinition=executor())
            self.file(name, 6 * MIB, name.encode())
        for name in ("one", "two", "three"):
            self.task(name, f"side/{name}", stream=name)
        for name in ("one", "two", "three"):
            self.assertEqual(self.ended(0, name), [IN_PROGRESS, SUCCESS])
            self.assertTrue(self.swift.object("bucket", f"side/{name}").startswith(name.encode()))

    def test_a_sparse_file_needs_no_memory(self):
        self.start()
        with open(self.files / "sparse", "wb") as sparse:
            sparse.truncate(200 * MIB)
        self.client.create("uploads", exportDefinition=executor())
        before = self.weir.rss_bytes()
        peak = before
        self.task("sparse", "sparse")
        def done():
            nonlocal peak
            peak = max(peak, self.weir.rss_bytes())
            return any(m["status"] == SUCCESS for m in self.statuses(0))
        eventually("the sparse file is uploaded", done, 120)
        if not SANITIZED:  # a sanitizer keeps what was freed
            self.assertLess(peak - before, 16 * MIB)
        self.assertEqual(self.swift.client.head_object(Bucket="bucket", Key="sparse")["ContentLength"],
                         200 * MIB)

    def test_a_file_that_is_written_to_becomes_what_it_was_at_one_moment(self):
        slow_down = (503, b"<Error><Code>SlowDown</Code></Error>")
        with Gate(self.swift) as gate:
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            content = self.file("log", 12 * MIB)
            def grow(name):
                with open(self.files / "log", "ab") as log:
                    log.write(b"one more line\n")
                return slow_down if gate.seen.count(name) % 2 else None
            gate.before = grow
            self.task("log", "moment/log")
            self.assertEqual(self.ended(0), [IN_PROGRESS, SUCCESS])
            self.assertEqual(gate.seen.count("create"), 2, "the one that was refused, and one")
            self.assertEqual(self.swift.object("bucket", "moment/log"), content)

            self.file("video", 12 * MIB, b"A")
            gate.seen.clear()
            def rewrite(_):
                if gate.seen.count("part") == 2:
                    with open(self.files / "video", "r+b") as video:
                        video.write(b"B" * 12 * MIB)
            gate.before = rewrite
            self.task("video", "moment/video")
            self.assertEqual(self.ended(1), [IN_PROGRESS, SUCCESS])
            self.assertEqual(self.swift.object("bucket", "moment/video"), b"B" * 12 * MIB)

    def test_the_threshold_is_not_below_the_size_of_parts(self):
        self.start(part_bytes_min=8 * MIB)
        with self.assertRaises(Refused) as refused:
            self.client.create("uploads", exportDefinition=executor(
                sizeThresholdForMultipartUploadBytes=6 * MIB))
        self.assertEqual(refused.exception.status, 3)
        self.assertIn("sizeThresholdForMultipartUploadBytes", refused.exception.text)
        self.client.create("uploads", exportDefinition=executor(
            sizeThresholdForMultipartUploadBytes=8 * MIB))

    def test_removal_cancels_what_is_left(self):
        with Gate(self.swift) as gate:
            gate.before = lambda name: (503, b"<Error><Code>SlowDown</Code></Error>") if name == "complete" else None
            self.start(gate.url)
            self.file("large", 6 * MIB)
            self.file("small", 10)
            for number, remove in enumerate((
                    lambda name: self.client.delete(name),
                    lambda name: self.client.update(name))):
                with self.subTest(number):
                    name = f"uploads-{number}"
                    self.client.create(name, exportDefinition=executor())
                    self.task("large", f"canceled-{number}", stream=name)
                    self.task("small", f"never-{number}", stream=name)
                    eventually("its parts are there", lambda: "complete" in gate.seen)
                    remove(name)
                    self.assertEqual(self.ended(0, name), [IN_PROGRESS, CANCELED])
                    self.assertEqual(self.ended(1, name), [CANCELED])
                    eventually("the upload is aborted", lambda: not [
                        u for u in self.swift.uploads("bucket") if u["Key"] == f"canceled-{number}"])
                    gate.seen.clear()
            self.assertFalse([k for k in self.swift.keys("bucket") if k.startswith(("canceled", "never"))])

    def slow_to_complete(self, gate):
        gate.before = lambda name: (503, b"<Error><Code>SlowDown</Code></Error>") if name == "complete" else None

    def under_way(self, gate, key):
        """A task whose parts are all there and which S3 does not let end."""
        self.file("large", 6 * MIB)
        self.file("small", 10)
        self.task("large", key)
        eventually("its parts are there", lambda: "complete" in gate.seen)

    def aborted(self, key):
        eventually("the upload is aborted",
                   lambda: not [u for u in self.swift.uploads("bucket") if u["Key"] == key])

    def canceled_after_a_stop(self, remove):
        with Gate(self.swift) as gate:
            self.slow_to_complete(gate)
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            self.under_way(gate, "stopped")
            document = json.dumps({"inputUrl": f"file:{self.files / 'small'}", "bucket": "bucket", "key": "k"})
            self.client.append_all("uploads", [document.encode()] * 300)
            remove()
            self.client.close()
            self.weir.stop()
            self.assertEqual([u for u in self.swift.uploads("bucket") if u["Key"] == "stopped"], [])
            self.weir.start()
            self.client = Client(self.weir.port)
            told = [json.loads(m["payload"]) for m in self.client.read_all("status")]
            self.assertEqual([m["status"] for m in told], [IN_PROGRESS] + [CANCELED] * 301)
            self.assertEqual([m["statusContext"]["sequenceNumber"] for m in told], [0, *range(301)])

    def test_a_stop_right_after_a_delete_tells_of_all(self):
        self.canceled_after_a_stop(lambda: self.client.delete("uploads"))

    def test_a_stop_right_after_an_update_tells_of_all(self):
        self.canceled_after_a_stop(lambda: self.client.update("uploads"))

    def test_of_many_and_large_tasks_the_one_under_way_and_the_newest_are_told(self):
        with Gate(self.swift) as gate:
            self.slow_to_complete(gate)
            self.start(gate.url)
            for number, (count, pad) in enumerate(((1100, ""), (400, "x" * 30_000))):
                name = f"many-{number}"
                self.client.create(name, exportDefinition=executor())
                self.file("large", 6 * MIB)
                gate.seen.clear()
                self.task("large", f"many-{number}", stream=name)
                eventually("its parts are there", lambda: "complete" in gate.seen)
                document = json.dumps({"inputUrl": f"file:{self.files / 'large'}", "bucket": "bucket",
                                       "key": "k", "pad": pad})
                self.client.append_all(name, [document.encode()] * count)
                self.client.delete(name)
                self.assertEqual(self.ended(count, name), [CANCELED])
                self.assertEqual(self.ended(0, name), [IN_PROGRESS, CANCELED])
                told = sum(m["statusContext"]["streamName"] == name and m["status"] == CANCELED
                           for m in (json.loads(m["payload"]) for m in self.client.read_all("status")))
                self.assertEqual(told, min(count, 1000) + 1)
            self.assertIn("tasks=100", self.weir.log())

    def test_an_export_that_comes_back_begins_behind_its_farewell(self):
        with Gate(self.swift) as gate:
            self.slow_to_complete(gate)
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            self.under_way(gate, "back")
            may_abort = threading.Event()
            self.addCleanup(may_abort.set)
            def before(name):
                if name == "abort":
                    may_abort.wait(DEADLINE_S)
            gate.before = before
            self.client.update("uploads")
            self.client.update("uploads", exportDefinition=executor())
            eventually("the farewell is under way", lambda: "abort" in gate.seen)
            begun = gate.seen.count("create")
            may_abort.set()
            eventually("the task is done anew", lambda: [m["status"] for m in self.statuses(0)]
                       == [IN_PROGRESS, CANCELED, IN_PROGRESS, SUCCESS])
            self.assertEqual(gate.seen.count("create"), begun + 1)
            self.aborted("back")

    def test_retention_cancels_the_task_under_way(self):
        with Gate(self.swift) as gate:
            self.slow_to_complete(gate)
            self.start(gate.url)
            self.client.create("uploads", maxSize=1 << 20, streamSegmentSize=1 << 18,
                               exportDefinition=executor())
            self.under_way(gate, "overwritten")
            document = json.dumps({"inputUrl": f"file:{self.files / 'small'}", "bucket": "bucket",
                                   "key": "newer", "pad": "x" * 30_000})
            self.client.append_all("uploads", [document.encode()] * 60)
            self.assertEqual(self.ended(60), [IN_PROGRESS, SUCCESS])
            self.assertEqual(self.ended(0), [IN_PROGRESS, CANCELED])
            self.aborted("overwritten")

    def test_what_is_led_elsewhere_is_ended_where_it_was(self):
        with Gate(self.swift) as gate:
            self.slow_to_complete(gate)
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            self.under_way(gate, "elsewhere")
            out = self.weir.directory / "out"
            self.weir.config["redirects"] = [{"match": {"stream": "uploads"},
                                              "to": {"type": "file", "directory": str(out)}}]
            self.weir.config_file()
            done = weir_command("reload", "--admin-port", self.weir.admin_port)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.ended(0), [IN_PROGRESS, CANCELED])
            self.aborted("elsewhere")
            eventually("the task's message is in the other place", lambda: out.is_dir() and list(out.iterdir()))

    # -- what a person asks

    def failure_class(self, stream):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/status") as answer:
            return next(row for row in json.load(answer)["streams"] if row["name"] == stream)["exports"][0]["failure_class"]

    def order(self, *words, status=0):
        done = weir_command("export", *words, "--admin-port", self.weir.admin_port,
                            env={"STREAM_MANAGER_SERVER_PORT": str(self.weir.port)})
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))

    def test_going_back_does_tasks_again_whatever_was_before(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        self.file("small", 10)
        def told(sequence):
            return [m["status"] for m in self.statuses(sequence)]
        for number in range(3):
            self.task("small", f"again/{number}")
        self.ended(2)
        for times in range(2, 6):
            self.client.close()
            self.weir.restart()
            self.client = Client(self.weir.port)
            self.order("rewind", "uploads", "s3", "--to", "0", "--yes")
            for number in range(3):
                eventually(f"task {number} was done {times} times",
                           lambda n=number: told(n) == [IN_PROGRESS, SUCCESS] * times)

    def test_a_task_that_failed_is_done_again_by_a_rewind(self):
        self.start()
        self.client.create("uploads", exportDefinition=executor())
        self.task("late", "late-again")
        self.assertEqual(self.ended(0), [FAILURE])
        content = self.file("late", 10)
        self.order("rewind", "uploads", "s3", "--to", "0", "--yes")
        eventually("it succeeds", lambda: [m["status"] for m in self.statuses(0)]
                   == [FAILURE, IN_PROGRESS, SUCCESS])
        self.assertEqual(self.swift.object("bucket", "late-again"), content)

    def test_a_task_that_blocks_is_done_again_when_somebody_asks(self):
        self.start(options=[{"stream": "*", "poison": "block"}])
        self.client.create("uploads", exportDefinition=executor())
        self.file("small", 10)
        for number, order in enumerate((("retry-now", "uploads", "s3"),
                                        ("rewind", "uploads", "s3", "--to", "2", "--yes"))):
            self.task(f"late-{number}", f"blocked/{number}")
            self.task("small", f"behind/{number}")
            self.assertEqual(self.ended(2 * number), [FAILURE])
            self.client.close()
            self.weir.restart()
            self.client = Client(self.weir.port)
            eventually("it blocks still", lambda: self.failure_class("uploads") == "operator")
            self.assertIn("blocks the export",
                          self.client.describe("uploads")["exportStatuses"][0]["errorMessage"])
            self.assertEqual(self.statuses(2 * number + 1), [])
            self.file(f"late-{number}", 10)
            self.order(*order)
            self.assertEqual(self.ended(2 * number + 1), [IN_PROGRESS, SUCCESS])
            self.assertEqual([m["status"] for m in self.statuses(2 * number)],
                             [FAILURE, IN_PROGRESS, SUCCESS])

    # -- the network and the clock

    def test_trouble_at_s3_only_delays(self):
        with Gate(self.swift) as gate:
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor(3))
            large = self.file("large", 11 * MIB)
            slow_down = (503, b"<Error><Code>SlowDown</Code></Error>")
            late = (200, b" \n <Error><Code>InternalError</Code></Error>")
            faults = {"create": [slow_down], "part": [None, slow_down], "complete": [late, slow_down]}
            gate.before = lambda name: faults[name].pop(0) if faults.get(name) else None
            self.task("large", "troubled")
            told = self.ended(0)
            self.assertEqual((told[0], told[-1]), (IN_PROGRESS, SUCCESS))
            self.assertEqual(self.swift.object("bucket", "troubled"), large)
            self.assertEqual(gate.seen.count("create"), 2)

    def test_killed_in_every_phase_of_an_upload(self):
        with Gate(self.swift) as gate:
            self.start(gate.url)
            self.client.create("uploads", exportDefinition=executor())
            content = self.file("large", 11 * MIB)
            phases = [("create", 1), ("part", 1), ("part", 2), ("part", 3), ("complete", 1)]
            sequence = 0
            for name, nth in phases:
                for moment in ("before", "after"):
                    with self.subTest(phase=name, nth=nth, moment=moment):
                        self.kill_at(gate, moment, name, nth)
                        key = f"killed/{name}-{nth}-{moment}"
                        self.task("large", key)
                        self.assertTrue(self.dead.wait(DEADLINE_S))
                        self.client.close()
                        self.weir.kill()
                        self.weir.start()
                        self.client = Client(self.weir.port)
                        told = self.ended(sequence)
                        self.assertEqual(told[-1], SUCCESS)
                        self.assertEqual(told.count(SUCCESS), 1)
                        self.assertEqual(self.swift.object("bucket", key), content)
                        sequence += 1
            for done in range(sequence):
                ends = [m["status"] for m in self.statuses(done) if m["status"] != IN_PROGRESS]
                self.assertEqual(ends, [SUCCESS], done)
            self.assertEqual(self.uploads_left(), [])

    def uploads_left(self):
        # A create whose answer was lost leaves an upload that nobody knows the id of.
        return [u["Key"] for u in self.swift.uploads("bucket")
                if u["Key"].startswith("killed/") and u["Key"] != "killed/create-1-after"]

    def kill_at(self, gate, moment, name, nth):
        count = 0
        self.dead = threading.Event()
        def at(operation):
            nonlocal count
            if operation != name or self.dead.is_set():
                return None
            count += 1
            if count == nth:
                self.weir.process.kill()
                self.weir.process.wait(30)
                self.dead.set()
                # It never arrived, or its answer is lost.
                return (503, b"") if moment == "before" else None
            return None
        gate.before = at if moment == "before" else lambda _: None
        gate.after = at if moment == "after" else lambda _: None

    def test_a_wrong_clock_is_corrected(self):
        self.start()
        self.client.close()
        self.weir.stop()
        self.weir.env |= wrong_clock.environment("+20m")
        self.weir.start()
        self.client = Client(self.weir.port)
        self.client.create("uploads", exportDefinition=executor())
        content = self.file("late", 100)
        self.task("late", "late")
        self.assertEqual(self.ended(0), [IN_PROGRESS, SUCCESS])
        self.assertEqual(self.swift.object("bucket", "late"), content)

    # -- the official SDK

    def test_statuses_as_the_sdk_reads_them(self):
        self.start()
        self.file("good", 10)
        env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        env["NODE_PATH"] = str(ROOT / "build" / "npm" / "node_modules")
        env["S3_FILES"] = str(self.files)
        done = subprocess.run(["node", str(HERE / "sdk.js"), str(self.weir.port), "statuses_of_uploads"],
                              env=env, capture_output=True, text=True, timeout=DEADLINE_S * 3)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
