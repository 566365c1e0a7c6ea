#!/usr/bin/python3
"""Breaks each promise on purpose, in a store that only pretends, and shows that the checker of the
other campaigns notices: a checker that has never failed proves nothing.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from campaign import Campaign  # noqa: E402
from ledger import StreamLedger, check_stream, identity_of, payload_of  # noqa: E402


class PretendedStore:
    """A client of a stream that is a list; `messages` may be tampered with."""

    def __init__(self):
        self.messages = []
        self.next = 0

    def append(self, _, payload):
        self.messages.append({"sequenceNumber": self.next, "ingestTime": 7, "payload": payload})
        self.next += 1
        return self.next - 1

    def read_all(self, _):
        return list(self.messages)

    def describe(self, name):
        numbers = [m["sequenceNumber"] for m in self.messages] or [0]
        newest = numbers[-1] if self.messages else -1
        return {"definition": {"name": name, "strategyOnFull": 0},
                "storageStatus": {"oldestSequenceNumber": numbers[0],
                                  "newestSequenceNumber": newest}}


def prepared():
    store, stream = PretendedStore(), StreamLedger("s", {"strategy": 0})
    connection = stream.connect("w")
    for _ in range(5):
        identity = connection.next_identity()
        connection.acknowledge(identity, store.append("s", payload_of(identity)))
    for _ in range(2):  # sent, stored, never answered
        store.append("s", payload_of(connection.next_identity()))
    for message in store.messages:
        stream.show(message, [])
    return store, stream, connection


def nothing(store, stream, connection):
    pass


def lose_an_acknowledged_message(store, stream, connection):
    store.messages = store.messages[:4]


def lose_one_in_the_middle(store, stream, connection):
    del store.messages[2]


def change_a_byte(store, stream, connection):
    payload = bytearray(store.messages[3]["payload"])
    payload[-1] ^= 1
    store.messages[3]["payload"] = bytes(payload)


def store_a_message_twice(store, stream, connection):
    store.append("s", store.messages[0]["payload"])


def swap_two(store, stream, connection):
    a, b = store.messages[1], store.messages[2]
    a["payload"], b["payload"] = b["payload"], a["payload"]


def give_a_number_again(store, stream, connection):
    del store.messages[5:]
    store.next = 5


def change_the_time(store, stream, connection):
    store.messages[0]["ingestTime"] = 8


def keep_a_later_one_of_a_pipeline(store, stream, connection):
    connection.sent.insert(5, "s.w.never")


def keep_a_refused_one(store, stream, connection):
    connection.refused.add(connection.sent[5])


def make_a_message_up(store, stream, connection):
    store.append("s", payload_of("s.nobody.0"))


def report_another_range(store, stream, connection):
    real = store.describe
    store.describe = lambda name: {**real(name), "storageStatus": {
        "oldestSequenceNumber": 0, "newestSequenceNumber": 3}}


def forget_the_definition(store, stream, connection):
    stream.definition["flushOnWrite"] = True


BROKEN = [lose_an_acknowledged_message, lose_one_in_the_middle, change_a_byte,
          store_a_message_twice, swap_two, give_a_number_again, change_the_time,
          keep_a_later_one_of_a_pipeline, keep_a_refused_one, make_a_message_up,
          report_another_range, forget_the_definition]


def check(problems, tamper, noticed):
    store, stream, connection = prepared()
    tamper(store, stream, connection)
    found = []
    check_stream(store, stream, found)
    if bool(found) != noticed:
        problems.append(f"found {found}")


def payloads(problems):
    for number in range(500):
        payload = payload_of(f"s.w.{number}")
        if identity_of(payload) != f"s.w.{number}":
            problems.append(f"{number} is not recognised")
        if identity_of(payload[:-1]) is not None or identity_of(payload + b"x") is not None:
            problems.append(f"{number} is recognised although its length is wrong")


def main():
    campaign = Campaign(__doc__)
    campaign.case("the checker accepts what is right", check, nothing, False)
    for tamper in BROKEN:
        campaign.case(f"the checker notices: {tamper.__name__.replace('_', ' ')}", check, tamper,
                      True)
    campaign.case("payloads are recognised by every byte", payloads)
    campaign.finish()


main()
