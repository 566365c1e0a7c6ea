"""Clients that keep a store busy until it dies, and write down what they were told."""

import threading

import weir_client as w
from ledger import StreamLedger, payload_of
from weir_client import Client, ConnectionClosed, Refused


class Traffic:
    """Writers that pipeline and readers that follow. They end when the server does."""

    def __init__(self, port, problems):
        self.port = port
        self.problems = problems
        self.threads = []
        self.stopping = threading.Event()

    def start(self, action, *arguments):
        def guarded():
            try:
                action(*arguments)
            except (ConnectionClosed, OSError):
                pass  # the server died: that is what we are here for
            except Exception as error:  # a thread's failure would otherwise go unseen
                self.problems.append(f"{action.__name__}: {type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self.threads.append(thread)

    def write(self, stream, name, depth, rng_seed=0):
        self.start(self.write_until_closed, stream.connect(name), depth)

    def follow(self, stream, start):
        self.start(self.follow_until_closed, stream, start)

    def write_until_closed(self, connection, depth):
        waiting = 0
        with Client(self.port) as client:
            while waiting or not self.stopping.is_set():
                while waiting < depth and not self.stopping.is_set():
                    identity = connection.next_identity()
                    client.submit(w.APPEND, {"name": connection.stream.name,
                                             "payload": payload_of(identity)}, identity)
                    waiting += 1
                identity, response = client.next_answer()
                waiting -= 1
                if response["status"] == w.SUCCESS:
                    connection.acknowledge(identity, response["sequenceNumber"])
                else:
                    connection.refused.add(identity)
                    if response["status"] in (w.SERVER_TIMEOUT, w.INVALID_REQUEST):
                        return  # stopping, or full
                    self.stopping.wait(0.01)  # a full disk need not be asked without pause

    def follow_until_closed(self, stream, start):
        with Client(self.port) as client:
            while not self.stopping.is_set():
                try:
                    messages = client.read(stream.name, start, 1, 200, 1000)
                except Refused as refused:
                    if refused.status == w.NOT_ENOUGH_MESSAGES:
                        continue
                    if refused.status == w.SERVER_TIMEOUT:
                        return
                    raise
                for message in messages:
                    if message["sequenceNumber"] < start:
                        self.problems.append(f"{stream.name}: asked from {start}, got "
                                             f"{message['sequenceNumber']}")
                    stream.show(message, self.problems)
                    start = message["sequenceNumber"] + 1

    def join(self, deadline_s=60):
        for thread in self.threads:
            thread.join(deadline_s)
            if thread.is_alive():
                self.problems.append("a client hangs although the server is gone")
        self.threads = []


def create(client, name, **definition):
    """Creates a stream and returns its ledger; `strategy` 0 rejects, 1 overwrites."""
    ledger = StreamLedger(name, {"strategy": 0, **definition})
    members = {key: value for key, value in ledger.definition.items() if key != "strategy"}
    client.create(name, ledger.definition["strategy"], **members)
    return ledger
