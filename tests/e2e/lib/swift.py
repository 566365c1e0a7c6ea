"""S3 on this machine: Debian's OpenStack Swift with s3api, which verifies signatures, digests and part rules.

Each has its own directory and ports; all five processes end with it."""

import atexit
import getpass
import http.server
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from ports import held_port
from weir_server import AWS_SECRET, eventually

KEY_ID = "weir:test"
REGION = "us-east-1"
PYTHON = "/usr/bin/python3"

RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(("account", "container", "object"), sys.argv[2:]):
    builder = RingBuilder(6, 1, 1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""

BACK_END = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
fallocate_reserve = 0
log_address = {directory}/no-syslog
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {directory}
log_address = {directory}/no-syslog
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_upload_part_num = 10000
[filter:tempauth]
use = egg:swift#tempauth
user_weir_test = {secret} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

COMMON = """[swift-hash]
swift_hash_path_suffix = weir
swift_hash_path_prefix = weir
[storage-policy:0]
name = gold
default = yes
"""


class Swift:
    shared = None

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-swift-"))
        self.processes = []
        self.refusal = None
        ports = [held_port() for _ in range(5)]
        self.port = ports[4]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            self.start(ports)
        except BaseException:
            self.close()
            raise

    @classmethod
    def of_this_process(cls):
        """The one that all tests of a process share; it ends with the process."""
        if cls.shared is None:
            cls.shared = cls()
            atexit.register(cls.shared.close)
        return cls.shared

    def start(self, ports):
        subprocess.run([PYTHON, "-c", RINGS, str(self.directory), *map(str, ports[:3])], check=True,
                       capture_output=True)
        (self.directory / "devices" / "d1").mkdir(parents=True)
        (self.directory / "swift.conf").write_text(COMMON)
        values = {"directory": self.directory, "user": getpass.getuser(), "secret": AWS_SECRET,
                  "memcached": ports[3]}
        self.run("memcached", "-l", "127.0.0.1", "-p", ports[3], "-m", "16", "-u", getpass.getuser())
        for name, port in zip(("account", "container", "object"), ports):
            self.serve(name, BACK_END.format(name=name, port=port, **values))
        # A proxy that was refused ten times leaves a server alone for a minute.
        for port in ports[:4]:
            eventually("Swift's servers listen", lambda: self.listens(port), 120)
        self.serve("proxy", PROXY.format(port=self.port, **values))
        import botocore.config
        import botocore.session
        session = botocore.session.Session()
        session.set_credentials(KEY_ID, AWS_SECRET)
        self.client = session.create_client(
            "s3", region_name=REGION, endpoint_url=self.url,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0},
                                          connect_timeout=5, read_timeout=30))
        try:
            eventually("Swift answers", lambda: self.works("first-bucket"), 120)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.refusal!r}\n{self.log()}") from None

    def listens(self, port):
        for process in self.processes:
            assert process.poll() is None, self.log()
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    def works(self, bucket):
        for process in self.processes:
            assert process.poll() is None, self.log()
        # Whatever it says while it starts. The bucket may be there before objects can be stored; making
        # it is refused then.
        try:
            self.client.create_bucket(Bucket=bucket)
        except Exception as error:
            self.refusal = error
        try:
            self.client.put_object(Bucket=bucket, Key="k", Body=b"x")
            return True
        except Exception as error:
            self.refusal = error
            return False

    def serve(self, name, config):
        path = self.directory / f"{name}.conf"
        path.write_text(config)
        self.run(PYTHON, f"/usr/bin/swift-{name}-server", path)

    def run(self, *command):
        log = open(self.directory / "log", "ab")
        with log:
            self.processes.append(subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory))

    def log(self):
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def bucket(self, name):
        """Makes it if it is not there."""
        if name not in [b["Name"] for b in self.client.list_buckets()["Buckets"]]:
            self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket):
        return [o["Key"] for o in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def object(self, bucket, key):
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def uploads(self, bucket):
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def operation(method, target):
    """The S3 operation of a request."""
    query = target.partition("?")[2]
    if method == "PUT":
        return "part" if "partNumber=" in query else "put"
    if method == "POST":
        return "create" if query.startswith("uploads") else "complete"
    return {"GET": "list", "DELETE": "abort", "HEAD": "head"}[method]


class Gate:
    """Between weir and Swift. `before` and `after` are called with the operation of each request, around
    its being done; what `before` returns, if anything, is answered instead: status, body and, if wanted, headers."""

    def __init__(self, swift):
        self.before = lambda _: None
        self.after = lambda _: None
        self.seen = []
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # weir was killed
                    self.close_connection = True

            def pass_on(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                    return
                name = operation(self.command, self.path)
                gate.seen.append(name)
                instead = gate.before(name)
                if instead:
                    status, content, *more = instead
                    self.answer(status, {"Content-Type": "application/xml", **(more[0] if more else {})},
                                content)
                    return
                request = urllib.request.Request(
                    swift.url + self.path, data=body if length or self.command != "GET" else None,
                    method=self.command, headers=dict(self.headers))
                try:
                    with urllib.request.urlopen(request, timeout=60) as done:
                        status, headers, content = done.status, dict(done.headers), done.read()
                except urllib.error.HTTPError as error:
                    status, headers, content = error.code, dict(error.headers), error.read()
                gate.after(name)
                self.answer(status, headers, content)

            def answer(self, status, headers, content):
                self.send_response_only(status)
                for key, value in headers.items():
                    if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(key, value)
                if self.command == "HEAD":
                    self.send_header("Content-Length", headers.get("Content-Length", "0"))
                elif status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD" and status != 204:
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
