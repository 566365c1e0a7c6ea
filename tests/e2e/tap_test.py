"""weir tap: what leaves, as it leaves."""

import base64
import json
import os
import signal
import subprocess
import unittest

from admin_port import AdminPort, a_status, a_stream, an_export
from sinks import HttpSink
from weir_client import Client
from weir_server import BINARY, DEADLINE_S, Weir, eventually, weir_command


def a_batch(first, last, payloads=(), **more):
    return {"time_ms": 1763629200000, "stream": "pumps", "export": "cloud", "destination": "lake", "first": first,
            "last": last, "messages": last - first + 1, "bytes": 2048, "outcome": "sent", "error": "",
            "sample": [{"sequence": first + i, "payload_base64": base64.b64encode(p).decode(), "payload_bytes": len(p)}
                       for i, p in enumerate(payloads)], **more}


def stream_of(*events, token=None):
    """A page of events; with a token it wants to see one."""
    def page(handler):
        if token and handler.headers.get("Authorization") != f"Bearer {token}":
            handler.send_response(401)
            handler.send_header("Content-Length", "2")
            handler.end_headers()
            return handler.wfile.write(b"{}")
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for name, document in events:
            data = document if isinstance(document, str) else json.dumps(document)
            handler.wfile.write(f": a comment\nevent: {name}\ndata: {data}\n\n".encode())
            handler.wfile.flush()
        handler.connection.settimeout(DEADLINE_S)
        handler.connection.recv(1)  # until the command leaves
    return page


class TapTest(unittest.TestCase):
    def tap(self, *arguments, events=(), status=0, token=None, streams=None):
        streams = streams if streams is not None else [a_stream("pumps", 1, [an_export("cloud")])]
        with AdminPort(a_status(*streams), {"/tap": stream_of(*events, token=token)}) as admin:
            self.asked = admin.headers
            done = weir_command("tap", *arguments, "--admin-port", admin.port)
            self.assertEqual(done.returncode, status, done.stderr)
            return done

    def test_a_line_for_each_batch(self):
        done = self.tap("pumps/cloud", "--count", "3", events=[
            ("batch", a_batch(0, 99)), ("batch", a_batch(100, 100, outcome="failed", error="throttled\x1b[2J")),
            ("missed", {"batches": 4}), ("other", {}), ("batch", "half a docu"), ("batch", a_batch(100, 110))])
        self.assertEqual(done.stdout.splitlines(), [
            "2025-11-20T09:00:00.000Z 0-99 100 messages 2 KiB sent",
            "2025-11-20T09:00:00.000Z 100-100 1 message 2 KiB failed: throttled\\x1b[2J",
            "2025-11-20T09:00:00.000Z 100-110 11 messages 2 KiB sent"])
        self.assertIn("too fast to be shown: 4", done.stderr)
        self.assertIn("/tap?export=pumps/cloud", self.asked)

    def test_payloads_in_three_forms(self):
        events = [("batch", a_batch(5, 9, [b'{"a":  1}', b"plain\x1b[2J", b"\x00\xff"]))]
        self.assertEqual(self.tap("pumps/cloud", "-n", "1", "--payload", "json", events=events).stdout.splitlines()[1:],
                         ['  5 {"a":1}', "  6 plain\\x1b[2J", "  7 \\x00\\xff", "  ... and 2 messages not shown"])
        self.assertIn('  5 {"a":  1}\n', self.tap("pumps/cloud", "-n", "1", "-p", "text", events=events).stdout)
        self.assertIn("  7 00ff\n", self.tap("pumps/cloud", "-n", "1", "-p", "hex", events=events).stdout)

    def test_json_for_programs(self):
        batches = [a_batch(0, 1, [b"x"]), a_batch(2, 3)]
        done = self.tap("pumps/cloud", "--json", "--count", "2", events=[("batch", batch) for batch in batches])
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], batches)

    def test_an_export_is_found_by_what_is_unique(self):
        streams = [a_stream("pumps", 1, [an_export("cloud"), an_export("files")]), a_stream("valves", 2, [an_export("cloud")]),
                   a_stream("doors", 3, [an_export("a b")])]
        events = [("batch", a_batch(0, 0))]
        for typed, path in (("files", "pumps/files"), ("valves", "valves/cloud"), ("doors", "doors/a%20b")):
            self.tap(typed, "-n", "1", events=events, streams=streams)
            self.assertIn(f"/tap?export={path}", self.asked, typed)
        done = self.tap("cloud", status=1, streams=streams)
        self.assertRegex(done.stderr, "pumps/cloud valves/cloud")
        self.assertIn("there is no export 'nowhere'", self.tap("nowhere", status=1, streams=streams).stderr)

    def test_the_token_is_sent_only_where_it_is_asked_for(self):
        events = [("batch", a_batch(0, 0))]
        self.tap("pumps/cloud", "-n", "1", events=events)
        self.assertNotIn("Authorization", self.asked["/tap?export=pumps/cloud"])
        with Weir() as weir:
            path = weir.directory / "token"
            path.write_text("the-token\n")
            done = self.tap("pumps/cloud", "-n", "1", "--admin-token-file", path, events=events, token="the-token")
            self.assertIn("0-0", done.stdout)
            path.write_text("wrong\n")
            self.assertIn("does not take the token", self.tap(
                "pumps/cloud", "--admin-token-file", path, token="the-token", status=1).stderr)

    def test_it_ends_by_ctrl_c_and_when_nobody_reads(self):
        with AdminPort(a_status(), {"/tap": stream_of(("batch", a_batch(0, 0)))}) as admin:
            command = [str(BINARY), "tap", "pumps/cloud", "--admin-port", str(admin.port)]
            tap = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertIn(b"0-0", tap.stdout.readline())
            tap.send_signal(signal.SIGINT)
            self.assertEqual((*tap.communicate(timeout=DEADLINE_S), tap.returncode), (b"", b"", 0))
            tap = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertIn(b"0-0", tap.stdout.readline())
            tap.stdout.close()  # nothing more comes, so only the hang-up can end it
            self.assertEqual(tap.wait(DEADLINE_S), 0)
            self.assertEqual(tap.stderr.read(), b"")
            tap.stderr.close()

    def test_what_leaves_a_real_weir(self):
        with HttpSink() as sink, Weir() as weir:
            with Client(weir.port) as client:
                client.create("pumps", exportDefinition={"http": [{"identifier": "cloud", "uri": sink.uri}]})
                tap = subprocess.Popen([str(BINARY), "tap", "cloud", "--admin-port", str(weir.admin_port), "--payload",
                                        "text"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
                try:
                    lines = []

                    def seen():
                        client.append("pumps", b"water")
                        lines.append(tap.stdout.readline().decode())
                        return "water" in lines[-1]
                    eventually("a batch is shown", seen)
                    self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\dT\S+Z \d+-\d+ \d+ messages? \S+ \S+ sent$")
                finally:
                    tap.kill()
                    tap.communicate()
            done = weir_command("tap", "pumps/nothing", "--admin-port", weir.admin_port)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no export 'nothing'", done.stderr)


if __name__ == "__main__":
    unittest.main()
