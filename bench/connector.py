#!/usr/bin/python3
"""How fast requests of 512 bytes in JSON, QoS 1, flow from mosquitto through the Firehose connector
(stored, acknowledged, sent to an endpoint that answers at once, answered on the status topic), beside
a bare subscriber of libmosquitto that only acknowledges, in the same round with the same broker
settings; median of the rounds. Then: memory with many records queued on the disk.

usage: bench/connector.py [--rounds 5] [--messages 100000] [--queued 100000] [--window 100] [--build build/release]

--window N sets max_inflight_messages of the broker (its default is 20).
"""
import argparse, os, shutil, socket, statistics, subprocess, tempfile, time, urllib.request

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARN = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/lake"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Broker:
    def __init__(self, directory, window):
        self.port = free_port()
        with open(f"{directory}/mosquitto.conf", "w") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n"
                    f"user root\nset_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages {window}\n")
        self.process = subprocess.Popen(["mosquitto", "-c", f"{directory}/mosquitto.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)


class Load:
    def __init__(self, build, role, broker, count):
        self.process = subprocess.Popen([f"{build}/bench/mqtt_load", role, str(broker.port), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def seconds(self):
        word, seconds = self.process.stdout.readline().split()
        self.process.wait(60)
        return float(seconds)


class Weir:
    def __init__(self, build, directory, broker, sink, most, interval):
        os.makedirs(f"{directory}/store", 0o700, exist_ok=True)
        with open(f"{directory}/weir.yaml", "w") as f:
            f.write(f"store: {{directory: {directory}/store}}\nserver: {{port: 0, authenticate_client: false}}\n"
                    "admin: {port: 0}\nexport:\n  aws:\n    region: eu-west-1\n"
                    f"    service_endpoint_urls: {{firehose: \"http://127.0.0.1:{sink}\"}}\n"
                    f"connectors:\n  - type: firehose\n    broker: mqtt://127.0.0.1:{broker.port}\n"
                    f"    default_delivery_stream_arn: {ARN}\n    publish_interval_s: {interval}\n"
                    f"    queue_records_max: {most}\n    queue_bytes_max: {1 << 30}\n")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        with open(f"{directory}/log", "ab") as log:
            self.process = subprocess.Popen([f"{build}/weir", "serve", "--config", f"{directory}/weir.yaml"],
                                            stdout=subprocess.PIPE, stderr=log, env=environment)
        line = self.process.stdout.readline().decode()
        self.admin = int(line.split("admin=")[1].split()[0])
        self.wait("weir_connector_connected", 1)

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))

    def wait(self, name, value):
        while self.metric(name) < value:
            time.sleep(0.005)

    def memory_kib(self, what):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(what))

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Round:
    """A broker and a directory that go away at the end."""

    def __init__(self, options):
        self.options, self.processes = options, []

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="connector-", dir=self.options.data)
        self.broker = Broker(self.directory, self.options.window)
        self.processes.append(self.broker.process)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait(60)
        shutil.rmtree(self.directory)

    def sink(self):
        process = subprocess.Popen([f"{self.options.build}/bench/kinesis_sink"], stdout=subprocess.PIPE)
        self.processes.append(process)
        return int(process.stdout.readline().split()[1])

    def weir(self, sink, most, interval):
        weir = Weir(self.options.build, self.directory, self.broker, sink, most, interval)
        self.processes.append(weir.process)
        return weir


def bare(options):
    with Round(options) as here:
        subscriber = Load(options.build, "subscribe", here.broker, options.messages)
        publisher = Load(options.build, "publish", here.broker, options.messages)
        publisher.go()
        rate = options.messages / subscriber.seconds()
        publisher.seconds()
        return rate


def through_weir(options):
    with Round(options) as here:
        weir = here.weir(here.sink(), options.messages, 1)
        publisher = Load(options.build, "publish", here.broker, options.messages)
        before, began = weir.processor_seconds(), time.monotonic()
        publisher.go()
        weir.wait("weir_connector_stored_records_total", options.messages)
        rate = options.messages / (time.monotonic() - began)
        publisher.seconds()
        weir.wait("weir_connector_records_total", options.messages)
        whole = options.messages / (time.monotonic() - began)
        return rate, whole, weir.processor_seconds() - before, weir.memory_kib("VmHWM")


def queued(options):
    with Round(options) as here:
        weir = here.weir(1, options.queued, 900)  # nothing listens there
        publisher = Load(options.build, "publish", here.broker, options.queued)
        publisher.go()
        publisher.seconds()
        weir.wait("weir_connector_stored_records_total", options.queued)
        return weir.memory_kib("VmRSS"), weir.memory_kib("VmHWM")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--data", default=None, help="where the stores are made")
    options = parser.parse_args()
    require(options.build, "weir", "bench/mqtt_load", "bench/kinesis_sink")
    rounds = [(bare(options), through_weir(options)) for _ in range(options.rounds)]
    alone = statistics.median(rate for rate, _ in rounds)
    rate = statistics.median(result[0] for _, result in rounds)
    print(f"bare subscriber             {alone:9,.0f} messages/s")
    print(f"stored and acknowledged     {rate:9,.0f} messages/s, ratio "
          f"{statistics.median(result[0] / base for base, result in rounds):.2f}")
    print(f"until sent and written down {statistics.median(r[1] for _, r in rounds):9,.0f} messages/s")
    print(f"processor                   {statistics.median(r[2] for _, r in rounds) / options.messages * 1e6:9.1f} s "
          "for a million messages")
    print(f"largest memory              {max(r[3] for _, r in rounds) / 1024:9.1f} MiB")
    if options.queued:
        now, most = queued(options)
        print(f"memory, {options.queued:,} records queued {now / 1024:.1f} MiB, at most {most / 1024:.1f} MiB before")


if __name__ == "__main__":
    main()
