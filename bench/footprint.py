#!/usr/bin/python3
"""Memory and start times of weir: what a gateway pays for having it.

usage: bench/footprint.py [--build build/release] [--data DIR] [--mib 1024] [--streams 100] [--rounds 5]

Start time is from the start of the process to the line that says it accepts connections; the median
of the rounds. Memory is VmRSS.
"""
import argparse, os, shutil, signal, socket, statistics, struct, subprocess, tempfile, time

import cbor2

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Weir:
    """A started weir; stopped by its own process id."""

    def __init__(self, build, directory):
        config = f"{directory}/weir.yaml"
        with open(config, "w") as f:
            f.write(f"store:\n  directory: {directory}/store\nserver:\n  port: 0\n  authenticate_client: false\n"
                    "admin:\n  port: -1\n")
        os.makedirs(f"{directory}/store", 0o700, exist_ok=True)
        begun = time.monotonic()
        self.log = open(f"{directory}/log", "ab")
        self.process = subprocess.Popen([f"{build}/weir", "serve", "--config", config], stdout=subprocess.PIPE,
                                        stderr=self.log)
        line = self.process.stdout.readline().decode()
        self.started_in = time.monotonic() - begun
        if "port=" not in line:
            raise RuntimeError("weir did not start: " + open(f"{directory}/log").read()[-500:])
        self.port = int(line.split("port=")[1].split()[0])

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024

    def stop(self, number=signal.SIGTERM):
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        self.log.close()
        return time.monotonic() - begun


def settled(weir):
    """Memory once it has not changed for a second."""
    last, since = None, time.monotonic()
    while time.monotonic() - since < 1:
        now = round(weir.memory_mib(), 1)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return last


def load(build, weir, mode, *arguments):
    subprocess.run([f"{build}/bench/wire_load", "weir", str(weir.port), mode, *map(str, arguments)], check=True,
                   stdout=subprocess.DEVNULL)


def connect(port):
    """A client that has introduced itself and says nothing more."""
    hello = b"\x01" + cbor2.dumps({"requestId": "1", "protocolVersion": "1.1.0", "sdkVersion": "1.1.0"})
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"\x01" + struct.pack(">I", len(hello)) + hello)
    connection.recv(1000)
    return connection


def idle(build, data):
    directory = tempfile.mkdtemp(prefix="idle-", dir=data)
    try:
        starts = []
        for _ in range(10):
            weir = Weir(build, directory)
            starts.append(weir.started_in)
            weir.stop()
        weir = Weir(build, directory)
        print(f"start, empty store: {statistics.median(starts) * 1000:.0f} ms (goal 100); "
              f"memory idle: {settled(weir):.1f} MiB (goal 10)")
        connections = [connect(weir.port) for _ in range(1000)]
        print(f"memory with 1,000 idle connections: {settled(weir):.1f} MiB (goal 40)")
        for connection in connections:
            connection.close()
        weir.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def filled(build, data, options):
    directory = tempfile.mkdtemp(prefix="filled-", dir=data)
    try:
        messages = options.mib * 1024 * 1024 // 512 // 1000 * 1000
        weir = Weir(build, directory)
        load(build, weir, "append", "--messages", messages, "--window", 1000, "--streams", options.streams)
        print(f"{options.mib} MiB appended to {options.streams} streams: memory {weir.memory_mib():.1f} MiB; "
              f"ordered stop right after: {weir.stop():.2f} s (goal 10)")
        starts = {}
        for name, number in (("a clean stop", signal.SIGTERM), ("kill -9", signal.SIGKILL)):
            starts[name] = []
            for _ in range(options.rounds):
                weir = Weir(build, directory)
                weir.stop(number)
                again = Weir(build, directory)
                starts[name].append(again.started_in)
                again.stop()
            print(f"start with {options.mib} MiB in {options.streams} streams after {name}: "
                  f"{statistics.median(starts[name]) * 1000:.0f} ms" + (" (goal 1,000)" if number == signal.SIGTERM else ""))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def read_back(build, data, options):
    directory = tempfile.mkdtemp(prefix="read-", dir=data)
    try:
        messages = options.mib * 1024 * 1024 // 512 // 1000 * 1000
        weir = Weir(build, directory)
        load(build, weir, "append", "--messages", messages, "--window", 1000)
        before = settled(weir)
        load(build, weir, "read", "--messages", messages, "--batch", 1000)
        print(f"memory before and after reading {options.mib} MiB back: {before:.1f} and {settled(weir):.1f} MiB")
        weir.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def many(build, data, streams):
    directory = tempfile.mkdtemp(prefix="many-", dir=data)
    try:
        weir = Weir(build, directory)
        begun = time.monotonic()
        load(build, weir, "append", "--messages", streams, "--clients", 16, "--streams", streams)
        print(f"{streams:,} streams created and written to once: {time.monotonic() - begun:.1f} s; "
              f"memory {settled(weir):.1f} MiB; ordered stop {weir.stop():.2f} s")
        weir = Weir(build, directory)
        print(f"start with {streams:,} streams: {weir.started_in * 1000:.0f} ms; memory {settled(weir):.1f} MiB")
        weir.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--data", default=None)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    require(options.build, "weir", "bench/wire_load")
    data = options.data or os.path.join(options.build, "bench-data")
    os.makedirs(data, exist_ok=True)
    idle(options.build, data)
    filled(options.build, data, options)
    read_back(options.build, data, options)
    many(options.build, data, options.many)


if __name__ == "__main__":
    main()
