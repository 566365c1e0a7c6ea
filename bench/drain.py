#!/usr/bin/python3
"""How fast weir drains a backlog to Kinesis when the endpoint answers at once, beside a loop of
libcurl PUTs of the same bodies to the same endpoint in the same round; median of the rounds.

usage: bench/drain.py [--rounds 5] [--messages 1000000] [--build build/release] [--data DIR] [--exports 1,10] [--quick-endpoint]
       bench/drain.py --beside [--rounds 3]
       bench/drain.py --limit 8000 [--seconds 60]

Figures: messages and bytes of request bodies a second, weir's ratio to the loop, processor seconds
for a million messages, weir's largest memory, and for several exports the share of the slowest at
the moment the first was done. --quick-endpoint: the endpoint takes a tenth of the processor time for a call, which the loop
gains in full; weir shares the cores with it.

--beside: what appends lose while 1 GiB drains from the stream they go to. --limit: the rate that a bandwidth limit,
in kbit/s, comes to over the seconds, with five exports.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile, time, urllib.request

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(args, **kwargs):
    process = subprocess.Popen(args, stdout=subprocess.PIPE, **kwargs)
    line = process.stdout.readline().decode()
    if "port" not in line:
        raise RuntimeError(f"{args[0]} did not start")
    return process, int(line.replace("=", " ").split("port ")[1].split()[0])


def figures(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return json.load(answer)


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def configure(path, directory, names, sink, more=""):
    text = (f"store:\n  directory: {directory}/store\nserver:\n  port: 0\n  authenticate_client: false\n"
            "admin:\n  port: -1\n")
    if sink:
        text += (f"export:\n{more}  aws:\n    region: eu-west-1\n"
                 f"    service_endpoint_urls: {{kinesis: \"http://127.0.0.1:{sink}\"}}\nstreams:\n")
        for name in names:
            text += (f"  - name: {name}\n    max_size_bytes: {64 << 30}\n    exports:\n"
                     f"      - type: kinesis\n        identifier: out\n        stream: {name}\n        batch_size: 500\n")
    with open(path, "w") as f:
        f.write(text)


def run_weir(build, directory, config):
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    with open(f"{directory}/log", "ab") as log:
        return start([f"{build}/weir", "serve", "--config", config], stderr=log, env=environment)


def stop(process):
    process.terminate()
    process.wait(60)


def drain(build, data, exports, messages, quick):
    directory = tempfile.mkdtemp(prefix="drain-", dir=data)
    os.mkdir(f"{directory}/store", 0o700)
    config = f"{directory}/weir.yaml"
    names = [f"load{i}" for i in range(exports)]
    try:
        configure(config, directory, names, None)
        weir, port = run_weir(build, directory, config)
        subprocess.run([f"{build}/bench/wire_load", "weir", str(port), "append", "--messages", str(messages),
                        "--window", "1000", "--streams", str(exports)], check=True, stdout=subprocess.DEVNULL)
        stop(weir)
        each = messages // exports
        sink, sink_port = start([f"{build}/bench/kinesis_sink", str(each), *(["quick"] if quick else [])])
        configure(config, directory, names, sink_port)
        weir, _ = run_weir(build, directory, config)
        # The sink takes the times. It is asked seldom, because to ask takes a core from those two for a millisecond.
        while (got := figures(sink_port))["records"] < messages:
            if weir.poll() is not None:
                raise RuntimeError("weir ended")
            time.sleep(0.05)
        others = got["others"]
        fair = others["least"] / each if others["streams"] == exports else 0
        processor = processor_seconds(weir.pid)
        memory = peak_memory_kib(weir.pid)
        stop(weir)
        seconds = got["last"] - got["first"]
        loop = subprocess.run([f"{build}/bench/put_loop", f"http://127.0.0.1:{sink_port}/", str(got["calls"])],
                              check=True, capture_output=True, text=True)
        sink.kill()
        sink.wait()
        loop_seconds, loop_processor = map(float, loop.stdout.split())
        return {"rate": messages / seconds, "bytes": got["bytes"] / seconds, "ratio": loop_seconds / seconds,
                "loop_rate": messages / loop_seconds, "processor": processor / messages * 1e6,
                "loop_processor": loop_processor / messages * 1e6, "memory_mib": memory / 1024, "fair": fair}
    except RuntimeError as error:
        with open(f"{directory}/log") as log:
            raise RuntimeError(f"{error}: {log.read()[-1000:]}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def append(build, port, *options):
    done = subprocess.run([f"{build}/bench/wire_load", "weir", str(port), "append", *map(str, options)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)["rate"]


BACKLOG = 1 << 21  # messages: 1 GiB
BESIDE = {"one waiting client": (60_000, 1), "one client, 1,000 in flight": (4_000_000, 1000)}


def appends(build, data, work, drains):
    """The rate of appends to a stream of 1 GiB, which drains meanwhile or not; what was drained, and weir's memory."""
    count, window = work
    directory = tempfile.mkdtemp(prefix="drain-", dir=data)
    os.mkdir(f"{directory}/store", 0o700)
    config = f"{directory}/weir.yaml"
    sink = None
    try:
        configure(config, directory, ["load0"], None)
        weir, port = run_weir(build, directory, config)
        append(build, port, "--messages", BACKLOG, "--window", 1000)
        stop(weir)  # everything is on the disk
        if drains:
            sink, sink_port = start([f"{build}/bench/kinesis_sink"])
            configure(config, directory, ["load0"], sink_port)
        weir, port = run_weir(build, directory, config)
        begun = time.monotonic()
        rate = append(build, port, "--messages", count, "--window", window, "--existing")
        took = time.monotonic() - begun
        drained = figures(sink_port)["records"] if drains else 0
        memory = peak_memory_kib(weir.pid) / 1024
        weir.kill()
        weir.wait()
        if drained >= BACKLOG + count:
            raise RuntimeError("the backlog was drained before the appends were done")
        return rate, drained / took, memory
    finally:
        if sink:
            sink.kill()
            sink.wait()
        shutil.rmtree(directory, ignore_errors=True)


def beside(build, data, work):
    """Each from a backlog of its own, because the larger a store the dearer its page cache is on some machines."""
    alone, _, _ = appends(build, data, work, False)
    with_drain, drained, memory = appends(build, data, work, True)
    return {"alone": alone, "beside": with_drain, "lost": 1 - with_drain / alone, "memory": memory, "drained": drained}


def limited(build, data, kilobits, seconds):
    """Bytes of bodies a second over the time, under a limit."""
    exports = 5
    directory = tempfile.mkdtemp(prefix="drain-", dir=data)
    os.mkdir(f"{directory}/store", 0o700)
    config = f"{directory}/weir.yaml"
    names = [f"load{i}" for i in range(exports)]
    try:
        configure(config, directory, names, None)
        weir, port = run_weir(build, directory, config)
        append(build, port, "--messages", int(kilobits * 125 * (seconds + 10) / 512), "--window", 1000, "--streams", exports)
        stop(weir)
        sink, sink_port = start([f"{build}/bench/kinesis_sink"])
        configure(config, directory, names, sink_port, f"  max_bandwidth_kbps: {kilobits}\n")
        weir, _ = run_weir(build, directory, config)
        while figures(sink_port)["calls"] < exports:
            time.sleep(0.01)
        before, begun = figures(sink_port), time.monotonic()
        time.sleep(seconds)
        got, took = figures(sink_port), time.monotonic() - begun
        weir.kill()
        weir.wait()
        sink.kill()
        sink.wait()
        counts = got["streams"].values()
        return (got["bytes"] - before["bytes"]) / took, min(counts) / max(counts)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def report_beside(options, data):
    for name, work in BESIDE.items():
        rounds = [beside(options.build, data, work) for _ in range(options.rounds)]
        middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        print(f"{name}: {middle['alone']:,.0f} appends/s alone, {middle['beside']:,.0f}/s while 1 GiB drains: "
              f"{max(middle['lost'], 0):.0%} lost (goal: less than 25 %); {middle['drained']:,.0f} messages/s drained meanwhile; "
              f"peak memory {middle['memory']:.1f} MiB")


def report_limit(options, data):
    rate, share = limited(options.build, data, options.limit, options.seconds)
    allowed = options.limit * 125
    print(f"limit {allowed:,} bytes/s: {rate:,.0f} bytes/s of bodies over {options.seconds} s, "
          f"{rate / allowed - 1:+.1%} (goal: within 5 %); least served of five exports: {share:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--data", default=None)
    parser.add_argument("--exports", default="1,10")
    parser.add_argument("--quick-endpoint", action="store_true")
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    require(options.build, "weir", "bench/wire_load", "bench/kinesis_sink", "bench/put_loop")
    data = options.data or os.path.join(options.build, "bench-data")
    os.makedirs(data, exist_ok=True)
    if options.beside:
        return report_beside(options, data)
    if options.limit:
        return report_limit(options, data)
    for exports in map(int, options.exports.split(",")):
        rounds = [drain(options.build, data, exports, options.messages, options.quick_endpoint) for _ in range(options.rounds)]
        middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        print(f"{exports} export(s), 500 x 512 B a call: {middle['rate']:,.0f} messages/s, "
              f"{middle['bytes'] / 1e6:,.0f} MB/s of bodies; PUT loop {middle['loop_rate']:,.0f} messages/s; "
              f"ratio {middle['ratio']:.2f} (goal 0.60)")
        print(f"  processor seconds a million: weir {middle['processor']:.2f}, loop {middle['loop_processor']:.2f}; "
              f"peak memory {middle['memory_mib']:.1f} MiB; slowest export when the first was done: {middle['fair']:.2f}")


if __name__ == "__main__":
    main()
