#!/usr/bin/python3
"""Is the recorder right? botocore's own client must find nothing wrong, and every spoiled request must be caught."""

import base64
import json
import pathlib
import subprocess
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

    def client(self, key=KEY, secret=SECRET, token=None, region="us-east-1", spoil=None):
        session = botocore.session.get_session()
        client = session.create_client("kinesis", region_name=region, endpoint_url=self.url, aws_access_key_id=key,
                                       aws_secret_access_key=secret, aws_session_token=token,
                                       config=Config(retries={"max_attempts": 0}, parameter_validation=False,
                                                     read_timeout=5))
        if spoil:
            client.meta.events.register("before-send.kinesis", lambda request, **_: spoil(request))
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


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # botocore leaves sockets open
