#!/usr/bin/python3
"""How long one large file takes to S3 in parts, and how much memory weir needs for it.

usage: bench/upload.py [--build build/release] [--data DIR] [--gib 5] [--part-mib 5]

The file is sparse, so that reading it costs no disk. The server is a stand-in: it takes each part, keeps its MD5 and
its size, and makes of them the ETag that S3 would. At the end the sizes have to add up, each part has to be what
the file holds there, and the task has to have one Success.
"""
import argparse, hashlib, http.server, json, os, sys, tempfile, threading, time, urllib.parse

from built import require

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tests/e2e/lib")
SUCCESS = 0  # protocol.md §7.3
DONE = (0, 1, 4)


class StandIn(http.server.BaseHTTPRequestHandler):
    """CreateMultipartUpload, UploadPart and CompleteMultipartUpload of one object."""
    protocol_version = "HTTP/1.1"
    parts = {}  # number: (bytes, MD5)
    completed = 0

    def do_PUT(self):
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        digest, left = hashlib.md5(), int(self.headers["Content-Length"])
        size = left
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 18))
            digest.update(piece)
            left -= len(piece)
        self.parts[int(query["partNumber"][0])] = (size, digest.hexdigest())
        self.answer(b"", ETag=f'"{digest.hexdigest()}"')

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in self.path:
            self.answer(b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
            return
        joined = b"".join(bytes.fromhex(self.parts[n][1]) for n in sorted(self.parts))
        StandIn.completed += 1
        self.answer(f'<CompleteMultipartUploadResult><ETag>"{hashlib.md5(joined).hexdigest()}-{len(self.parts)}"</ETag>'
                    "</CompleteMultipartUploadResult>".encode())

    def answer(self, body, **headers):
        self.send_response_only(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def check_whole(size, part_bytes):
    """The file is zeros, so one MD5 for each size of a part is all there is to know."""
    wanted = {}
    for at in range(0, size, part_bytes):
        wanted[at // part_bytes + 1] = min(part_bytes, size - at)
    md5 = {bytes_: hashlib.md5(bytes(bytes_)).hexdigest() for bytes_ in set(wanted.values())}
    if StandIn.parts != {number: (bytes_, md5[bytes_]) for number, bytes_ in wanted.items()} or StandIn.completed != 1:
        sys.exit("what was uploaded is not the file")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=f"{ROOT}/build/release")
    parser.add_argument("--data", default=None, help="where the store lies; default: a temporary directory")
    parser.add_argument("--gib", type=float, default=5)
    parser.add_argument("--part-mib", type=int, default=5)
    options = parser.parse_args()
    require(options.build, "weir")
    os.environ["WEIR_BINARY"] = f"{options.build}/weir"
    import weir_client
    from weir_server import AWS_SECRET, Weir, eventually

    size, part_bytes = int(options.gib * (1 << 30)), options.part_mib << 20
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="weir-bench-", dir=options.data) as directory:
        path = f"{directory}/large"
        with open(path, "wb") as large:
            large.truncate(size)
        config = {"export": {"s3": {"part_bytes_min": part_bytes, "input_directories": directory}}}
        environment = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
                       "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_address[1]}"}
        with Weir(config, env=environment) as weir, weir_client.Client(weir.port) as client:
            client.create("status")
            client.create("uploads", exportDefinition={"s3TaskExecutor": [{
                "identifier": "s3", "sizeThresholdForMultipartUploadBytes": part_bytes,
                "statusConfig": {"statusLevel": 2, "statusStreamName": "status"}}]})

            def ends():
                told = [json.loads(message["payload"])["status"] for message in client.read_all("status")]
                return [status for status in told if status in DONE]

            before, begun = weir.rss_bytes(), time.monotonic()
            client.append("uploads", json.dumps({"inputUrl": f"file:{path}", "bucket": "bucket", "key": "large"}).encode())
            eventually("the file is uploaded", ends, 1800)
            taken = time.monotonic() - begun
            with open(f"/proc/{weir.process.pid}/status") as status:
                peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
            if ends() != [SUCCESS]:
                sys.exit(f"the task ended otherwise: {ends()}")
    check_whole(size, part_bytes)
    print(f"{options.gib:g} GiB in {len(StandIn.parts):,} parts: {taken:.0f} s, {size / taken / 1e6:.0f} MB/s; "
          f"memory {before / (1 << 20):.1f} MiB before, {peak / (1 << 20):.1f} MiB at most")


if __name__ == "__main__":
    main()
