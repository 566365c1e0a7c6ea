#!/usr/bin/python3
"""How long `weir status` takes with many streams, at rest and while every worker hangs.

usage: bench/status.py [--build build/release] [--data DIR] [--streams 1000] [--rounds 50]

One in five streams exports by HTTP to a server that takes connections and never answers, which holds every worker for
the whole of its time limit. The time is that of the process, from its start to its end; the median and the worst of
the rounds. Beside it: what the answer of the admin port takes alone, and weir status -o json.
"""
import argparse, os, socket, statistics, subprocess, sys, tempfile, time, urllib.request

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tests/e2e/lib")


def milliseconds(rounds, action):
    taken = []
    for _ in range(rounds):
        begun = time.monotonic()
        action()
        taken.append((time.monotonic() - begun) * 1000)
    return f"{statistics.median(taken):6.1f} ms   worst {max(taken):6.1f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--data", default=None, help="where the store lies; default: a temporary directory")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    require(options.build, "weir")
    os.environ["WEIR_BINARY"] = f"{options.build}/weir"
    import weir_client
    from weir_server import Weir, eventually

    directory = tempfile.mkdtemp(prefix="weir-bench-", dir=options.data)
    silent = socket.create_server(("127.0.0.1", 0), backlog=512)
    uri = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    with Weir(directory=directory, config={"export": {"worker_count": 5}}) as weir, \
            weir_client.Client(weir.port) as client:
        for number in range(options.streams):
            exports = {"http": [{"identifier": "hangs", "uri": uri}]} if number % 5 == 0 else {}
            client.submit(weir_client.CREATE, {"definition": {
                "name": f"stream {number:05}", "strategyOnFull": 0, "exportDefinition": exports}})
        for _ in range(options.streams):
            assert client.next_answer()[1]["status"] == 0
        command = [f"{options.build}/weir", "status", "--admin-port", str(weir.admin_port)]

        def status(*more):
            subprocess.run(command + list(more), check=True, stdout=subprocess.DEVNULL)

        def ask():
            with urllib.request.urlopen(f"http://127.0.0.1:{weir.admin_port}/status") as answer:
                return answer.read()

        def measure(when):
            print(f"{when}, {options.streams} streams, {options.streams // 5} exports")
            print(f"  weir status           {milliseconds(options.rounds, status)}")
            print(f"  weir status -o json   {milliseconds(options.rounds, lambda: status('-o', 'json'))}")
            print(f"  /status alone         {milliseconds(options.rounds, ask)}", flush=True)

        measure("at rest")
        for number in range(0, options.streams, 5):
            client.append(f"stream {number:05}", b"x" * 100)
        eventually("every worker hangs", lambda: ask().count(b'"state":"in_flight"') >= 5)
        measure("every worker hangs")
    silent.close()


if __name__ == "__main__":
    main()
