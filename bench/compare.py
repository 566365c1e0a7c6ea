#!/usr/bin/python3
"""Runs the same work against weir, the ceiling and other brokers, one after the other in each
round, and prints every figure as a ratio to the ceiling of the same round; median of the rounds.

usage: bench/compare.py [--rounds 5] [--targets weir,redis,nats,mosquitto] [--rows one,sixteen,...]
                     [--build build/release] [--scale 1.0] [--json FILE]

Needs redis-server, nats-server and mosquitto for those targets (Debian packages). Everything
listens on loopback; data goes to a temporary directory under --data (default: build directory).
"""
import argparse, collections, json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

Row = collections.namedtuple("Row", "name title messages options durable read pinned goal")
ROWS = [
    # A waiting client and its server take turns, so both are put on one core: with two, the figure
    # is the machine's wake-up time and not the server's work.
    Row("one", "one client that waits for each answer", 200_000, [], False, None, True, 0.90),
    Row("sixteen", "16 such clients", 400_000, ["--clients", "16"], False, None, False, 0.85),
    Row("pipelined", "one client, 1,000 in flight", 1_000_000, ["--window", "1000"], False, None, False, 0.60),
    Row("durable", "durable before the answer, one client", 10_000, ["--durable"], True, None, False, 1.00),
    Row("durable64", "durable before the answer, 64 clients", 150_000, ["--durable", "--clients", "64"], True, None, False, 0.85),
    Row("read100", "read back in batches of 100", 1_000_000, ["--window", "1000"], False, 100, True, 0.75),
    Row("read1000", "read back in batches of 1,000", 1_000_000, ["--window", "1000"], False, 1000, False, 0.75),
    Row("streams", "1,000 streams, 16 clients", 400_000, ["--clients", "16", "--streams", "1000"], False, None, False, None),
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process):
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return port
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen on {port}")


class Server:
    """One started server; stopped by its own process id."""

    def __init__(self, target, row, build, data):
        self.directory = tempfile.mkdtemp(prefix=f"{target}-", dir=data)
        pin = ["taskset", "-c", "0"] if row.pinned else []
        getattr(self, "start_" + target)(pin, row, build)

    def launch(self, args, **kwargs):
        self.log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(args, stderr=self.log, **kwargs)
        return self.process

    def start_ceiling(self, pin, row, build):
        args = pin + [f"{build}/bench/ceiling", f"{self.directory}/records"]
        process = self.launch(args + (["--flush"] if row.durable else []), stdout=subprocess.PIPE)
        self.port = int(process.stdout.readline().split()[1])

    def start_weir(self, pin, row, build):
        config = os.path.join(self.directory, "weir.yaml")
        os.mkdir(f"{self.directory}/store", 0o700)
        with open(config, "w") as f:
            f.write(f"store:\n  directory: {self.directory}/store\n"
                    "server:\n  port: 0\n  authenticate_client: false\nadmin:\n  port: -1\n")
        process = self.launch(pin + [f"{build}/weir", "serve", "--config", config], stdout=subprocess.PIPE)
        line = process.stdout.readline().decode()
        if "port=" not in line:
            raise RuntimeError("weir did not start: " + open(self.log.name).read())
        self.port = int(line.split("port=")[1].split()[0])

    def start_redis(self, pin, row, build):
        self.port = free_port()
        self.launch(pin + ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory,
                           "--appendonly", "yes", "--save", "", "--appendfsync", "always" if row.durable else "everysec"],
                    stdout=subprocess.DEVNULL)
        wait_port(self.port, self.process)

    def start_nats(self, pin, row, build):
        self.port = free_port()
        config = os.path.join(self.directory, "nats.conf")
        with open(config, "w") as f:
            f.write(f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.directory}/js" }}\n')
        self.launch(pin + ["nats-server", "-c", config], stdout=subprocess.DEVNULL)
        wait_port(self.port, self.process)

    def start_mosquitto(self, pin, row, build):
        self.port = free_port()
        config = os.path.join(self.directory, "mosquitto.conf")
        with open(config, "w") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                    f"persistence_location {self.directory}/\nautosave_interval 1\nuser root\n"
                    "max_inflight_messages 0\nmax_queued_messages 0\n")
        self.launch(pin + ["mosquitto", "-c", config], stdout=subprocess.DEVNULL)
        wait_port(self.port, self.process)

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def load(build, target, server, row, mode, messages, extra):
    pin = ["taskset", "-c", "0"] if row.pinned else []
    args = pin + [f"{build}/bench/wire_load", target, str(server.port), mode, "--messages", str(messages),
                  "--pid", str(server.process.pid)] + extra
    done = subprocess.run(args, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def able(target, row):
    """Mosquitto has nothing to read back; neither it nor Debian's NATS can sync before it answers."""
    return not (target == "mosquitto" and row.read) and not (target in ("mosquitto", "nats") and row.durable)


def measure(build, data, target, row, scale):
    messages = max(1000, int(row.messages * scale) // 1000 * 1000)
    server = Server(target, row, build, data)
    try:
        figures = load(build, target, server, row, "append", messages, row.options)
        if row.read:
            figures = load(build, target, server, row, "read", messages, ["--batch", str(row.read)])
        figures["memory_kib"] = server.memory_kib()
        return figures
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--targets", default="weir,redis,nats,mosquitto")
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS))
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--data", default=None)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", default=None)
    options = parser.parse_args()
    require(options.build, "weir", "bench/ceiling", "bench/wire_load")
    data = options.data or os.path.join(options.build, "bench-data")
    os.makedirs(data, exist_ok=True)
    targets = [t for t in options.targets.split(",") if t]
    rows = [row for row in ROWS if row.name in options.rows.split(",")]
    results = {}
    for row in rows:
        samples = collections.defaultdict(list)
        failures = {}
        for _ in range(options.rounds):
            ceiling = measure(options.build, data, "ceiling", row, options.scale) if row.name != "streams" else None
            if ceiling:
                samples["ceiling"].append((ceiling["rate"], 1.0, 1.0, ceiling["memory_kib"]))
            for target in targets:
                if target in failures or not able(target, row):
                    continue
                try:
                    got = measure(options.build, data, target, row, options.scale)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failures[target] = str(error)[:200]
                    continue
                base = ceiling or got
                cpu = got["processor_seconds_per_million"] / max(base["processor_seconds_per_million"], 1e-9)
                samples[target].append((got["rate"], got["rate"] / base["rate"], cpu, got["memory_kib"]))
        results[row.name] = {t: [statistics.median(c) for c in zip(*v)] for t, v in samples.items()}
        print(f"\n{row.title}" + (f" (goal {row.goal:.2f})" if row.goal else " (goal: ahead of redis)"))
        for target, (rate, ratio, cpu, memory) in results[row.name].items():
            print(f"  {target:10} {rate:12,.0f}/s   x ceiling {ratio:5.2f}   processor x ceiling {cpu:5.2f}   {memory / 1024:7.1f} MiB")
        for target, why in failures.items():
            print(f"  {target:10} did not run: {why}")
        sys.stdout.flush()
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
