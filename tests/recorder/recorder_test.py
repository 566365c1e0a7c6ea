#!/usr/bin/python3
"""Is the recorder right? botocore's own client must find nothing wrong, and every spoiled request must be caught."""

import base64
import json
import pathlib
import subprocess
import time
import unittest
import urllib.request

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

RECORDER = pathlib.Path(__file__).resolve().parent / "recorder.py"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class RecorderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen(["/usr/bin/python3", str(RECORDER), "--stream", "s", "--record-limit", "1000"],
                                       stdout=subprocess.PIPE, text=True)
        cls.url = "http://127.0.0.1:" + cls.process.stdout.readline().split()[1]

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait()
        cls.process.stdout.close()

    def setUp(self):
        self.order("_reset")

    def order(self, name, content=None):
        data = json.dumps(content).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", data)) as answer:
            return json.load(answer)

    def client(self, key=KEY, secret=SECRET, token=None, region="us-east-1", spoil=None, service="kinesis"):
        session = botocore.session.get_session()
        client = session.create_client(service, region_name=region, endpoint_url=self.url, aws_access_key_id=key,
                                       aws_secret_access_key=secret, aws_session_token=token,
                                       config=Config(retries={"max_attempts": 0}, parameter_validation=False,
                                                     read_timeout=5, inject_host_prefix=False))
        if spoil:
            client.meta.events.register(f"before-send.{service}", lambda request, **_: spoil(request))
        return client

    def put(self, client=None, data=(b"a", b"b\xff\0"), stream="s"):
        records = [{"Data": item, "PartitionKey": f"k{index}"} for index, item in enumerate(data)]
        return (client or self.client()).put_records(StreamName=stream, Records=records)

    def refused(self, code, *arguments, **keywords):
        with self.assertRaises(ClientError) as caught:
            self.put(*arguments, **keywords)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return self.order("_log")[-1]

    def test_the_reference_client_has_no_problems(self):
        self.assertEqual(self.put()["FailedRecordCount"], 0)
        self.client().put_record(StreamName="s", Data=b"c", PartitionKey="k")
        for line in self.order("_log"):
            self.assertEqual(line["problems"], [])
        stored = [base64.b64decode(record["data"]) for record in self.order("_records")]
        self.assertEqual(stored, [b"a", b"b\xff\0", b"c"])

    def test_wrong_keys_regions_and_streams_are_refused(self):
        self.refused("UnrecognizedClientException", self.client(key="AKIDOTHER"))
        self.refused("InvalidSignatureException", self.client(secret="wrong"))
        self.refused("ExpiredTokenException", self.client(token="stale"))
        self.refused("InvalidSignatureException", self.client(region="eu-west-1"))
        self.refused("ResourceNotFoundException", stream="other")

    def test_a_changed_body_or_header_breaks_the_signature(self):
        def body(request):
            request.body = request.body.replace(b"k0", b"k9")

        def target(request):
            request.headers["X-Amz-Target"] = "Kinesis_20131202.PutRecord"

        def date(request):
            request.headers["X-Amz-Date"] = "20200101T000000Z"

        self.refused("InvalidSignatureException", self.client(spoil=body))
        self.refused("InvalidSignatureException", self.client(spoil=target))
        self.refused("IncompleteSignatureException", self.client(spoil=date))

    def test_unsigned_headers_of_aws_are_a_problem(self):
        def add(request):
            request.headers["x-amz-extra"] = "1"

        self.put(self.client(spoil=add))
        self.assertEqual(self.order("_log")[-1]["problems"], ["does not sign x-amz-extra"])

    def test_the_model_is_enforced(self):
        for records in ([], [{"Data": b"x"}], [{"Data": b"x", "PartitionKey": ""}],
                        [{"Data": b"x", "PartitionKey": "k" * 257}], [{"Data": b"x", "PartitionKey": "k"}] * 501):
            with self.assertRaises(ClientError):
                self.client().put_records(StreamName="s", Records=records)
            self.assertNotEqual(self.order("_log")[-1]["problems"], [])
        with self.assertRaises(ClientError):
            self.client().put_records(StreamName="a b", Records=[{"Data": b"x", "PartitionKey": "k"}])
        self.assertIn("does not match", self.order("_log")[-1]["problems"][0])

    def test_a_record_over_the_streams_limit_fails_the_call_and_is_named(self):
        line = self.refused("ValidationException", data=(b"a", b"x" * 1000))
        self.assertIn("records.2.member.data", line["refusal"])
        self.assertEqual(self.order("_records"), [])

    def test_faults_do_what_they_say(self):
        self.order("_fault", [{"fail": [1]}, {"status": 503, "body": ""}, {"count": 1}, {"html": True},
                              {"drop": "before"}, {"drop": "after"}, {"half": True}])
        answer = self.put()
        self.assertEqual(answer["FailedRecordCount"], 1)
        self.assertEqual(answer["Records"][1]["ErrorCode"], "ProvisionedThroughputExceededException")
        self.assertEqual(len(self.order("_records")), 1)
        self.refused("503")
        self.assertEqual(len(self.put()["Records"]), 3)
        self.assertNotIn("Records", self.put())
        stored = len(self.order("_records"))
        with self.assertRaises(HTTPClientError):
            self.put()
        self.assertEqual(len(self.order("_records")), stored)
        with self.assertRaises(HTTPClientError):
            self.put()
        self.assertEqual(len(self.order("_records")), stored + 2)
        self.assertNotIn("Records", self.put())  # botocore does not insist on the stated length

    def test_a_shifted_clock_refuses_and_says_the_time(self):
        self.order("_fault", [{"date_offset": 3600}])
        line = self.refused("InvalidSignatureException")
        self.assertIn("Signature expired", line["refusal"])

    def no_problems(self):
        self.assertEqual([line["problems"] for line in self.order("_log") if line["problems"]], [])

    def test_firehose(self):
        client = self.client(service="firehose")
        client.put_record(DeliveryStreamName="s", Record={"Data": b"one"})
        self.order("_fault", [{"fail": [1]}])
        answer = client.put_record_batch(DeliveryStreamName="s", Records=[{"Data": b"two"}, {"Data": b"three"}])
        self.assertEqual(answer["FailedPutCount"], 1)
        self.assertEqual(answer["RequestResponses"][1]["ErrorCode"], "ServiceUnavailableException")
        self.assertEqual([base64.b64decode(r["data"]) for r in self.order("_records")], [b"one", b"two"])
        self.no_problems()
        for records in ([], [{"Data": b"x"}] * 501, [{"Data": b"x" * 1_024_001}], [{"Data": b"x" * 1_024_000}] * 5):
            with self.assertRaises(ClientError):
                client.put_record_batch(DeliveryStreamName="s", Records=records)
            self.assertNotEqual(self.order("_log")[-1]["problems"], [])

    @staticmethod
    def entry(name, seconds=None, **members):
        value = {"value": {"doubleValue": 1.5}, "timestamp": {"timeInSeconds": seconds or int(time.time())}}
        return {"entryId": name, "propertyAlias": f"/{name}", "propertyValues": [value], **members}

    def test_sitewise(self):
        client = self.client(service="iotsitewise")
        old = int(time.time()) - 8 * 86_400
        answer = client.batch_put_asset_property_value(entries=[self.entry("a"), self.entry("b", old)])
        self.assertEqual([(e["entryId"], e["errors"][0]["errorCode"]) for e in answer["errorEntries"]],
                         [("b", "TimestampOutOfRangeException")])
        self.assertEqual(len(self.order("_records")), 1)
        self.no_problems()
        two = {"value": {"doubleValue": 1.5, "integerValue": 1}, "timestamp": {"timeInSeconds": 1}}
        for entries in ([], [self.entry("a"), self.entry("a")], [self.entry("a b")],
                        [self.entry("a", propertyValues=[{**two, "value": {"doubleValue": 1.5}, "quality": "X"}])],
                        [self.entry(f"e{i}") for i in range(11)], [self.entry("a", propertyValues=[])],
                        [self.entry("a", propertyAlias="x"), self.entry("b", propertyAlias="x")],
                        [self.entry("a", propertyValues=[two])]):
            with self.assertRaises(ClientError):
                client.batch_put_asset_property_value(entries=entries)
            self.assertNotEqual(self.order("_log")[-1]["problems"], [], entries)

    def test_iot_analytics(self):
        client = self.client(service="iotanalytics")
        self.order("_fault", [{"fail": [0], "code": "InternalFailureException"}])
        messages = [{"messageId": f"m{i}", "payload": bytes([i])} for i in range(2)]
        answer = client.batch_put_message(channelName="s", messages=messages)
        self.assertEqual([e["messageId"] for e in answer["batchPutMessageErrorEntries"]], ["m0"])
        self.assertEqual([record["id"] for record in self.order("_records")], ["m1"])
        self.no_problems()
        for channel, wrong in (("__s", messages), ("s", messages * 2), ("s", [{"messageId": "\u00e9", "payload": b""}]),
                               ("s", [{"messageId": f"m{i}", "payload": b""} for i in range(101)])):
            with self.assertRaises(ClientError):
                client.batch_put_message(channelName=channel, messages=wrong)
            self.assertNotEqual(self.order("_log")[-1]["problems"], [])


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # botocore leaves sockets open
