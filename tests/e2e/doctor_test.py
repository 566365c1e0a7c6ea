"""`weir doctor`: what is wrong around weir is named, with what to do, whatever hangs or lies."""

import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import certificates
import wrong_clock
from ports import held_port
from sinks import HttpSink, Recorder, aws_environment
from weir_client import Client
from weir_server import AWS_SECRET, AWS_SESSION, Weir, weir_command


class Listener:
    """Accepts connections and hands each to `serve`, on a thread of its own; by default it never
    answers."""

    def __init__(self, serve=None, context=None):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.serve, self.context = serve, context
        self.open = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
                self.open.append(connection)
                threading.Thread(target=self.talk, args=(connection,), daemon=True).start()
            except OSError:
                return

    def talk(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.open.append(connection)
            if self.serve:
                self.serve(connection)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.open:
            connection.close()


def refusing_proxy(status):
    def serve(connection):
        connection.recv(4096)
        connection.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        connection.close()
    return Listener(serve)


def answering(*answers):
    """An HTTP server that gives each connection the next of these answers: (status, headers, body)."""
    left = list(answers)
    seen = []

    def serve(connection):
        with connection.makefile("rb") as reader:
            seen.append(reader.readline().decode())
            while reader.readline() not in (b"\r\n", b""):
                pass
        status, headers, body = left.pop(0)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = 0 if seen[-1].startswith("HEAD") else len(body)
        connection.sendall(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                           f"{body[:length]}".encode())
        connection.close()

    listener = Listener(serve)
    listener.seen = seen
    return listener


class Findings:
    def __init__(self, done):
        self.status = done.returncode
        self.text = done.stdout + done.stderr
        self.document = json.loads(done.stdout)
        self.checks = self.document["checks"]

    def of(self, check, level=None):
        return [c for c in self.checks if c["check"] == check and level in (None, c["level"])]


class DoctorTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="weir-doctor-")))

    def config(self, **sections):
        """A configuration nobody runs yet, on free ports."""
        document = {"store": {"directory": str(self.directory / "store")},
                    "server": {"port": held_port(), "authenticate_client": False},
                    "admin": {"port": held_port()}}
        for name, members in sections.items():
            if isinstance(members, dict):
                document.setdefault(name, {}).update(members)
            else:
                document[name] = members
        path = self.directory / "weir.yaml"
        path.write_text(json.dumps(document))
        return path

    def export(self, **members):
        return [{"name": "s", "exports": [{"identifier": "e", **members}]}]

    def doctor(self, config, *arguments, **env):
        began = time.monotonic()
        done = weir_command("doctor", "--config", config, "--json", *arguments, env=env, timeout=60)
        took = time.monotonic() - began
        self.assertLess(took, 45, done.stdout)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        for secret in (AWS_SECRET, AWS_SESSION, "hunter2"):
            self.assertNotIn(secret, done.stdout + done.stderr)
        found = Findings(done)
        self.assertEqual(found.status, 1 if found.document["errors"] else 0)
        return found

    def one(self, found, check, level, *words):
        """The only finding of this check has this level and these words."""
        of_check = found.of(check)
        self.assertEqual(len(of_check), 1, found.text)
        self.assertEqual(of_check[0]["level"], level, of_check)
        for word in words:
            self.assertIn(word, of_check[0]["seen"] + " -- " + of_check[0]["fix"])
        return of_check[0]


class MachineTest(DoctorTest):
    def test_without_a_weir_it_says_so_and_that_is_no_error(self):
        found = self.doctor(self.config())
        self.assertEqual(found.status, 0, found.text)
        self.one(found, "running", "warning", "not running", "systemctl start weir")
        self.one(found, "port", "ok", "free")

    def test_a_running_weir_is_found_and_its_store_measured(self):
        with Weir() as weir:
            config = self.config(store={"directory": str(weir.store)}, server={"port": weir.port},
                                 admin={"port": weir.admin_port})
            found = self.doctor(config)
            self.one(found, "running", "ok", "runs and answers")
            self.one(found, "store", "ok", "in use by a running weir")
            self.one(found, "port", "ok", "weir")
            # How fast and how full this disk is is not what is tried.
            self.assertIn("is on the disk after", found.of("sync")[0]["seen"])
            self.assertIn("free of", found.of("disk-space")[0]["seen"])
            self.one(found, "ownership", "ok")
            self.assertEqual(sorted(p.name for p in weir.store.iterdir() if "doctor" in p.name), [])

    def test_a_configuration_with_mistakes_is_an_error_with_its_place(self):
        path = self.config()
        path.write_text("store: {directoy: /x}\n")
        found = self.doctor(path)
        self.assertIn("weir.yaml:1", found.of("configuration", "error")[0]["seen"])
        self.assertIn("directoy", found.text)

    def test_settings_that_were_changed_since_the_start_are_named(self):
        weir = self.enterContext(Weir({"store": {"min_free_bytes": 4096}}))
        document = {**weir.config, "store": {**weir.config["store"], "min_free_bytes": 8192},
                    "admin": {"port": weir.admin_port}, "server": {**weir.config["server"], "port": weir.port}}
        path = self.directory / "weir.yaml"
        path.write_text(json.dumps(document))
        self.one(self.doctor(path), "drift", "warning", "store.min_free_bytes", "weir reload")

    def test_a_daemon_that_does_not_answer_is_an_error(self):
        with Listener() as silent:
            found = self.doctor(self.config(admin={"port": silent.port}))
            self.one(found, "running", "error", "does not answer", "systemctl restart weir")

    def test_a_port_of_another_program_is_named_with_its_pid(self):
        with Listener() as other:
            found = self.doctor(self.config(server={"port": other.port}))
            self.one(found, "port", "error", f"pid {os.getpid()}", "server.port")

    def test_something_else_on_the_admin_port_is_not_taken_for_weir(self):
        with HttpSink() as sink:
            found = self.doctor(self.config(admin={"port": sink.port}))
            self.one(found, "running", "error", "not weir", "admin.port")

    def test_a_store_of_a_newer_format_is_left_alone(self):
        store = self.directory / "store"
        with Weir({"store": {"directory": str(store)}}):
            pass
        crc = subprocess.run(["/usr/bin/python3", "-c", CRC_PROGRAM], input=b"weir store 9\n",
                             capture_output=True, check=True).stdout.decode()
        (store / "FORMAT").write_text(f"weir store 9\ncrc32c {crc}\n")
        before = {p: p.stat().st_mtime_ns for p in store.rglob("*")}
        found = self.doctor(self.config())
        self.one(found, "store", "error", "newer version", "nothing was touched")
        for flags in (["--repair"], ["--salvage", str(self.directory / "out")], []):
            done = weir_command("fsck", store, *flags)
            self.assertEqual(done.returncode, 1)
            self.assertIn("newer version", done.stderr)
        self.assertFalse((self.directory / "out").exists())
        self.assertEqual({p: p.stat().st_mtime_ns for p in store.rglob("*")}, before)

    def test_secrets_that_everybody_can_read_are_a_warning(self):
        tokens = self.directory / "tokens"
        tokens.write_text("hunter2\n")
        tokens.chmod(0o644)
        found = self.doctor(self.config(server={"tokens_file": str(tokens)}))
        self.one(found, "secret-file", "warning", "0644", "chmod")

    def test_a_configuration_that_holds_a_secret_is_one_itself(self):
        path = self.config(export={"options": [{"http": {"headers": {"Authorization": "Basic hunter2"}}}]})
        path.chmod(0o644)
        self.one(self.doctor(path), "secret-file", "warning", "weir.yaml", "chmod")
        path.chmod(0o600)
        self.one(self.doctor(path), "secret-file", "ok", "weir.yaml")

    def test_for_people_trouble_stands_last_and_without_colour_in_a_pipe(self):
        (self.directory / "file").write_text("")
        done = weir_command("doctor", "--config", self.config(streams=self.export(
            type="file", directory=str(self.directory / "file" / "below"))))
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[-1], r"^1 error, \d+ warnings?, \d+ ok")
        self.assertIn("fix", lines[-2])
        self.assertIn("error", lines[-3])
        self.assertNotIn("\033", done.stdout)

    def test_a_wrong_flag_is_a_usage_error(self):
        self.assertEqual(weir_command("doctor", "--fast").returncode, 2)


CRC_PROGRAM = """
import sys
crc = 0xffffffff
for byte in sys.stdin.buffer.read():
    crc ^= byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
print(f"{crc ^ 0xffffffff:08x}", end="")
"""


class DestinationTest(DoctorTest):
    def kinesis(self, url, **env):
        config = self.config(streams=self.export(type="kinesis", stream="plant"))
        return self.doctor(config, **aws_environment(url, **env))

    def test_a_stream_that_can_be_written_to_is_fine(self):
        with Recorder("plant") as recorder:
            found = self.kinesis(recorder.url)
            self.one(found, "call", "ok", "PutRecords is not refused")
            self.one(found, "credentials", "ok")
            self.one(found, "reach", "ok", "connected")
            self.one(found, "clock", "ok", "agrees")
            self.assertEqual(recorder.stored(), [], "nothing may be stored")

    def test_a_missing_permission_is_named(self):
        with Recorder("plant") as recorder:
            recorder.faults(
                {}, {"status": 400, "type": "AccessDeniedException",
                 "message": "User: arn:aws:iam::1:user/gateway is not authorized to perform: "
                            "kinesis:PutRecords on resource: arn:aws:kinesis:us-east-1:1:stream/plant"})
            self.one(self.kinesis(recorder.url), "call", "error", "AccessDeniedException",
                     "allow kinesis:PutRecords to the identity")

    def test_a_stream_that_is_not_there_is_an_error(self):
        with Recorder("another") as recorder:
            self.one(self.kinesis(recorder.url), "call", "error", "does not exist", "create it")

    def test_a_clock_that_is_off_is_told_by_the_destination(self):
        with Recorder("plant") as recorder:
            recorder.faults({"date_offset": 1800})
            found = self.kinesis(recorder.url)
            self.one(found, "clock", "warning", "behind", "timedatectl")

    def test_without_credentials_the_destination_is_not_asked(self):
        with Recorder("plant") as recorder:
            found = self.kinesis(recorder.url, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_SESSION_TOKEN="",
                                 AWS_EC2_METADATA_DISABLED="true", HOME=str(self.directory))
            self.one(found, "credentials", "error", "AWS_ACCESS_KEY_ID")
            self.one(found, "call", "skipped", "no credentials")
            self.assertEqual(recorder.calls(), [])

    def test_exports_that_clients_defined_are_found_in_the_store(self):
        weir = self.enterContext(Weir())
        with HttpSink() as sink, Client(weir.port) as client:
            client.create("mine", exportDefinition={"http": [{"identifier": "there", "uri": sink.uri}]})
            weir.stop()
            found = self.doctor(self.config(store={"directory": str(weir.store)}))
            weir.start()
            self.one(found, "call", "ok", "mine/there", "answers 200 to HEAD")
            self.assertEqual([request.method for request, _ in sink.seen], ["HEAD"])

    def test_firehose_is_asked_for_its_delivery_stream(self):
        with Recorder("lake") as recorder:
            recorder.faults({}, {"status": 400, "type": "AccessDeniedException", "message": "no"})
            found = self.doctor(self.config(streams=self.export(type="firehose", delivery_stream="lake")),
                                **aws_environment(recorder.url, AWS_ENDPOINT_URL_FIREHOSE=recorder.url))
            self.one(found, "call", "error", "delivery stream 'lake'", "allow firehose:PutRecordBatch")

    def test_sitewise_is_asked_with_a_read_and_an_empty_write(self):
        error = "x-amzn-ErrorType"
        # The first connection is only opened and closed again.
        with answering((200, {}, ""), (404, {error: "ResourceNotFoundException"}, "{}"),
                       (403, {error: "AccessDeniedException"}, "{}")) as service:
            found = self.doctor(self.config(streams=self.export(type="iot_sitewise")),
                                **aws_environment("", AWS_ENDPOINT_URL_IOTSITEWISE=f"http://127.0.0.1:{service.port}"))
            self.one(found, "call", "error", "IoT SiteWise", "allow iotsitewise:BatchPutAssetPropertyValue")

    def test_an_upload_is_asked_for_the_bucket_that_its_task_names(self):
        weir = self.enterContext(Weir(env=aws_environment("", AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{held_port()}")))
        with Client(weir.port) as client:
            client.create("uploads", exportDefinition={"s3TaskExecutor": [{"identifier": "up"}]})
            client.append("uploads", json.dumps({"inputUrl": f"file://{self.directory}/weir.yaml",
                                                 "bucket": "plant-bucket", "key": "a/b"}).encode())
        weir.stop()
        refused = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        with answering((200, {}, ""), (200, {}, ""), (403, {}, refused)) as service:
            found = self.doctor(self.config(store={"directory": str(weir.store)}),
                                **aws_environment("", AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{service.port}"))
            self.one(found, "call", "error", "bucket 'plant-bucket'", "allow s3:PutObject")
            self.one(found, "input-directories", "warning", "any file", "export.s3.input_directories")
            self.assertTrue(any(line.startswith("PUT /plant-bucket/a/b?") for line in service.seen), service.seen)
        weir.start()

    def test_iot_analytics_is_said_to_have_ended(self):
        found = self.doctor(self.config(streams=self.export(type="iot_analytics", channel="c")), AWS_REGION="us-east-1")
        self.one(found, "call", "error", "has ended", "redirect")

    def test_a_directory_that_cannot_be_written_is_an_error(self):
        occupied = self.directory / "file"
        occupied.write_text("")
        found = self.doctor(self.config(streams=self.export(type="file", directory=str(occupied))))
        self.one(found, "directory", "error", "not a directory")

    def test_offline_nothing_is_asked(self):
        with Recorder("plant") as recorder:
            config = self.config(streams=self.export(type="kinesis", stream="plant"))
            found = self.doctor(config, "--offline", **aws_environment(recorder.url))
            self.assertEqual(found.of("call") + found.of("reach"), [])
            self.one(found, "offline", "skipped")
            self.assertEqual(recorder.calls(), [])


class NetworkTest(DoctorTest):
    def http(self, uri, **env):
        return self.doctor(self.config(streams=self.export(type="http", uri=uri)), **env)

    def certificate(self, made=None):
        """A certificate for this machine from an authority of our own, good for two days; `made`: as
        if the clock had been off by so much."""
        certificates.make_certificates(self.directory)
        if made:
            subprocess.run(["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                            "-CAcreateserial", "-extfile", "names", "-out", "server.pem", "-days", "2"],
                           cwd=self.directory, check=True, capture_output=True,
                           env={**os.environ, **wrong_clock.environment(made)})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem", self.directory / "server.key")
        return context

    def with_authority(self, port):
        return self.config(streams=[{"name": "s", "exports": [
            {"identifier": "e", "type": "http", "uri": f"https://127.0.0.1:{port}/",
             "http": {"ca_file": str(self.directory / "ca.pem")}}]}])

    def test_a_host_nobody_listens_on_is_not_called_as_well(self):
        found = self.http(f"http://127.0.0.1:{held_port()}/")
        self.one(found, "connect", "error", "no connection")
        self.one(found, "call", "skipped", "cannot be reached")

    def test_the_broker_of_a_connector_is_tried(self):
        port = held_port()
        found = self.doctor(self.config(connectors=[{
            "type": "firehose", "name": "plant", "broker": f"mqtt://127.0.0.1:{port}",
            "default_delivery_stream_arn": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/lake"}]))
        broken = [c for c in found.of("connect", "error") if "broker of connector plant" in c["seen"]]
        self.assertEqual([c["subject"] for c in broken], [f"127.0.0.1:{port}"], found.text)

    def test_a_name_without_an_address_is_named(self):
        self.one(self.http("http://no-such-host.invalid/"), "dns", "error", "no-such-host.invalid")

    def test_a_server_that_never_answers_ends_with_a_deadline(self):
        with Listener() as silent:
            found = self.http(f"https://127.0.0.1:{silent.port}/")
            self.one(found, "tls", "error", "does not answer within 5 s")

    def test_a_certificate_of_an_authority_that_is_not_trusted_is_named_by_it(self):
        context = self.certificate()
        with Listener(context=context) as server:
            found = self.http(f"https://127.0.0.1:{server.port}/")
            self.one(found, "tls", "error", "not trusted", "test authority", "AWS_CA_BUNDLE")

    def test_a_certificate_that_ends_soon_is_a_warning(self):
        def serve(connection):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()
        context = self.certificate()  # good for two days
        with Listener(serve, context) as server:
            found = self.doctor(self.with_authority(server.port))
            self.one(found, "reach", "warning", "certificate good for", "renewed")

    def test_a_certificate_that_has_expired_says_since_when(self):
        context = self.certificate("-5d")
        with Listener(context=context) as server:
            found = self.doctor(self.with_authority(server.port))
            self.one(found, "tls", "error", "expired 3 days ago")

    def test_a_proxy_that_refuses_is_named_without_its_password(self):
        with refusing_proxy(403) as proxy:
            found = self.http("https://destination.example/",
                              https_proxy=f"http://me:hunter2@127.0.0.1:{proxy.port}")
            self.one(found, "proxy", "error", f"127.0.0.1:{proxy.port}", "(403)", "NO_PROXY")
        with refusing_proxy(407) as proxy:
            found = self.http("https://destination.example/", https_proxy=f"http://127.0.0.1:{proxy.port}")
            self.one(found, "proxy", "error", "407", "user:password@")

    def test_a_proxy_that_is_not_there_is_named(self):
        port = held_port()
        found = self.http("https://destination.example/", https_proxy=f"http://127.0.0.1:{port}")
        self.one(found, "connect", "error", f"the proxy 127.0.0.1:{port} takes no connection", "HTTPS_PROXY")
