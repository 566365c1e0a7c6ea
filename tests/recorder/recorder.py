#!/usr/bin/python3
"""A stand-in for AWS (Kinesis, Firehose, IoT SiteWise, IoT Analytics, by what a request asks for) that keeps every request as it came and is as strict as the service's own model.

  recorder.py [--port 0] [--log FILE] [--key ID:SECRET[:TOKEN]]... [--region us-east-1]
              [--stream NAME]... [--record-limit BYTES] [--certificate FILE --certificate-key FILE]

Prints "port N" when it listens on 127.0.0.1. Every request is checked (signature in two ways, headers, body
against botocore's model, totals of a call), answered as the service would answer, and written to FILE as one
JSON line. `problems` in a line are things a good client never does.

Orders of the test, on the same port:
  POST /_fault    a list, one entry for each request to come:
                    {}                                     nothing
                    {"fail": [1, 3], "code": "X"}          these records fail, the others are stored
                    {"status": 400, "type": "X", "message": "..", "headers": {..}, "body": ".."}
                    {"delay": 2.5}                         seconds, before the answer
                    {"drop": "before"} / {"drop": "after"} closes without an answer; "after" has stored
                    {"half": true}                         half of the right answer, then closes
                    {"count": -1}                          an answer with that many results more
                    {"html": true}                         200 and a page, as a captive portal does
                    {"date_offset": 3600}                  from now on the service's clock is ahead by this
  POST /_poison   {"data": ["<base64>"], "named": true}    records refused whenever they are in a call
  POST /_keys     {"ID": ["SECRET", null]}                 replaces the accepted credentials
  GET  /_log      the log as a JSON list       GET /_records   what was stored, in order
  POST /_reset    forgets log, records, faults and poison
"""

import argparse
import collections
import datetime
import email.utils
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
import uuid

import model_check
import sigv4_check
from firehose_service import Firehose
from iotanalytics_service import IotAnalytics
from kinesis_service import Kinesis
from sigv4_check import Refused
from sitewise_service import Sitewise

HEAD_BYTES_MAX = 1 << 16
BODY_BYTES_MAX = 64 << 20
PAGE = b"<html><body>Welcome to the hotel. Please log in.</body></html>"


class Closed(Exception):
    """The other side went away, or a fault says that we do."""


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


class Connection:
    """HTTP/1.1 on a socket, read by hand: libraries tidy up what a recorder wants to see."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def more(self):
        piece = self.sock.recv(1 << 16)
        if not piece:
            raise Closed
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_BYTES_MAX:
                raise Closed
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, count):
        pieces, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < count:
            piece = self.sock.recv(1 << 18)
            if not piece:
                raise Closed
            pieces.append(piece)
            have += len(piece)
        content = b"".join(pieces)
        self.buffer = content[count:]
        return content[:count]

    def request(self):
        method, target, version = self.line().split(" ")
        if version != "HTTP/1.1":
            raise Closed
        headers = []
        while line := self.line():
            name, _, value = line.partition(":")
            headers.append((name, value.strip(" \t")))
        request = Request(method, target, headers, b"")
        if (request.header("expect") or "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            request.body = self.chunks()
        else:
            length = int(request.header("content-length") or 0)
            if length > BODY_BYTES_MAX:
                raise Closed
            request.body = self.exactly(length)
        return request

    def chunks(self):
        body = b""
        while (size := int(self.line().split(";")[0], 16)) > 0:
            body += self.exactly(size)
            self.line()
        while self.line():
            pass
        return body

    def answer(self, status, headers, body, half=False):
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = (head + f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        self.sock.sendall(data[:len(data) - len(body) // 2 - 1] if half else data)
        if half:
            raise Closed


class Recorder:
    def __init__(self, options):
        names = set(options.stream) or None
        self.services = [Kinesis(names, options.record_limit), Firehose(names), Sitewise(), IotAnalytics(names)]
        self.region = options.region
        self.keys = {}
        for key in options.key or ["AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"]:
            key_id, secret, *token = key.split(":")
            self.keys[key_id] = (secret, token[0] if token else None)
        self.log_file = open(options.log, "a", encoding="utf-8") if options.log else None
        self.tls = None
        if options.certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.certificate, options.certificate_key)
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        self.log = []
        self.faults = collections.deque()
        self.clock_offset = 0
        for service in self.services:
            service.clear()

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_offset)

    # --- orders of the test ---

    def order(self, request):
        document = json.loads(request.body or b"null")
        with self.lock:
            if request.target == "/_fault":
                self.faults.extend(document)
            elif request.target == "/_poison":
                for service in self.services:
                    service.poison = set(document["data"])
                    service.names_poison = document.get("named", True)
            elif request.target == "/_keys":
                self.keys = {key: tuple(value) for key, value in document.items()}
            elif request.target == "/_reset":
                self.clear()
            elif request.target == "/_log":
                return 200, list(self.log)
            elif request.target == "/_records":
                return 200, [record for service in self.services for record in service.stored]
            else:
                return 404, f"there is no order {request.target}"
        return 200, "ok"

    # --- requests of the client ---

    def record(self, request, entry):
        entry.update(method=request.method, target=request.target, headers=request.headers,
                     body_bytes=len(request.body), body_sha256=hashlib.sha256(request.body).hexdigest(),
                     time=time.time(), monotonic=time.monotonic())
        with self.lock:
            entry["number"] = len(self.log)
            self.log.append(entry)
            if self.log_file:
                self.log_file.write(json.dumps(entry) + "\n")
                self.log_file.flush()

    def service_of(self, request):
        claiming = [service for service in self.services if service.claims(request)]
        return claiming[0] if claiming else self.services[0]

    def judge(self, service, request, entry, fault):
        """The answer of the service to a request, as a document; None if the fault needs none."""
        entry["problems"] += sigv4_check.verify(request, service.name, self.region, self.keys, self.now())
        operation = entry["operation"] = service.operation_of(request)
        try:
            document = model_check.parse(request.body)
        except ValueError as error:
            raise Refused("SerializationException", f"the body is not JSON: {error}") from error
        problems = service.check(request, operation, document)
        if problems:
            entry["problems"] += problems
            raise Refused("ValidationException", f"{len(problems)} validation errors detected: {problems[0]}")
        entry["stream"], entry["records"] = service.summary(operation, document)
        if fault.get("status") is not None or fault.get("html") or fault.get("drop") == "before":
            return None
        result = service.handle(operation, document, fault, self.now())
        if "count" in fault:
            results = result[service.results_key]
            result[service.results_key] = (results * 2)[:len(results) + fault["count"]]
        return result

    def serve(self, request, connection):
        with self.lock:
            fault = self.faults.popleft() if self.faults else {}
            self.clock_offset = fault.get("date_offset", self.clock_offset)
        service = self.service_of(request)
        entry = {"service": service.name, "problems": [], "operation": None, "fault": fault, "status": None}
        headers = {"Date": email.utils.format_datetime(self.now(), usegmt=True), "x-amzn-RequestId": str(uuid.uuid4()),
                   "Content-Type": service.content_type}
        try:
            result = self.judge(service, request, entry, fault)
            status, body = 200, json.dumps(result).encode()
        except Refused as refusal:
            status = refusal.status
            more, text = service.refusal(refusal.code, refusal.message)
            headers.update(more)
            body = text.encode()
            entry["refusal"] = f"{refusal.code}: {refusal.message}"
        if fault.get("html"):
            headers["Content-Type"], body = "text/html", PAGE
        if fault.get("status") is not None:
            status = fault["status"]
            more, text = service.refusal(fault.get("type", ""), fault.get("message", "by order of the test"))
            headers.update(more)
            body = fault.get("body", text).encode()
        headers.update(fault.get("headers", {}))
        entry["status"] = status
        self.record(request, entry)
        time.sleep(fault.get("delay", 0))
        if "drop" in fault:
            raise Closed
        connection.answer(status, headers, body, half=fault.get("half", False))

    def talk(self, sock):
        with sock:
            try:
                if self.tls:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                connection = Connection(sock)
                while True:
                    request = connection.request()
                    if request.target.startswith("/_"):
                        status, content = self.order(request)
                        connection.answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
                    else:
                        self.serve(request, connection)
            except (Closed, OSError, ValueError):
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--key", action="append")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--stream", action="append", default=[])
    parser.add_argument("--record-limit", type=int, default=1 << 20)
    parser.add_argument("--certificate", help="PEM; speak TLS with it")
    parser.add_argument("--certificate-key")
    options = parser.parse_args()
    recorder = Recorder(options)
    listener = socket.create_server(("127.0.0.1", options.port))
    print(f"port {listener.getsockname()[1]}", flush=True)
    try:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=recorder.talk, args=(sock,), daemon=True).start()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
