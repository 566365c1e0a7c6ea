"""Kinesis Data Streams as far as an exporter sees it: PutRecords and PutRecord, limits and answers."""

import base64
import hashlib
import threading

import model_check
from sigv4_check import Refused

CALL_BYTES_MAX = 10 * 1024 * 1024
PREFIX = "Kinesis_20131202."


class Kinesis:
    name = "kinesis"

    def __init__(self, streams, record_limit, shards=4):
        self.checker = model_check.Checker("kinesis")
        self.streams = streams  # None: every stream exists
        self.record_limit = record_limit
        self.shards = shards
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        self.stored = []
        self.poison = set()
        self.names_poison = True

    def operation_of(self, request):
        target = request.header("x-amz-target") or ""
        if request.method != "POST" or not target.startswith(PREFIX):
            raise Refused("UnknownOperationException", f"{request.method} with X-Amz-Target {target!r}")
        return target.removeprefix(PREFIX)

    def check(self, request, operation, document):
        """Problems a client of this service must not have, whatever it sends."""
        problems = [f"{path}: {text}" for path, text in self.checker.check(operation, document)]
        if request.header("content-type") != "application/x-amz-json-1.1":
            problems.append(f"Content-Type is {request.header('content-type')}")
        if operation == "PutRecords" and not problems:
            total = sum(size_of(record) for record in document["Records"])
            if total > CALL_BYTES_MAX:
                problems.append(f"the call has {total} bytes with its keys, at most {CALL_BYTES_MAX} are allowed")
        return problems

    def handle(self, operation, document, fault):
        """Stores and answers. `fault` may make single records fail."""
        if self.streams is not None and document["StreamName"] not in self.streams:
            raise Refused("ResourceNotFoundException",
                          f"Stream {document['StreamName']} under account 000000000000 not found.")
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
