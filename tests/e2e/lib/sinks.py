"""Destinations for the export tests: an HTTP server that can misbehave, and Kinesis on this machine."""

import base64
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import urllib.request

from ports import held_port
from weir_server import AWS_KEY_ID, AWS_SECRET, AWS_SESSION, DEADLINE_S, ROOT, eventually

REGION = "us-east-1"


class HttpRequest:
    def __init__(self, line, headers, body):
        self.method, self.target, _ = line.split(" ")
        self.headers = headers
        self.body = body

    def messages(self):
        """The messages of a JSON_BATCHED request."""
        return json.loads(self.body)


class HttpSink:
    """An HTTP/1.1 server on raw sockets. Each request takes the next of `faults`:

    None                     answer 200
    ("status", 503, "")      answer that, with these header lines
    ("drop",)                read the request, close without an answer (nothing is taken)
    ("lost",)                take the request, close without an answer
    ("half",)                answer half of what was promised, then close
    ("garbage",)             answer something that is not HTTP
    ("stall",)               never answer
    """

    def __init__(self, faults=()):
        self.faults = list(faults)
        self.requests = []  # taken: answered with success, or "lost"
        self.seen = []  # every request with what was done to it
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.listener = None
        self.connections = []
        self.stopped = threading.Event()
        self.port = held_port()
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """From now on connections are refused."""
        listener, self.listener = self.listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self.lock:
            for connection in self.connections:
                connection.close()

    def close(self):
        self.stopped.set()
        if self.listener:
            self.refuse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}/in"

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as reader:
                while self.exchange(connection, reader):
                    pass
        except (OSError, ValueError):
            pass

    def exchange(self, connection, reader):
        line = reader.readline().decode().rstrip("\r\n")
        if not line:
            return False
        headers = {}
        while (header := reader.readline().decode()) not in ("\r\n", "\n"):
            # A sender that was killed leaves half a request behind; that is no delivery.
            if not header.endswith("\n"):
                return False
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        expected = int(headers.get("content-length", 0))
        body = reader.read(expected)
        if len(body) < expected:
            return False
        request = HttpRequest(line, headers, body)
        with self.changed:
            fault = self.faults.pop(0) if self.faults else None
            if fault is None or fault[0] == "lost":
                self.requests.append(request)
            self.seen.append((request, fault))
            self.changed.notify_all()
        return self.answer(connection, fault)

    def answer(self, connection, fault):
        kind = fault[0] if fault else "ok"
        if kind == "ok":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        if kind == "status":
            _, status, headers = fault
            connection.sendall(f"HTTP/1.1 {status} Status\r\n{headers}Content-Length: 4\r\n\r\nwhy?".encode())
            return True
        if kind == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        elif kind == "garbage":
            connection.sendall(b"\x00\xffthis is no answer at all\r\n\r\n")
        elif kind == "stall":
            self.stopped.wait(DEADLINE_S)
        return False

    def payloads(self):
        """What was taken so far, message by message, RAW or JSON_BATCHED."""
        with self.lock:
            requests = list(self.requests)
        found = []
        for request in requests:
            if request.headers.get("content-type", "").startswith("application/json"):
                found += [base64.b64decode(m["payload"]) for m in request.messages()]
            else:
                found.append(request.body)
        return found

    def wait_for(self, payloads):
        """Waits until all `payloads` were taken at least once; checks that the first deliveries were
        in this order and that there is nothing else. Returns how many came again."""
        wanted = list(payloads)
        eventually(f"{len(wanted)} messages at the destination",
                   lambda: set(wanted) <= set(self.payloads()))
        delivered = self.payloads()
        first = list(dict.fromkeys(delivered))
        assert first == wanted, f"not in order: {first[:20]} ..."
        return len(delivered) - len(first)


class Kinesalite:
    """Kinesis from npm, in a process of its own."""

    def __init__(self):
        env = {**os.environ, "NODE_PATH": str(ROOT / "build" / "npm" / "node_modules")}
        script = pathlib.Path(__file__).resolve().parents[1] / "kinesalite.js"
        self.process = subprocess.Popen(["node", str(script)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=env, text=True)
        word, port = self.process.stdout.readline().split()
        assert word == "port"
        self.port = int(port)
        self.url = f"http://127.0.0.1:{self.port}"
        import botocore.session
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        self.client = session.create_client("kinesis", region_name=REGION, endpoint_url=self.url)

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def faults(self, *faults):
        self.process.stdin.write(json.dumps(faults) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().startswith("queued")

    def create(self, name, shards=1):
        self.client.create_stream(StreamName=name, ShardCount=shards)
        eventually(f"stream {name} is active", lambda: self.client.describe_stream(
            StreamName=name)["StreamDescription"]["StreamStatus"] == "ACTIVE")

    def records(self, name):
        """All records of all shards, each shard in order: [(partition key, data)]."""
        found = []
        for shard in self.client.describe_stream(StreamName=name)["StreamDescription"]["Shards"]:
            iterator = self.client.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while True:
                answer = self.client.get_records(ShardIterator=iterator, Limit=1000)
                found += [(r["PartitionKey"], r["Data"]) for r in answer["Records"]]
                iterator = answer["NextShardIterator"]
                if not answer["Records"]:
                    break
        return found


class Recorder:
    """The strict stand-in of tests/recorder, in a process of its own."""

    def __init__(self, *streams, region=REGION, certificates=None):
        """`certificates`: a directory of `make_certificates`; then it speaks TLS."""
        command = [str(ROOT / "tests" / "recorder" / "recorder.py"), "--region", region,
                   "--key", f"{AWS_KEY_ID}:{AWS_SECRET}:{AWS_SESSION}"]
        for stream in streams:
            command += ["--stream", stream]
        self.trust = None
        if certificates:
            command += ["--certificate", str(certificates / "server.pem"),
                        "--certificate-key", str(certificates / "server.key")]
            self.trust = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        self.process = subprocess.Popen(["/usr/bin/python3", *command], stdout=subprocess.PIPE, text=True)
        word, port = self.process.stdout.readline().split()
        assert word == "port"
        self.url = f"http{'s' if certificates else ''}://127.0.0.1:{port}"

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def order(self, name, content=None):
        request = urllib.request.Request(f"{self.url}/_{name}", json.dumps(content).encode())
        with urllib.request.urlopen(request, timeout=DEADLINE_S, context=self.trust) as answer:
            return json.load(answer)

    def faults(self, *faults):
        self.order("fault", list(faults))

    def stored(self):
        """What was stored, in order: [data]."""
        return [base64.b64decode(record["data"]) for record in self.order("records")]

    def calls(self):
        return self.order("log")


def aws_environment(url, **more):
    """What weir needs to find Kinesis at `url`."""
    return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL_KINESIS": url, "AWS_ACCESS_KEY_ID": AWS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": AWS_SECRET, "AWS_SESSION_TOKEN": AWS_SESSION, **more}


def impatient(**more):
    """Retry and save intervals for tests; the order of things is the same."""
    return {"export": {"backoff_first_ms": 10, "backoff_ceiling_ms": 100, "operator_retry_min_ms": 50,
                       "cursor_save_interval_ms": 10, "connect_timeout_ms": 2000, **more}}
