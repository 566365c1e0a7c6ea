"""The Kinesis Firehose connector: MQTT in (a real mosquitto), Firehose out (the recorder), every record answered."""

import base64
import json
import signal
import threading
import unittest
import urllib.request

from broker import Broker, Requester
from sinks import Recorder, aws_environment, impatient
from weir_server import Weir, eventually, weir_command

ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/%s"
STATUS = "kinesisfirehose/message/status"


class ConnectorCase(unittest.TestCase):
    def begin(self, broker=None, recorder=None, streams=(), env=None, **settings):
        self.broker = broker or self.enterContext(Broker())
        self.recorder = recorder or self.enterContext(Recorder(*streams))
        self.weir = self.enterContext(Weir(self.config(**settings), env=aws_environment(
            self.recorder.url, AWS_ENDPOINT_URL=self.recorder.url, **(env or {}))))
        self.connected()
        self.requester = self.enterContext(Requester(self.broker))

    def config(self, **settings):
        connector = {"type": "firehose", "broker": self.broker.url, "default_delivery_stream_arn": ARN % "lake",
                     "publish_interval_s": 0, **settings}
        return {**impatient(), "store": {"sync_interval_ms": 10},
                "connectors": [{key: value for key, value in connector.items() if value is not None}]}

    def status(self, index=0):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/status", timeout=30) as answer:
            return json.load(answer)["connectors"][index]

    def connected(self):
        eventually("the connector is connected", lambda: self.status()["state"] == "connected")

    def metric(self, name):
        """All series of a metric: {labels: value}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {line[len(name):].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if line.startswith(name + "{")}

    def records(self, stream="lake"):
        return [base64.b64decode(record["data"]) for record in self.recorder.order("records")
                if record["stream"] == stream]

    def no_problems(self):
        self.assertEqual([(call["number"], call["problems"]) for call in self.recorder.calls() if call["problems"]], [])


def success(record, request_id):
    return b'{"firehose_record_id":"%s","id":"%s","status":"success"}' % (record.encode(), request_id.encode())


class MessagesTest(ConnectorCase):
    def test_answers_of_versions_2_to_5_byte_for_byte(self):
        for version in (2, 3, 4, 5):
            with self.subTest(version=version):
                self.begin(version=version, streams=("lake",))
                self.requester.ask("r-17", "some text")
                self.requester.answer("r-17")
                self.requester.ask("r-18", "more", arn=ARN % "missing")
                self.requester.answer("r-18")
                self.assertEqual(self.requester.messages, [
                    b'{"response":[' + success("record-1", "r-17") + b"]}",
                    b'{"response":[{"ErrorCode":"ResourceNotFoundException","ErrorMessage":"Firehose missing not '
                    b'found under account 000000000000.","id":"r-18","status":"fail"}]}'])
                self.assertEqual(self.records(), [b"some text"])
                self.no_problems()
                self.doCleanups()

    def test_answers_of_version_1_byte_for_byte(self):
        self.begin(version=1, publish_interval_s=None, streams=("lake",))
        self.requester.ask("r-17", "some text")
        self.requester.answer("r-17")
        self.requester.ask("r-18", "more", arn=ARN % "missing")
        self.requester.answer("r-18")
        self.requester.publish("kinesisfirehose/message", b"no JSON")
        self.requester.answer("")
        self.assertEqual(self.requester.messages, [
            b'{"response":{"firehose_record_id":"record-1","status":"success"},"id":"r-17"}',
            b'{"response":{"error":"ResourceNotFoundException","error_message":"Firehose missing not found under '
            b'account 000000000000.","status":"fail"},"id":"r-18"}',
            b'{"response":{"error":"InvalidRequest","error_message":"the message is not a JSON object",'
            b'"status":"fail"},"id":""}'])
        self.assertEqual({call["operation"] for call in self.recorder.calls()}, {"PutRecord"})

    def test_binary_data_is_sent_as_it_is(self):
        self.begin()
        payloads = {"r-1": b"\x00\xff\xfe not text \x80", "a/b c": b"second", "": b"no id"}
        for request_id, payload in payloads.items():
            self.requester.publish(f"kinesisfirehose/message/binary/{request_id}", payload)
            self.requester.answer(request_id)
        self.assertEqual(self.records(), list(payloads.values()))
        self.assertTrue(all(entry["status"] == "success" for entry in self.requester.entries()))

    def test_a_batch_is_one_call_and_one_answer(self):
        self.begin(publish_interval_s=1)
        ids = [f"r-{number}" for number in range(20)]
        for request_id in ids:
            self.requester.ask(request_id, "text " + request_id)
        self.requester.answers(*ids)
        # A second may have begun among them.
        self.assertLessEqual(len(self.requester.messages), 2)
        self.assertEqual([entry["id"] for entry in self.requester.entries()], ids)
        self.assertEqual({call["operation"] for call in self.recorder.calls()}, {"PutRecordBatch"})
        self.assertEqual(self.records(), [b"text " + request_id.encode() for request_id in ids])

    def test_the_region_follows_the_arn(self):
        self.begin(recorder=self.enterContext(Recorder(region="eu-central-1")))
        self.requester.ask("there", "x", arn=(ARN % "lake").replace("us-east-1", "eu-central-1"))
        self.assertEqual(self.requester.answer("there")["status"], "success")
        self.no_problems()

    def test_two_connectors_have_their_own_topics(self):
        self.broker, self.recorder = self.enterContext(Broker()), self.enterContext(Recorder())
        config = self.config()
        config["connectors"].append({
            **config["connectors"][0], "name": "second", "version": 1, "message_topic": "two/in",
            "binary_topic": "two/raw/#", "status_topic": "two/out", "default_delivery_stream_arn": ARN % "pond"})
        self.weir = self.enterContext(Weir(config, env=aws_environment(
            self.recorder.url, AWS_ENDPOINT_URL=self.recorder.url)))
        for index in (0, 1):
            eventually("it is connected", lambda index=index: self.status(index)["state"] == "connected")
        first = self.enterContext(Requester(self.broker))
        second = self.enterContext(Requester(self.broker, status="two/out", name="other"))
        first.ask("one", "1")
        second.ask("two", "2", topic="two/in")
        second.publish("two/raw/three", b"3")
        self.assertEqual(first.answer("one")["status"], "success")
        second.answers("two", "three")
        self.assertEqual((self.records("lake"), sorted(self.records("pond"))), ([b"1"], [b"2", b"3"]))
        self.assertEqual((first.times_answered(), second.times_answered()), ({"one": 1}, {"two": 1, "three": 1}))


class BadInputTest(ConnectorCase):
    MESSAGE = "kinesisfirehose/message"
    CASES = (  # topic, payload, reason in the metric, id in the answer, what it says
        (MESSAGE, b"this is no JSON", "not_json", "", "not a JSON object"),
        (MESSAGE, b"[1,2]", "not_json", "", "not a JSON object"),
        (MESSAGE, b"", "not_json", "", "not a JSON object"),
        (MESSAGE, b'{"id":"b-1"}', "no_data", "b-1", "there is no request"),
        (MESSAGE, b'{"request":{},"id":"b-2"}', "no_data", "b-2", "there is no request.data"),
        (MESSAGE, b'{"request":"x","id":"b-3"}', "not_json", "b-3", "request is not an object"),
        (MESSAGE, b'{"request":{"data":17},"id":"b-4"}', "data_type", "b-4", "request.data is not a text"),
        (MESSAGE, b'{"request":{"data":{"a":[1]}},"id":"b-5"}', "data_type", "b-5", "request.data is not a text"),
        (MESSAGE, b'{"request":{"data":"x","delivery_stream_arn":"arn:aws:kinesis:x"},"id":"b-6"}', "bad_arn", "b-6",
         "ARN"),
        (MESSAGE, b'{"request":{"data":"x","delivery_stream_arn":7},"id":"b-7"}', "bad_arn", "b-7", "not a text"),
        (MESSAGE, b'{"request":{"data":"x"},"id":17}', "bad_id", "", "the id is not a text"),
        (MESSAGE, b'{"request":{"data":"x"},"id":"' + b"i" * 65536 + b'"}', "id_too_long", "i" * 65536,
         "the id has 65536 bytes"),
        (MESSAGE, b'{"request":{"data":"\xff\xfe"},"id":"b-8"}', "invalid_utf8", "b-8", "not valid UTF-8"),
        (MESSAGE, b'{"request":{"data":"\\ud800"},"id":"b-9"}', "not_json", None, "not a JSON object"),
        (MESSAGE, b'{"request":{"data":""},"id":"b-10"}', "empty", "b-10", "the record would be empty"),
        (MESSAGE, b'{"request":{"data":"' + b"x" * 1_024_001 + b'"},"id":"b-11"}', "too_large", "b-11",
         "the record has 1024001 bytes"),
        (MESSAGE + "/binary/b-12", b"", "empty", "b-12", "the record would be empty"),
        (MESSAGE + "/binary/b-13", b"x" * 1_024_001, "too_large", "b-13", "at most 1024000"),
        (MESSAGE + "/binary/" + "t" * 5000, b"x", "id_too_long", "t" * 5000, "the id has 5000 bytes"),
        (MESSAGE + "/binary", b"x", "unknown_topic", "", "followed by an id or by nothing"),
    )

    def test_every_kind_is_answered_counted_logged_and_the_next_one_flows(self):
        self.begin()
        for number, (topic, payload, reason, request_id, words) in enumerate(self.CASES):
            with self.subTest(payload=payload[:60], topic=topic[:60]):
                before = self.metric("weir_connector_refused_messages_total")
                series = f'{{connector="firehose",reason="{reason}"}}'
                seen = len(self.requester.messages)
                self.requester.publish(topic, payload)
                eventually("an answer", lambda seen=seen: len(self.requester.messages) > seen)
                entry = self.requester.entries()[seen]
                self.assertEqual((entry["status"], entry["ErrorCode"]), ("fail", "InvalidRequest"))
                self.assertIn(words, entry["ErrorMessage"])
                if request_id is not None:
                    self.assertEqual(entry["id"], request_id)
                self.assertEqual(self.metric("weir_connector_refused_messages_total")[series],
                                 before.get(series, 0) + 1)
                self.requester.ask(f"next-{number}", "fine")
                self.assertEqual(self.requester.answer(f"next-{number}")["status"], "success")
        self.assertEqual(self.records(), [b"fine"] * len(self.CASES))
        self.assertIn("A message was refused.", self.weir.log())
        self.no_problems()

    def test_what_is_just_small_enough_is_taken(self):
        self.begin()
        largest = {"l-1": b"x" * 1_024_000, "l-2": b"\x00" * 1_024_000, "i" * 4096: b"x"}
        for request_id, payload in largest.items():
            self.requester.publish("kinesisfirehose/message/binary/" + request_id, payload)
        self.requester.ask("l-3", "y" * 1_024_000)
        # Every byte of it escaped: six times as long on the way.
        escaped = b'{"request":{"data":"' + b"\\u0001" * 1_024_000 + b'"},"id":"l-4"}'
        self.requester.publish("kinesisfirehose/message", escaped)
        answers = self.requester.answers(*largest, "l-3", "l-4")
        self.assertEqual({entry["status"] for entry in answers.values()}, {"success"})
        self.assertEqual(self.records(), [*largest.values(), b"y" * 1_024_000, b"\x01" * 1_024_000])
        self.no_problems()

    def test_a_message_far_too_large_does_not_stand_in_the_way(self):
        for mqtt_version in ("5", "3.1.1"):
            with self.subTest(mqtt_version=mqtt_version):
                self.begin(mqtt_version=mqtt_version)
                self.requester.publish("kinesisfirehose/message/binary/huge", b"x" * (9 << 20))
                self.requester.ask("next", "fine")
                self.assertEqual(self.requester.answer("next")["status"], "success")
                if mqtt_version == "3.1.1":  # of MQTT 5, the broker does not even send it
                    self.assertEqual(self.requester.answer("huge")["ErrorCode"], "InvalidRequest")
                self.assertEqual(self.records(), [b"fine"])
                self.doCleanups()

    def test_a_retained_message_is_taken_like_any_other(self):
        broker = self.enterContext(Broker())
        with Requester(broker, listen=False, name="before") as before:
            before.publish("kinesisfirehose/message/binary/kept", b"from before", retain=True)
        self.begin(broker=broker)
        eventually("it is stored", lambda: self.records() == [b"from before"])
        self.assertEqual(self.metric("weir_connector_messages_total")['{connector="firehose",kind="retained"}'], 1)


class FirehoseFailuresTest(ConnectorCase):
    def freeze(self):
        self.recorder.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.thaw)

    def thaw(self):
        self.recorder.process.send_signal(signal.SIGCONT)

    def ask_in_one_batch(self, ids):
        """They wait together for the end of a pause, so that one call has them all."""
        for request_id in ids:
            self.requester.ask(request_id, "data of " + request_id)

    def test_records_that_failed_alone_go_to_the_end_of_the_queue(self):
        self.begin(publish_interval_s=1)
        self.recorder.faults({"fail": [1]})
        ids = [f"r-{number}" for number in range(5)]
        self.ask_in_one_batch(ids)
        answers = self.requester.answers(*ids)
        self.assertEqual({entry["status"] for entry in answers.values()}, {"success"})
        self.assertEqual(sorted(self.records()), [b"data of " + i.encode() for i in ids])
        self.assertEqual(set(self.requester.times_answered().values()), {1})
        requeued = f'{{connector="firehose",arn="{ARN % "lake"}",result="requeued"}}'
        self.assertEqual(self.metric("weir_connector_records_total").get(requeued), 1)
        self.no_problems()

    def test_with_queue_order_keep_they_keep_their_place(self):
        self.begin(publish_interval_s=1, queue_order="keep")
        self.recorder.faults({"fail": [1]})
        ids = [f"r-{number}" for number in range(5)]
        self.ask_in_one_batch(ids)
        self.requester.answers(*ids)
        self.assertEqual(set(self.requester.times_answered().values()), {1})
        requeued = f'{{connector="firehose",arn="{ARN % "lake"}",result="requeued"}}'
        self.assertNotIn(requeued, self.metric("weir_connector_records_total"))

    def test_permanent_failures_are_answered_with_the_words_of_the_service(self):
        self.begin(publish_interval_s=1)
        self.recorder.order("poison", {"data": [base64.b64encode(b"data of r-2").decode()], "named": False})
        ids = [f"r-{number}" for number in range(4)]
        self.ask_in_one_batch(ids)
        answers = self.requester.answers(*ids)
        self.assertEqual({i: entry["status"] for i, entry in answers.items()},
                         {"r-0": "success", "r-1": "success", "r-2": "fail", "r-3": "success"})
        self.assertEqual((answers["r-2"]["ErrorCode"], answers["r-2"]["ErrorMessage"]),
                         ("InvalidArgumentException", "a record is refused by order of the test"))
        self.recorder.faults({"fail": [0], "code": "AccessDeniedException"})
        self.requester.ask("r-9", "not allowed")
        self.assertEqual(self.requester.answer("r-9")["ErrorCode"], "AccessDeniedException")

    def test_whole_calls_that_fail_for_a_while_are_repeated_and_nobody_is_told(self):
        self.begin(publish_interval_s=1)
        self.recorder.faults({"status": 503, "type": "ServiceUnavailableException"}, {"status": 500}, {"drop": "before"},
                             {"status": 400, "type": "ThrottlingException"}, {"half": True}, {"html": True},
                             {"count": -1}, {"status": 400, "type": "AccessDeniedException"},
                             {"fail": [0, 1, 2]})
        self.ask_in_one_batch(["r-0", "r-1", "r-2"])
        answers = self.requester.answers("r-0", "r-1", "r-2")
        self.assertEqual({entry["status"] for entry in answers.values()}, {"success"})
        self.assertEqual(set(self.requester.times_answered().values()), {1})
        self.assertEqual(list(dict.fromkeys(self.records())), [b"data of r-0", b"data of r-1", b"data of r-2"])

    def test_a_missing_delivery_stream_does_not_hold_up_the_default_one(self):
        self.begin(streams=("lake",))
        for number in range(10):
            self.requester.ask(f"bad-{number}", "x", arn=ARN % "missing")
            self.requester.ask(f"good-{number}", f"{number}")
        answers = self.requester.answers(*(f"{kind}-{n}" for kind in ("good", "bad") for n in range(10)))
        for request_id, entry in answers.items():
            if request_id.startswith("good"):
                self.assertEqual(entry["status"], "success")
            else:
                self.assertEqual(entry["ErrorCode"], "ResourceNotFoundException")
        self.assertEqual(self.records(), [b"%d" % n for n in range(10)])

    def test_a_full_queue_refuses_and_says_so(self):
        self.begin(queue_records_max=10)
        self.freeze()
        ids = [f"r-{number}" for number in range(15)]
        for request_id in ids:
            self.requester.ask(request_id, request_id)
        refused = self.requester.answers(*ids[10:])
        self.assertEqual({entry["ErrorCode"] for entry in refused.values()}, {"QueueFull"})
        self.requester.ask("elsewhere", "x", arn=ARN % "pond")  # has a queue of its own
        self.thaw()
        answers = self.requester.answers(*ids, "elsewhere")
        self.assertEqual([i for i in ids if answers[i]["status"] == "success"], ids[:10])
        self.assertEqual(self.records(), [i.encode() for i in ids[:10]])
        self.assertEqual(answers["elsewhere"]["status"], "success")
        self.requester.ask("later", "y")
        self.assertEqual(self.requester.answer("later")["status"], "success")

    def test_a_queue_full_of_bytes_refuses_too(self):
        self.begin(queue_bytes_max=2 << 20)
        self.freeze()
        for number in range(4):
            self.requester.publish(f"kinesisfirehose/message/binary/r-{number}", b"%d" % number * 900_000)
        refused = self.requester.answers("r-2", "r-3")
        self.assertEqual({entry["ErrorCode"] for entry in refused.values()}, {"QueueFull"})
        self.thaw()
        self.requester.answers("r-0", "r-1")
        self.assertEqual(len(self.records()), 2)


class BrokerTest(ConnectorCase):
    def test_tls_with_certificates_and_a_password(self):
        broker = self.enterContext(Broker(password="p4ssword-of-the-broker", tls=True))
        (broker.directory / "secret").write_text("p4ssword-of-the-broker\n")
        self.begin(broker=broker, user="weir", password_file=str(broker.directory / "secret"),
                   ca_file=str(broker.directory / "ca.pem"), certificate_file=str(broker.directory / "device.pem"),
                   key_file=str(broker.directory / "device.key"))
        self.requester.ask("r-1", "over TLS")
        self.assertEqual(self.requester.answer("r-1")["status"], "success")
        self.assertNotIn("p4ssword", self.weir.log())

    def test_a_wrong_password_is_said_in_words_and_can_be_replaced(self):
        self.broker = self.enterContext(Broker(password="right"))
        self.recorder = self.enterContext(Recorder())
        secret = self.broker.directory / "secret"
        secret.write_text("wrong")
        self.weir = self.enterContext(Weir(
            self.config(user="weir", password_file=str(secret)),
            env=aws_environment(self.recorder.url, AWS_ENDPOINT_URL=self.recorder.url)))
        eventually("it is refused", lambda: self.status()["state"] == "disconnected")
        self.assertIn("not authori", self.status()["reason"])
        shown = weir_command("status", "--all", "--admin-port", self.weir.admin_port).stdout
        self.assertIn(f"connector firehose (firehose, version 5), {self.broker.url}, MQTT 5\n  not connected: ", shown)
        secret.write_text("right")
        self.connected()

    def test_mqtt_3_1_1(self):
        self.begin(mqtt_version="3.1.1")
        self.requester.ask("r-1", "x")
        self.assertEqual(self.requester.answer("r-1")["status"], "success")
        self.assertEqual(self.status()["mqtt_version"], "3.1.1")

    def test_qos_0_works_too(self):
        self.begin()
        self.requester.ask("r-1", "x", qos=0)
        self.assertEqual(self.requester.answer("r-1")["status"], "success")

    def test_answers_that_the_broker_refuses_are_kept_and_explained(self):
        rules = ["topic readwrite kinesisfirehose/message", "topic readwrite kinesisfirehose/message/binary/#"]
        self.begin(broker=self.enterContext(Broker(acl=[*rules, f"topic read {STATUS}"])))
        self.requester.ask("r-1", "x")
        eventually("it is delivered", lambda: self.records() == [b"x"])
        eventually("it is explained", lambda: "not authori" in self.status()["reason"])
        self.assertIn("(0x87)", self.status()["reason"])
        self.assertIn(STATUS, self.status()["reason"])
        eventually("it is logged", lambda: "(0x87)" in self.weir.log())
        self.requester.ask("r-2", "y")  # deliveries go on
        eventually("it is delivered", lambda: self.records() == [b"x", b"y"])
        self.broker.write_acl([*rules, f"topic readwrite {STATUS}"])
        self.broker.reload()
        answers = self.requester.answers("r-1", "r-2")
        self.assertEqual({entry["status"] for entry in answers.values()}, {"success"})
        eventually("nothing is wrong any more", lambda: self.status()["reason"] == "")

    def test_a_broker_that_is_killed_and_comes_back_without_its_sessions(self):
        self.begin()
        self.requester.ask("r-1", "before")
        self.requester.answer("r-1")
        self.broker.kill()
        eventually("it is noticed", lambda: self.status()["state"] == "disconnected")
        self.assertTrue(self.status()["reason"])
        self.broker.start()
        self.connected()
        self.requester.ask("r-2", "after")
        self.assertEqual(self.requester.answer("r-2")["status"], "success")
        self.assertEqual(self.records(), [b"before", b"after"])

    def test_answers_of_the_time_without_a_broker_come_when_it_is_back(self):
        self.begin()
        self.recorder.process.send_signal(signal.SIGSTOP)
        ids = [f"r-{number}" for number in range(5)]
        for request_id in ids:
            self.requester.ask(request_id, request_id)
        eventually("they are stored", lambda: self.status()["queues"][0]["waiting_messages"] == 5)
        self.broker.stop()
        self.recorder.process.send_signal(signal.SIGCONT)
        eventually("they are delivered", lambda: len(self.records()) == 5)
        self.broker.start()
        self.requester.answers(*ids)

    def test_a_broker_that_is_silent_for_longer_than_the_keep_alive(self):
        self.begin(keep_alive_s=1)
        self.broker.freeze()
        eventually("it is noticed", lambda: self.status()["state"] == "disconnected")
        self.broker.thaw()
        self.connected()
        self.requester.ask("r-1", "x")
        self.assertEqual(self.requester.answer("r-1")["status"], "success")


class CrashTest(ConnectorCase):
    def publish_all(self, ids, done):
        """Publishes as fast as the broker acknowledges; `done` has what it acknowledged."""
        for request_id in ids:
            self.requester.ask(request_id, "data of " + request_id)
            done.append(request_id)

    def test_killed_at_any_moment_no_acknowledged_record_is_lost_and_each_is_answered(self):
        self.kill_again_and_again(1)

    def test_killed_while_records_go_one_by_one_none_is_lost_and_each_is_answered(self):
        self.kill_again_and_again(0)

    def kill_again_and_again(self, interval):
        self.begin(publish_interval_s=interval)
        self.recorder.faults(*([{}, {}, {"fail": [0]}, {"status": 503}, {"drop": "after"}] * 4))
        ids = [f"r-{number}" for number in range(240)]
        done = []
        publisher = threading.Thread(target=self.publish_all, args=(ids, done))
        publisher.start()
        # At moments of its work: while it receives, sends, answers.
        for moment in (15, 70, 140, 200):
            eventually("progress", lambda moment=moment: len(done) >= moment)
            self.weir.kill()
            self.weir.start()
        publisher.join()
        self.assertEqual(len(done), len(ids))
        answers = self.requester.answers(*ids)
        self.assertEqual({entry["status"] for entry in answers.values()}, {"success"})
        wanted = {b"data of " + i.encode() for i in ids}
        self.assertEqual(set(self.records()), wanted)
        # Twice only around a kill or a lost answer: far fewer than there are records.
        self.assertLess(len(self.records()), 2 * len(ids))
        self.no_problems()

    def test_an_orderly_restart_answers_every_record_once(self):
        self.begin()
        ids = [f"r-{number}" for number in range(300)]
        done = []
        publisher = threading.Thread(target=self.publish_all, args=(ids, done))
        publisher.start()
        for moment in (30, 150):
            eventually("progress", lambda moment=moment: len(done) >= moment)
            self.weir.restart()
        publisher.join()
        self.requester.answers(*ids)
        self.assertEqual(self.requester.times_answered(), {i: 1 for i in ids})
        self.assertEqual(list(dict.fromkeys(self.records())), [b"data of " + i.encode() for i in ids])

    def test_queues_found_after_a_restart_go_on_draining(self):
        self.begin()
        self.recorder.process.send_signal(signal.SIGSTOP)
        for number in range(20):
            self.requester.ask(f"r-{number}", "x", arn=ARN % f"stream-{number % 4}")
        eventually("they are stored", lambda: sum(q["waiting_messages"] for q in self.status()["queues"]) == 20)
        self.weir.kill()
        self.recorder.process.send_signal(signal.SIGCONT)
        self.weir.start()
        self.requester.answers(*(f"r-{number}" for number in range(20)))

    def test_memory_only_forgets_at_a_stop_as_the_original_did(self):
        self.begin(memory_only=True)
        self.requester.ask("r-1", "x")
        self.assertEqual(self.requester.answer("r-1")["status"], "success")
        self.recorder.process.send_signal(signal.SIGSTOP)
        self.requester.ask("r-2", "y")
        eventually("it waits", lambda: self.status()["queues"][0]["waiting_messages"] == 1)
        self.assertEqual(self.status()["queues"][0]["persistence"], "memory")
        self.weir.kill()
        self.recorder.process.send_signal(signal.SIGCONT)
        self.weir.start()
        self.connected()
        self.requester.ask("r-3", "z")
        self.assertEqual(self.requester.answer("r-3")["status"], "success")

    def test_an_outage_leaves_a_backlog_that_drains_in_order_in_full_calls(self):
        self.begin(publish_interval_s=1, queue_records_max=5000, queue_order="keep")
        self.recorder.process.send_signal(signal.SIGSTOP)
        count = 3000
        for number in range(count):  # without waiting for each
            self.requester.client.publish(f"kinesisfirehose/message/binary/{number}", b"%d" % number, qos=1)
        eventually("all of it waits", lambda: self.status()["queues"][0]["waiting_messages"] == count)
        self.recorder.process.send_signal(signal.SIGCONT)
        self.requester.answers(*map(str, range(count)))
        self.assertEqual(list(dict.fromkeys(self.records())), [b"%d" % number for number in range(count)])
        sizes = [call["records"] for call in self.recorder.calls() if call.get("records")]
        self.assertGreaterEqual(sizes.count(500), 4)
        self.no_problems()
