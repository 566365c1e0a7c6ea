"""A stand-in for the Greengrass nucleus, classic or lite: what it says on its Unix socket.

Written from protocol.md 9.2 and sharing no code with weir. It takes every message apart byte by byte and keeps
what is not as it must be in `problems`; `close` fails the test if there is anything. What it answers can be
changed: errors by name, late, never, in single bytes, or garbage.
"""

import binascii
import json
import os
import pathlib
import socket
import struct
import threading

NAMESPACE = "aws.greengrass#"
CODE_INT32, CODE_STRING = 4, 7
MESSAGE, ERROR, PING, PING_RESPONSE, CONNECT, CONNECT_ACK = 0, 1, 2, 3, 4, 5
ACCEPTED, END_OF_STREAM = 1, 2

# The headers of each message of a component: names in order, with their types.
CONNECT_HEADERS = [(":message-type", CODE_INT32), (":message-flags", CODE_INT32), (":stream-id", CODE_INT32),
                   (":version", CODE_STRING)]
REQUEST_HEADERS = [(":message-type", CODE_INT32), (":message-flags", CODE_INT32), (":stream-id", CODE_INT32),
                   ("operation", CODE_STRING), ("service-model-type", CODE_STRING), (":content-type", CODE_STRING)]

METRIC_NAMES = {"BytesAppended", "BytesUploadedToIoTAnalytics", "BytesUploadedToKinesis",
                "BytesUploadedToIoTSiteWise", "BytesUploadedToS3"}


def encode(headers, payload):
    block = b""
    for name, value in headers:
        raw = name.encode()
        block += struct.pack(">B", len(raw)) + raw
        if isinstance(value, int):
            block += struct.pack(">Bi", CODE_INT32, value)
        else:
            text = value.encode()
            block += struct.pack(">BH", CODE_STRING, len(text)) + text
    lengths = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = lengths + struct.pack(">I", binascii.crc32(lengths)) + block + payload
    return message + struct.pack(">I", binascii.crc32(message))


class Broken(Exception):
    """The component sent what it must not."""


def decode_headers(block):
    """[(name, type code, value)] of int32 and string headers, the only ones a component sends."""
    found, at = [], 0
    while at < len(block):
        size = block[at]
        name, code = block[at + 1:at + 1 + size], block[at + 1 + size]
        at += 2 + size
        if code == CODE_INT32:
            value, at = struct.unpack_from(">i", block, at)[0], at + 4
        elif code == CODE_STRING:
            length = struct.unpack_from(">H", block, at)[0]
            value, at = block[at + 2:at + 2 + length].decode(), at + 2 + length
        else:
            raise Broken(f"header {name} has type {code}")
        found.append((name.decode(), code, value))
    if at != len(block):
        raise Broken("the headers end in the middle of one")
    return found


class Nucleus:
    """`tokens`: what applications were given. `lite`: answers as nucleus lite does."""

    SVCUID = "SVCUIDofTheWeir1"

    def __init__(self, directory, tokens=(), component="aws.greengrass.StreamManager", lite=False):
        self.path = pathlib.Path(directory) / ("gg-ipc.socket" if lite else "ipc.socket")
        self.tokens = set(tokens)
        self.component = component
        self.lite = lite
        self.configuration = {}
        self.requests = []      # (operation, payload), in the order received
        self.states = []
        self.metrics = {}       # name: sum of the values
        self.connects = 0
        self.problems = []
        # How it misbehaves.
        self.errors = {}        # operation: (error name, message)
        self.raw_errors = {}    # operation: payload that is no JSON, without service-model-type
        self.silent = set()     # operations that are never answered
        self.held = set()       # operations whose answers wait for `release`
        self.garbage = {}       # operation, or "connect": bytes sent instead of an answer
        self.single_bytes = False
        self.refuse_connections = False
        self.ping_first = False
        self.on_request = lambda operation, payload: None
        self.changed = threading.Condition()
        self.held_answers = []
        self.connections = set()
        self.listener = None

    # -- life

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(8)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """Gone, as if it had been killed: the socket's file and all connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink()
        self.close_connections()

    def close_connections(self):
        with self.changed:
            connections, self.connections = self.connections, set()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.path.exists():
            self.stop()
        if kind is None:
            assert not self.problems, f"weir broke the rules of the nucleus's socket: {self.problems}"

    def environment(self):
        """What it gives to the component it starts."""
        return {"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(self.path), "SVCUID": self.SVCUID,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.SVCUID}

    def asked(self, operation):
        with self.changed:
            return [payload for name, payload in self.requests if name == operation]

    def release(self):
        """Sends the answers that were held back."""
        with self.changed:
            held, self.held_answers = self.held_answers, []
            self.held.clear()
        for connection, answer in held:
            self.send(connection, answer)

    # -- the conversation

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections.add(connection)
                self.connects += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection:
                if self.greet(connection):
                    self.answer_requests(connection)
        except (OSError, EOFError):
            pass
        except Broken as broken:
            self.problems.append(str(broken))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            with self.changed:
                self.connections.discard(connection)

    def read_exactly(self, connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def read_message(self, connection, expected):
        """The values of the headers `expected`, and the payload as JSON."""
        prelude = self.read_exactly(connection, 12)
        total, headers_size, crc = struct.unpack(">III", prelude)
        if crc != binascii.crc32(prelude[:8]):
            raise Broken(f"wrong checksum of the lengths {prelude.hex()}")
        if not 16 + headers_size <= total <= (10_000 if self.lite else 16 << 20):
            raise Broken(f"lengths {total} and {headers_size}")
        rest = self.read_exactly(connection, total - 12)
        if struct.unpack(">I", rest[-4:])[0] != binascii.crc32(prelude + rest[:-4]):
            raise Broken("wrong checksum of a message")
        headers = decode_headers(rest[:headers_size])
        if headers and headers[0][2] == PING_RESPONSE:
            return None
        if [(name, code) for name, code, _ in headers] != expected:
            raise Broken(f"headers {headers}")
        values = [value for _, _, value in headers]
        payload = rest[headers_size:-4]
        if encode(list(zip([name for name, _ in expected], values)), payload) != prelude + rest:
            raise Broken(f"not the only way to write {headers}")
        body = json.loads(payload.decode(), object_pairs_hook=self.without_duplicates)
        if not isinstance(body, dict):
            raise Broken(f"the payload is no object: {payload}")
        return values, body

    @staticmethod
    def without_duplicates(pairs):
        if len(dict(pairs)) != len(pairs):
            raise Broken(f"a key twice in {pairs}")
        return dict(pairs)

    def greet(self, connection):
        (kind, flags, stream, version), body = self.read_message(connection, CONNECT_HEADERS)
        if (kind, flags, stream, version) != (CONNECT, 0, 0, "0.1.0"):
            raise Broken(f"greeting {kind} {flags} {stream} {version}")
        if list(body) != ["authToken"]:
            raise Broken(f"greeting with {list(body)}")
        if "connect" in self.silent:
            self.read_exactly(connection, 1)
        if "connect" in self.garbage:
            connection.sendall(self.garbage["connect"])
            self.read_exactly(connection, 1)
        accepted = body["authToken"] == self.SVCUID and not self.refuse_connections
        if not accepted and self.lite:
            return False  # it just closes
        self.send(connection, encode([(":message-type", CONNECT_ACK), (":message-flags", ACCEPTED if accepted else 0),
                                      (":stream-id", 0)], b""))
        if accepted and self.ping_first:
            self.send(connection, encode([(":message-type", PING), (":message-flags", 0), (":stream-id", 0)], b"{}"))
        return accepted

    def send(self, connection, data):
        try:
            if not self.single_bytes:
                connection.sendall(data)
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            for byte in data:
                connection.sendall(bytes([byte]))
        except OSError:
            pass

    def answer_requests(self, connection):
        streams = 0
        while True:
            read = self.read_message(connection, REQUEST_HEADERS)
            if read is None:
                continue
            (kind, flags, stream, name, model, content), body = read
            streams += 1
            if (kind, flags, stream) != (MESSAGE, 0, streams):
                raise Broken(f"request of type {kind}, flags {flags}, stream {stream} instead of {streams}")
            if not name.startswith(NAMESPACE) or model != name + "Request" or content != "application/json":
                raise Broken(f"request {name} {model} {content}")
            operation = name.removeprefix(NAMESPACE)
            self.on_request(operation, body)
            answer = self.answer(operation, body, stream)
            with self.changed:
                self.requests.append((operation, body))
                held = operation in self.held
                if held:
                    self.held_answers.append((connection, answer))
                self.changed.notify_all()
            if operation in self.garbage:
                connection.sendall(self.garbage[operation])
            elif operation not in self.silent and not held:
                self.send(connection, answer)

    def error(self, stream, name, message):
        body = {"_message": message, "_errorCode": name} if message or self.lite else {"_errorCode": name}
        return encode([(":message-type", ERROR), (":message-flags", END_OF_STREAM), (":stream-id", stream),
                       (":content-type", "application/json"), ("service-model-type", NAMESPACE + name)],
                      json.dumps(body).encode())

    def answer(self, operation, body, stream):
        if operation in self.raw_errors:
            return encode([(":message-type", ERROR), (":message-flags", END_OF_STREAM), (":stream-id", stream)],
                          self.raw_errors[operation])
        if operation in self.errors:
            return self.error(stream, *self.errors[operation])
        handler = {"ValidateAuthorizationToken": self.validate, "UpdateState": self.update_state,
                   "PutComponentMetric": self.put_metric, "UpdateConfiguration": self.update_configuration,
                   "GetConfiguration": self.get_configuration}.get(operation)
        if handler is None:
            raise Broken(f"unknown operation {operation}")
        result = handler(body)
        if isinstance(result, tuple):
            return self.error(stream, *result)
        return encode([(":message-type", MESSAGE), (":message-flags", END_OF_STREAM), (":stream-id", stream),
                       (":content-type", "application/json"),
                       ("service-model-type", f"{NAMESPACE}{operation}Response")], json.dumps(result).encode())

    # -- the operations; a pair is an error's name and text

    def must(self, right, what):
        if not right:
            raise Broken(what)

    def validate(self, body):
        self.must(list(body) == ["token"] and isinstance(body["token"], str), f"token request {list(body)}")
        if self.component != "aws.greengrass.StreamManager":
            return "UnauthorizedError", "Component does not have access to token verification IPC command."
        if body["token"] not in self.tokens:
            return "InvalidTokenError", "Invalid token used by stream manager when trying to authorize."
        return {"isValid": True}

    def update_state(self, body):
        self.must(body in ({"state": "RUNNING"}, {"state": "ERRORED"}), f"state request {body}")
        with self.changed:
            self.states.append(body["state"])
        return {}

    def put_metric(self, body):
        self.must(list(body) == ["metrics"] and body["metrics"], f"metrics request {body}")
        for metric in body["metrics"]:
            self.must(set(metric) == {"name", "unit", "value"}, f"metric {metric}")
            self.must(metric["name"] in METRIC_NAMES and len(metric["name"].encode()) <= 32, f"metric {metric}")
            self.must(metric["unit"] == "BYTES", f"metric {metric}")
            self.must(isinstance(metric["value"], float) and metric["value"] > 0, f"metric {metric}")
        if self.lite:
            return "ServiceError", ""
        with self.changed:
            for metric in body["metrics"]:
                self.metrics[metric["name"]] = self.metrics.get(metric["name"], 0) + metric["value"]
        return {}

    def update_configuration(self, body):
        self.must(set(body) == {"keyPath", "valueToMerge", "timestamp"}, f"configuration request {body}")
        self.must(body["keyPath"] == [] and isinstance(body["valueToMerge"], dict), f"configuration request {body}")
        self.must(isinstance(body["timestamp"], float) and 1.6e9 < body["timestamp"] < 5e9, "timestamp in seconds")
        with self.changed:
            self.configuration.update(body["valueToMerge"])
        return {}

    def get_configuration(self, body):
        self.must(set(body) == {"keyPath"} and len(body["keyPath"]) == 1, f"configuration request {body}")
        key = body["keyPath"][0]
        if key not in self.configuration:
            return "ResourceNotFoundError", "Key not found"
        value = self.configuration[key]
        # The classic nucleus knows numbers as floats, once they went through a deployment.
        return {"componentName": self.component, "value": {key: value}}


class NotifySocket:
    """Plays systemd: collects what is sent to NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lines = []
        self.on_line = lambda line: None
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        while True:
            try:
                data = self.socket.recv(4096)
            except OSError:
                return
            if not data:
                return
            for line in data.decode().splitlines():
                self.on_line(line)
                self.lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        os.unlink(self.path)
