"""What the services of the recorder have in common."""

import json
import threading

import model_check
from sigv4_check import Refused


class Service:
    """One AWS service as far as an exporter sees it. `name` is the one that requests are signed for."""

    name = ""
    prefix = ""  # of X-Amz-Target; "" for services with paths
    paths = {}  # (method, path) -> operation
    content_type = "application/x-amz-json-1.1"
    results_key = ""  # the member of an answer with a result for each record

    def __init__(self):
        self.checker = model_check.Checker(self.name)
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        self.stored = []
        self.poison = set()
        self.names_poison = True

    def claims(self, request):
        """Is this request meant for this service?"""
        if self.paths:
            return (request.method, request.target.partition("?")[0]) in self.paths
        return (request.header("x-amz-target") or "").startswith(self.prefix)

    def operation_of(self, request):
        if self.paths:
            return self.paths[(request.method, request.target.partition("?")[0])]
        target = request.header("x-amz-target") or ""
        if request.method != "POST" or not target.startswith(self.prefix):
            raise Refused("UnknownOperationException", f"{request.method} with X-Amz-Target {target!r}")
        return target.removeprefix(self.prefix)

    def check(self, request, operation, document):
        """Problems a client of this service must not have, whatever it sends."""
        problems = [f"{path}: {text}" for path, text in self.checker.check(operation, document)]
        if request.header("content-type") != self.content_type:
            problems.append(f"Content-Type is {request.header('content-type')}")
        if not problems:
            problems = self.check_totals(operation, document)
        return problems

    def check_totals(self, operation, document):
        """What no model states: sums and repetitions. The body matches the model already."""
        return []

    def summary(self, operation, document):
        """For the log: whom the call is for and how many records it has."""
        raise NotImplementedError

    def handle(self, operation, document, fault, now):
        """Stores and answers. `fault` may make single records fail; `now` is the server's clock."""
        raise NotImplementedError

    def refusal(self, code, message):
        """Headers and body of an error."""
        if self.paths:
            return {"x-amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/"}, json.dumps({"message": message})
        return {}, json.dumps({"__type": code, "message": message})
