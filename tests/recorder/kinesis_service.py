"""Kinesis Data Streams as far as an exporter sees it: PutRecords and PutRecord, limits and answers."""

import base64
import hashlib

from service import Service
from sigv4_check import Refused

CALL_BYTES_MAX = 10 * 1024 * 1024


class Kinesis(Service):
    name = "kinesis"
    prefix = "Kinesis_20131202."
    results_key = "Records"

    def __init__(self, streams, record_limit, shards=4):
        super().__init__()
        self.streams = streams  # None: every stream exists
        self.record_limit = record_limit
        self.shards = shards

    def check_totals(self, operation, document):
        total = sum(size_of(record) for record in document.get("Records", []))
        if total > CALL_BYTES_MAX:
            return [f"the call has {total} bytes with its keys, at most {CALL_BYTES_MAX} are allowed"]
        return []

    def summary(self, operation, document):
        return document["StreamName"], len(document.get("Records", [None]))

    def handle(self, operation, document, fault, now):
        if self.streams is not None and document["StreamName"] not in self.streams:
            raise Refused("ResourceNotFoundException",
                          f"Stream {document['StreamName']} under account 000000000000 not found.")
        if operation == "DescribeStreamSummary":
            return {"StreamDescriptionSummary": {"StreamName": document["StreamName"], "StreamStatus": "ACTIVE"}}
        records = document["Records"] if operation == "PutRecords" else [document]
        self.refuse_records(operation, records)
        failing = set(fault.get("fail", []))
        code = fault.get("code", "ProvisionedThroughputExceededException")
        results = []
        with self.lock:
            for index, record in enumerate(records):
                if index in failing:
                    results.append({"ErrorCode": code, "ErrorMessage": "by order of the test"})
                else:
                    results.append(self.store(document["StreamName"], record))
        if operation == "PutRecord":
            if "ErrorCode" in results[0]:
                raise Refused(code, "by order of the test")
            return results[0]
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedRecordCount": failed, "Records": results}

    def refuse_records(self, operation, records):
        for number, record in enumerate(records, 1):
            where = f"records.{number}.member.data" if operation == "PutRecords" else "data"
            if size_of(record) > self.record_limit:
                raise Refused("ValidationException",
                              "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 "
                              f"lim={size_of(record)} cap={size_of(record)}]' at '{where}' failed to satisfy constraint: "
                              f"Member must have length less than or equal to {self.record_limit}")
            if record["Data"] in self.poison:
                text = f"Value at '{where}' is refused by order of the test"
                raise Refused("ValidationException", text if self.names_poison else "a record is refused")

    def store(self, stream, record):
        digest = int(hashlib.md5(record["PartitionKey"].encode()).hexdigest(), 16)
        sequence = f"4961{len(self.stored):052d}"
        self.stored.append({"stream": stream, "data": record["Data"], "key": record["PartitionKey"],
                            "sequence": sequence, "after": record.get("SequenceNumberForOrdering")})
        return {"SequenceNumber": sequence, "ShardId": f"shardId-{digest * self.shards >> 128:012d}"}


def size_of(record):
    return len(base64.b64decode(record["Data"])) + len(record["PartitionKey"].encode())
