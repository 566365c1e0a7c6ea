"""The Kinesis Firehose connector: MQTT in (a real mosquitto), Firehose out (the recorder), every record answered."""

import base64
import json
import unittest
import urllib.request

from broker import Broker, Requester
from sinks import Recorder, aws_environment, impatient
from weir_server import Weir, eventually

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


class MessagesTest(ConnectorCase):
    def test_a_request_reaches_its_stream_and_is_answered(self):
        self.begin()
        self.requester.ask("r-17", "some text")
        self.assertEqual(self.requester.answer("r-17"),
                         {"firehose_record_id": "record-1", "id": "r-17", "status": "success"})
        self.assertEqual(self.records(), [b"some text"])
        self.no_problems()
