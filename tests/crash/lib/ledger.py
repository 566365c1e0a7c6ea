"""What clients were told, and whether a store still agrees with it (reliability.md 6.5).

Every payload is derived from its id, so every byte that comes back can be checked without having
been remembered.
"""

import hashlib
import copy
import threading
import time

from weir_client import NOT_ENOUGH_MESSAGES, Refused


def payload_of(identity):
    """Mostly a few hundred bytes, sometimes many thousand; begins with the id."""
    digest = hashlib.blake2b(identity.encode()).digest()
    size = 10 + (digest[0] | digest[1] << 8) % 600
    if digest[2] < 4:
        size += 20_000
    if digest[2] == 255 and digest[3] < 64:
        size += 200_000
    head = identity.encode() + b"|"
    return (head + digest * (size // 64 + 1))[:max(size, len(head))]


def identity_of(payload):
    """The id, if the payload is genuine to the last byte; else None."""
    head, separator, _ = bytes(payload[:80]).partition(b"|")
    try:
        identity = head.decode("ascii")
    except UnicodeDecodeError:
        return None
    return identity if separator and payload_of(identity) == payload else None


class Connection:
    """What one client sent to one stream, in order, and what it was answered."""

    def __init__(self, name, stream):
        self.name = name
        self.stream = stream
        self.sent = []
        self.acknowledged = {}  # id -> number
        self.told = {}  # id -> when, by the monotonic clock
        self.refused = set()

    def acknowledge(self, identity, number):
        self.told[identity] = time.monotonic()
        self.acknowledged[identity] = number

    def next_identity(self):
        identity = f"{self.stream.name}.{self.name}.{len(self.sent)}"
        self.sent.append(identity)
        return identity


class StreamLedger:
    def __init__(self, name, definition):
        self.name = name
        self.definition = definition
        self.overwrites = definition.get("strategy", 0) == 1
        self.connections = []
        self.shown = {}  # number -> (id, ingest time), as readers were told
        self.highest_shown = -1
        self.oldest_shown = -1
        self.reported_position = -1
        self.lock = threading.Lock()

    def __deepcopy__(self, memo):
        """What was told until now, for one of several copies of a store."""
        twin = StreamLedger(self.name, dict(self.definition))
        memo[id(self)] = twin
        for name in ("connections", "shown", "highest_shown", "oldest_shown", "reported_position"):
            setattr(twin, name, copy.deepcopy(getattr(self, name), memo))
        return twin

    def connect(self, name):
        connection = Connection(name, self)
        with self.lock:
            self.connections.append(connection)
        return connection

    def show(self, message, problems):
        """A reader was given this message. What was read once reads the same ever after (O2)."""
        number, time = message["sequenceNumber"], message["ingestTime"]
        identity = identity_of(message["payload"])
        if identity is None:
            problems.append(f"{self.name}: message {number} was never appended: "
                            f"{bytes(message['payload'][:60])!r}...")
            return None
        with self.lock:
            before = self.shown.setdefault(number, (identity, time))
            self.highest_shown = max(self.highest_shown, number)
        if before != (identity, time):
            problems.append(f"{self.name}: message {number} was {before}, now it is "
                            f"{(identity, time)}")
        return identity

    def highest_told(self):
        told = [n for c in self.connections for n in c.acknowledged.values()]
        return max([self.highest_shown, self.reported_position, *told])


class Allowed:
    """What may be wrong after a mishap other than `kill -9`."""

    def __init__(self, gaps=False, lost=0, order_gaps=False):
        self.gaps = gaps  # numbers may be missing
        self.lost = lost  # so many acknowledged messages may be gone
        self.order_gaps = order_gaps  # of pipelined unanswered appends a later one may survive alone


def check_stream(client, stream, problems, allowed=None, append=True):
    """Reads the whole stream and compares it with what was told. Returns number -> id."""
    allowed = allowed or Allowed()
    info = client.describe(stream.name)
    for field, wanted in stream.definition.items():
        field = {"strategy": "strategyOnFull"}.get(field, field)
        if field != "exportDefinition" and info["definition"].get(field) != wanted:
            problems.append(f"{stream.name}: {field} is {info['definition'].get(field)}, not {wanted}")
    found = {}
    for message in client.read_all(stream.name):
        identity = stream.show(message, problems)
        number = message["sequenceNumber"]
        if found and number <= max(found):
            problems.append(f"{stream.name}: number {number} came after {max(found)}")
        found[number] = identity
    check_numbers(stream, found, info["storageStatus"], problems, allowed)
    check_messages(stream, found, problems, allowed)
    if append:
        check_fresh_append(client, stream, problems)
    return found


def check_numbers(stream, found, status, problems, allowed):
    oldest, newest = status["oldestSequenceNumber"], status["newestSequenceNumber"]
    if not found:
        if newest >= oldest and not allowed.gaps:
            problems.append(f"{stream.name}: describe says {oldest}..{newest}, reads find nothing")
        return
    if (min(found), max(found)) != (oldest, newest) and not allowed.gaps:
        problems.append(f"{stream.name}: describe says {oldest}..{newest}, reads find "
                        f"{min(found)}..{max(found)}")
    missing = max(found) - min(found) + 1 - len(found)
    if missing and not allowed.gaps:
        gap = next(n for n in range(min(found), max(found)) if n not in found)
        problems.append(f"{stream.name}: {missing} numbers are missing, the first is {gap}")
    if not stream.overwrites and min(found) != 0 and not allowed.gaps:
        problems.append(f"{stream.name}: begins with {min(found)}, nothing was to be removed")
    if min(found) < stream.oldest_shown:
        problems.append(f"{stream.name}: {min(found)} is back, the oldest was {stream.oldest_shown}")
    stream.oldest_shown = max(stream.oldest_shown, min(found))


def check_messages(stream, found, problems, allowed):
    numbers = {}
    for number, identity in found.items():
        if identity in numbers:
            problems.append(f"{stream.name}: {identity} is there twice, as {numbers[identity]} and "
                            f"{number}")
        numbers[identity] = number
    oldest = min(found, default=0) if stream.overwrites else 0
    lost, known = [], set()
    for connection in stream.connections:
        known.update(connection.sent)
        for identity, number in connection.acknowledged.items():
            if found.get(number) != identity and (number >= oldest and not (
                    stream.overwrites and not found)):
                lost.append(f"{identity} acknowledged as {number}, there is {found.get(number)}")
        check_order(stream, connection, numbers, oldest, problems, allowed)
    if len(lost) > allowed.lost:
        problems.append(f"{stream.name}: {len(lost)} acknowledged messages are gone, at most "
                        f"{allowed.lost} may be: {'; '.join(lost[:3])}")
    for identity in numbers:
        if identity is not None and identity not in known:
            problems.append(f"{stream.name}: {identity} was never sent")


def check_order(stream, connection, numbers, oldest, problems, allowed):
    """O1: increasing numbers in the order sent; nothing stored behind something that is not."""
    last, missing = -1, None
    for identity in connection.sent:
        if identity in connection.refused:
            if identity in numbers and not allowed.order_gaps:
                problems.append(f"{stream.name}: {identity} was refused and is stored")
            continue
        if identity not in numbers:
            missing = missing or identity
            continue
        if numbers[identity] < last:
            problems.append(f"{stream.name}: {identity} has {numbers[identity]}, behind {last}")
        last = numbers[identity]
        answered = missing in connection.acknowledged
        if missing and not answered and not allowed.order_gaps and oldest == 0:
            problems.append(f"{stream.name}: {identity} is stored, {missing} sent before is not")


def check_fresh_append(client, stream, problems):
    """A fresh append works and gets a number above everything ever told (Q2)."""
    told = stream.highest_told()
    connection = stream.connect(f"check{len(stream.connections)}")
    identity = connection.next_identity()
    try:
        number = client.append(stream.name, payload_of(identity))
    except Refused as refused:
        connection.refused.add(identity)
        if "is full" not in str(refused.text):
            problems.append(f"{stream.name}: a fresh append is refused: {refused}")
        return
    connection.acknowledge(identity, number)
    if number <= told:
        problems.append(f"{stream.name}: number {number} is given again, {told} was told before")


def readable(client, name):
    """Whether anything can be read at all; None if the stream does not exist."""
    try:
        client.read(name, 0, 1, 1)
        return True
    except Refused as refused:
        return {NOT_ENOUGH_MESSAGES: False}.get(refused.status)
