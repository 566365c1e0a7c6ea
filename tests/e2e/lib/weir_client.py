"""A client of the stream manager protocol, written from protocol.md and sharing no code with weir.

It is what the tests look through, so it can be as odd on the wire as the SDKs are: maps and text of
indefinite length, frames sent byte by byte, fields that are null, any request id.
"""

import contextlib
import io
import socket
import struct
import threading
import uuid

import cbor2

CONNECT, CREATE, DELETE, APPEND, READ = 1, 2, 3, 4, 5
CONNECT_RESPONSE = 6
LIST, DESCRIBE, UPDATE = 11, 13, 15
UNKNOWN_OPERATION_ERROR = 17
RESPONSE_OF = {CONNECT: 6, CREATE: 7, DELETE: 8, APPEND: 9, READ: 10, LIST: 12, DESCRIBE: 14,
               UPDATE: 16}

SUCCESS = 0
UNKNOWN_FAILURE = 1
UNAUTHORIZED = 2
INVALID_REQUEST = 3
REQUEST_PAYLOAD_TOO_LARGE = 4
RESOURCE_NOT_FOUND = 5
SERVER_TIMEOUT = 6
RESPONSE_PAYLOAD_TOO_LARGE = 7
UNSUPPORTED_CONNECT_VERSION = 8
UNEXPECTED_OPERATION = 9
UNSUPPORTED_PROTOCOL_VERSION = 10
INVALID_PROTOCOL_VERSION = 11
NOT_ENOUGH_MESSAGES = 13
MESSAGE_STORE_READ_ERROR = 14
UPDATE_FAILED = 16
UPDATE_NOT_ALLOWED = 17
UNKNOWN_OPERATION = 18

REJECT_NEW_DATA, OVERWRITE_OLDEST_DATA = 0, 1
FILE, MEMORY = 0, 1


class ConnectionClosed(Exception):
    """The server closed the connection (in order: an end of file, not a reset)."""


class ConnectionReset(ConnectionClosed):
    """The server reset the connection: an answer under way may have been lost."""


class Refused(Exception):
    """An answer with a status other than 0."""

    def __init__(self, response):
        super().__init__(f"status {response.get('status')}: {response.get('errorMessage')}")
        self.status = response.get("status")
        self.text = response.get("errorMessage")
        self.response = response


# ------------------------------------------------------------------------------------- encodings


def definite(item):
    """CBOR as the Python and Node SDKs send it."""
    return cbor2.dumps(item)


def _head(major, length):
    if length < 24:
        return bytes([major << 5 | length])
    for code, size, form in ((24, 1, ">B"), (25, 2, ">H"), (26, 4, ">I"), (27, 8, ">Q")):
        if length < 1 << (8 * size):
            return bytes([major << 5 | code]) + struct.pack(form, length)
    raise ValueError(length)


def like_java(item):
    """CBOR as the Java SDKs send it: maps of indefinite length, text over 3996 bytes in chunks."""
    out = io.BytesIO()

    def write(value):
        if isinstance(value, dict):
            out.write(b"\xbf")
            for key, member in value.items():
                write(key)
                write(member)
            out.write(b"\xff")
        elif isinstance(value, (list, tuple)):
            out.write(_head(4, len(value)))
            for member in value:
                write(member)
        elif isinstance(value, str) and len(value.encode()) > 3996:
            data = value.encode()
            out.write(b"\x7f")
            for at in range(0, len(data), 3996):
                piece = data[at:at + 3996]
                out.write(b"\x79" + struct.pack(">H", len(piece)) + piece)
            out.write(b"\xff")
        else:
            out.write(cbor2.dumps(value))

    write(item)
    return out.getvalue()


def all_indefinite(item):
    """Every map, array, text and byte string of indefinite length, with a tag before each map."""
    out = io.BytesIO()

    def write(value):
        if isinstance(value, dict):
            out.write(b"\xd9\xd9\xf7\xbf")
            for key, member in value.items():
                write(key)
                write(member)
            out.write(b"\xff")
        elif isinstance(value, (list, tuple)):
            out.write(b"\x9f")
            for member in value:
                write(member)
            out.write(b"\xff")
        elif isinstance(value, str):
            data = value.encode()
            middle = len(data) // 2
            out.write(b"\x7f" + _head(3, middle) + data[:middle]
                      + _head(3, len(data) - middle) + data[middle:] + b"\xff")
        elif isinstance(value, bytes):
            middle = len(value) // 2
            out.write(b"\x5f" + _head(2, middle) + value[:middle]
                      + _head(2, len(value) - middle) + value[middle:] + b"\xff")
        else:
            out.write(cbor2.dumps(value))

    write(item)
    return out.getvalue()


def frame(operation, payload):
    return struct.pack(">ib", 1 + len(payload), operation) + payload


# ------------------------------------------------------------------------------- sending habits


def in_one_write(sock, data):
    sock.sendall(data)


def header_then_payload(sock, data):
    """Python and Node: five bytes, then the payload."""
    sock.sendall(data[:5])
    if len(data) > 5:
        sock.sendall(data[5:])


def header_byte_by_byte(sock, data):
    """Java: five writes of one byte, then the payload."""
    for at in range(min(5, len(data))):
        sock.sendall(data[at:at + 1])
    if len(data) > 5:
        sock.sendall(data[5:])


def byte_by_byte(sock, data):
    for at in range(len(data)):
        sock.sendall(data[at:at + 1])


# -------------------------------------------------------------------------------------- clients


class Wire:
    """A TCP connection that speaks frames and nothing more. `timeout` is a deadline for failing
    tests, never a pause."""

    def __init__(self, port, host="127.0.0.1", timeout=20.0, send=in_one_write):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send_habit = send
        self.buffer = b""

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.send_habit(self.sock, data)

    def send_frame(self, operation, payload):
        self.send(frame(operation, payload))

    def receive(self, size):
        while len(self.buffer) < size:
            try:
                piece = self.sock.recv(1 << 20)
            except ConnectionResetError as error:
                raise ConnectionReset("reset by the server") from error
            if not piece:
                raise ConnectionClosed(f"closed with {len(self.buffer)} of {size} bytes received")
            self.buffer += piece
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def receive_frame(self):
        length, operation = struct.unpack(">ib", self.receive(5))
        payload = self.receive(length - 1)
        stream = io.BytesIO(payload)
        item = cbor2.load(stream)
        if stream.read(1):
            raise AssertionError("bytes after the map of a response")
        return operation, item

    def expect_close(self):
        """Waits for the server to close; anything it still sends is a failure."""
        try:
            data = self.receive(1)
        except ConnectionClosed:
            return
        raise AssertionError(f"the server sent {data!r} instead of closing")

    def handshake(self, request=None, version=1, encode=definite):
        """Sends the connect version and ConnectRequest; returns the ConnectResponse."""
        if request is None:
            request = connect_request()
        self.send(bytes([version]) + frame(CONNECT, encode(request)))
        return self.receive_handshake()

    def receive_handshake(self):
        version = self.receive(1)
        assert version == b"\x01", f"connect version {version!r}"
        operation, response = self.receive_frame()
        assert operation == CONNECT_RESPONSE, f"operation {operation} instead of ConnectResponse"
        return response


def connect_request(token=None, version="1.1.0", others=("1.0.0",), sdk_version="1.1.1"):
    request = {"requestId": str(uuid.uuid4()), "protocolVersion": version}
    if others:
        request["otherSupportedProtocolVersions"] = list(others)
    request["sdkVersion"] = sdk_version
    if token is not None:
        request["authToken"] = token
    return request


class Client:
    """A connected client. One request at a time with `call` and the named operations; `submit` and
    `collect` pipeline. Raises Refused for every status other than 0."""

    def __init__(self, port, token=None, encode=definite, send=in_one_write, version="1.1.0",
                 others=("1.0.0",), timeout=20.0, host="127.0.0.1"):
        self.encode = encode
        self.wire = Wire(port, host, timeout, send)
        self.waiting = {}
        self.early = {}
        self.lock = threading.Lock()
        try:
            self.connected = self.wire.handshake(
                connect_request(token, version, others), encode=encode)
        except BaseException:
            self.wire.close()
            raise
        if self.connected["status"] != SUCCESS:
            self.wire.close()
            raise Refused(self.connected)

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- pipelining

    def submit(self, operation, fields, request_id=None):
        """Sends a request without waiting; returns its id for `collect`."""
        request_id = request_id or str(uuid.uuid4())
        with self.lock:
            self.waiting[request_id] = operation
            self.wire.send_frame(operation, self.encode({"requestId": request_id, **fields}))
        return request_id

    def next_answer(self):
        """The next answer on the connection, whichever request it belongs to."""
        operation, response = self.wire.receive_frame()
        request_id = response["requestId"]
        sent = self.waiting.pop(request_id, None)
        assert sent is not None, f"an answer to a request that was not sent: {response}"
        wanted = RESPONSE_OF.get(sent, UNKNOWN_OPERATION_ERROR)
        assert operation == wanted, f"operation {operation} answers {sent}, not {wanted}"
        return request_id, response

    def collect(self, request_id):
        while request_id not in self.early:
            answered, response = self.next_answer()
            self.early[answered] = response
        return self.early.pop(request_id)

    # -- operations

    def call(self, operation, fields, request_id=None):
        """Sends one request; returns the response, whatever its status."""
        return self.collect(self.submit(operation, fields, request_id))

    def must(self, operation, fields):
        response = self.call(operation, fields)
        if response["status"] != SUCCESS:
            raise Refused(response)
        return response

    def create(self, name, strategy=OVERWRITE_OLDEST_DATA, **members):
        """Creates a stream; `members` by their wire names (maxSize, flushOnWrite, ...)."""
        self.must(CREATE, {"definition": {"name": name, "strategyOnFull": strategy, **members}})

    def update(self, name, strategy=OVERWRITE_OLDEST_DATA, **members):
        self.must(UPDATE, {"definition": {"name": name, "strategyOnFull": strategy, **members}})

    def delete(self, name):
        self.must(DELETE, {"name": name})

    def append(self, name, payload):
        return self.must(APPEND, {"name": name, "payload": payload})["sequenceNumber"]

    def append_all(self, name, payloads):
        """Appends pipelined; returns the sequence numbers in the order sent."""
        ids = [self.submit(APPEND, {"name": name, "payload": payload}) for payload in payloads]
        numbers = []
        for request_id in ids:
            response = self.collect(request_id)
            if response["status"] != SUCCESS:
                raise Refused(response)
            numbers.append(response["sequenceNumber"])
        return numbers

    def read(self, name, start=None, minimum=None, maximum=None, timeout_ms=None):
        options = {key: value for key, value in (
            ("desiredStartSequenceNumber", start), ("minMessageCount", minimum),
            ("maxMessageCount", maximum), ("readTimeoutMillis", timeout_ms)) if value is not None}
        request = {"streamName": name}
        if options:
            request["readMessagesOptions"] = options
        return self.must(READ, request)["messages"]

    def read_all(self, name, start=0):
        """Every message from `start` to the newest, in reads of a thousand."""
        messages = []
        while True:
            try:
                found = self.read(name, start, 1, 1000)
            except Refused as refused:
                if refused.status == NOT_ENOUGH_MESSAGES:
                    return messages
                raise
            messages += found
            start = found[-1]["sequenceNumber"] + 1

    def list(self):
        return self.must(LIST, {})["streams"]

    def describe(self, name):
        return self.must(DESCRIBE, {"name": name})["messageStreamInfo"]
