"""Amazon Data Firehose: PutRecordBatch and PutRecord."""

import base64

from service import Service
from sigv4_check import Refused

CALL_BYTES_MAX = 4 * 1024 * 1024


class Firehose(Service):
    name = "firehose"
    prefix = "Firehose_20150804."
    results_key = "RequestResponses"

    def __init__(self, streams):
        super().__init__()
        self.streams = streams  # None: every stream exists

    def check_totals(self, operation, document):
        total = sum(len(base64.b64decode(record["Data"])) for record in records_of(document))
        if total > CALL_BYTES_MAX:
            return [f"the call has {total} bytes, at most {CALL_BYTES_MAX} are allowed"]
        return []

    def summary(self, operation, document):
        return document["DeliveryStreamName"], len(records_of(document))

    def handle(self, operation, document, fault, now):
        name, records = document["DeliveryStreamName"], records_of(document)
        if self.streams is not None and name not in self.streams:
            raise Refused("ResourceNotFoundException", f"Firehose {name} not found under account 000000000000.")
        if operation == "DescribeDeliveryStream":
            return {"DeliveryStreamDescription": {"DeliveryStreamName": name, "DeliveryStreamStatus": "ACTIVE"}}
        for record in records:
            if record["Data"] in self.poison:
                raise Refused("InvalidArgumentException", "a record is refused by order of the test")
        failing = set(fault.get("fail", []))
        code = fault.get("code", "ServiceUnavailableException")
        results = []
        with self.lock:
            for index, record in enumerate(records):
                if index in failing:
                    results.append({"ErrorCode": code, "ErrorMessage": "Slow down."})
                else:
                    self.stored.append({"stream": name, "data": record["Data"]})
                    results.append({"RecordId": f"record-{len(self.stored)}"})
        if operation == "PutRecord":
            if "ErrorCode" in results[0]:
                raise Refused(code, "Slow down.", 503)
            return {**results[0], "Encrypted": False}
        return {"FailedPutCount": sum("ErrorCode" in result for result in results), "Encrypted": False,
                "RequestResponses": results}


def records_of(document):
    if "Records" in document:
        return document["Records"]
    return [document["Record"]] if "Record" in document else []
