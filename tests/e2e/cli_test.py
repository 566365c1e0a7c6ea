"""The command line: it pipes, it explains itself, and it works over the same protocol."""

import base64
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import weir_client as w
from weir_client import Client
from weir_server import BINARY, DEADLINE_S, TOKEN, Output, Weir, eventually, weir_command


def commands_below(*group):
    """All commands, as completion offers them: one that is forgotten there cannot be typed by tab."""
    lines = weir_command("__complete", "--", *group, "").stdout.splitlines()
    found = []
    for line in lines[1:]:
        command = [*group, line.split("\t")[0]]
        found += [command, *(commands_below(*command) if len(command) == 1 and is_group(command) else [])]
    return found


def is_group(command):
    return "Commands:" in weir_command(*command, "--help").stdout


class UsageTest(unittest.TestCase):
    def test_help_everywhere(self):
        for command in [[], *commands_below()]:
            done = weir_command(*command, "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn("Usage", done.stdout)

    def test_the_version(self):
        done = weir_command("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^weir \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_status_2(self):
        for command in ([], ["frobnicate"], ["serve", "--frobnicate"], ["pub"], ["sub"], ["stream"],
                        ["stream", "frobnicate"], ["stream", "info"], ["fsck"], ["sub", "s", "--count", "x"],
                        ["pub", "s", "--whole", "--delimiter", "x"], ["serve", "too", "much"]):
            done = weir_command(*command)
            self.assertEqual(done.returncode, 2, command)
            self.assertTrue(done.stderr)

    def test_every_command_and_option_is_in_the_reference(self):
        reference = (pathlib.Path(__file__).parents[2] / "docs" / "commands.md").read_text()
        commands = commands_below()
        self.assertGreater(len(commands), 20)
        for command in commands:
            self.assertRegex(reference, rf"(?m)^##+ {' '.join(command)}$")
            for option in re.findall(r"(?m)^ +(?:-., )?(--[a-z][a-z-]+)", weir_command(*command, "--help").stdout):
                if option != "--help":
                    self.assertIn(option, reference, command)

    def test_what_is_unknown_is_answered_with_the_nearest_known(self):
        for command, wanted in ((["staus"], "did you mean 'status'"), (["stream", "creat"], "did you mean 'create'"),
                                (["stats", "--help"], "did you mean 'status'"),
                                (["sub", "s", "--folow"], "did you mean '--follow'"),
                                (["pub", "s", "--ratte=5"], "did you mean '--rate'")):
            done = weir_command(*command)
            self.assertEqual((done.returncode, done.stdout), (2, ""), command)
            self.assertIn(wanted, done.stderr)


class SilentServerTest(unittest.TestCase):
    """Something takes connections and never says a word: a hanging weir looks like this."""

    def test_every_command_that_asks_says_so_within_its_deadline(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, tempfile.NamedTemporaryFile("w") as token:
            token.write("a token\n")
            token.flush()
            order = ["export", "pause", "s", "e", "--admin-token-file", token.name]
            port = str(silent.getsockname()[1])
            protocol = [["stream", "ls"], ["stream", "info", "s"], ["stream", "create", "s"],
                        ["stream", "update", "s", "--ttl", "1h"], ["stream", "rm", "s"], ["pub", "s"], ["sub", "s"],
                        ["dlq", "ls"], ["dlq", "show", "1"], ["dlq", "replay", "--all", "--yes"], ["demo"]]
            admin = [["status"], ["top"], ["tap", "s/e"], ["export", "pause", "s", "e"], order, ["reload"],
                     ["config", "show", "--running"]]
            running = [(command, subprocess.Popen(
                [str(BINARY), *command, flag, port], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True))
                for flag, commands in (("--port", protocol), ("--admin-port", admin)) for command in commands]
            try:
                for command, process in running:
                    output, said = process.communicate(timeout=DEADLINE_S)
                    self.assertEqual((process.returncode, output), (1, ""), (command, said))
                    self.assertIn(port, said, command)
                    self.assertRegex(said, r"no answer", command)
                    self.assertRegex(said, r"--(admin-)?port", command)
                    # Only where an order has been sent.
                    self.assertEqual("may still carry this order out" in said, command is order, (command, said))
            finally:
                for _, process in running:
                    process.kill()
                    process.wait()


class PipesTest(unittest.TestCase):
    def setUp(self):
        self.weir = self.enterContext(Weir())

    def run_weir(self, *arguments, input=None, status=0, env=None):
        done = weir_command(*arguments, input=input,
                            env={"STREAM_MANAGER_SERVER_PORT": str(self.weir.port), **(env or {})})
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_lines_in_lines_out(self):
        lines = "".join(f"line {i}\n" for i in range(5000))
        self.run_weir("pub", "s", "--create", input=lines)
        self.assertEqual(self.run_weir("sub", "s").stdout, lines)
        self.assertEqual(self.run_weir("sub", "s", "--from", "-3").stdout, "line 4997\nline 4998\nline 4999\n")
        self.assertEqual(self.run_weir("sub", "s", "--from", "4998", "--count", "1").stdout, "line 4998\n")
        self.assertEqual(self.run_weir("sub", "s", "--from", "start", "-n", "2").stdout, "line 0\nline 1\n")

    def test_a_long_file_shows_how_far_it_is_on_a_terminal(self):
        path = self.weir.directory / "lines"
        path.write_text("".join(f"line {i:4}\n" for i in range(300)))
        screen, theirs = pty.openpty()
        self.addCleanup(os.close, screen)
        with path.open() as lines:
            pub = subprocess.Popen([str(BINARY), "pub", "s", "--create", "--rate", "250", "--port", str(self.weir.port)],
                                   stdin=lines, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "vt100"})
        os.close(theirs)
        self.assertEqual((pub.communicate(timeout=DEADLINE_S)[0], pub.returncode), (b"", 0))
        shown = os.read(screen, 65536).decode()
        self.assertRegex(shown, r"\rpublishing \[#+\.+\] \S+ (B|KiB) of 2\.9 KiB, .* left\x1b\[K\r")
        self.assertRegex(shown, r"\r\x1b\[Kpublished 300 messages to s in [^\r]*\r\n$")

    def test_sub_pipes_into_pub(self):
        self.run_weir("pub", "one", "--create", input="a\nb\nc\n")
        env = {**os.environ, "STREAM_MANAGER_SERVER_PORT": str(self.weir.port)}
        sub = subprocess.Popen([str(BINARY), "sub", "one"], stdout=subprocess.PIPE, env=env)
        pub = subprocess.run([str(BINARY), "pub", "two", "--create", "-q"], stdin=sub.stdout, env=env,
                             capture_output=True, timeout=DEADLINE_S)
        sub.stdout.close()
        self.assertEqual((sub.wait(DEADLINE_S), pub.returncode, pub.stdout, pub.stderr), (0, 0, b"", b""))
        self.assertEqual(self.run_weir("sub", "two").stdout, "a\nb\nc\n")

    def test_bytes_of_any_kind(self):
        payload = bytes(range(256)) * 40
        self.run_weir("pub", "s", "--create", "--whole", input=payload)
        done = self.run_weir("sub", "s", "--delimiter", "", input=b"")
        self.assertEqual(done.stdout, payload)

    def test_files_and_delimiters(self):
        for name in ("x", "y"):
            (self.weir.directory / name).write_text(f"file {name}\nof two lines\n")
        self.run_weir("pub", "files", "--create", "--file", self.weir.directory / "x", self.weir.directory / "y")
        self.run_weir("pub", "files", "--delimiter", "\\0", input=b"m1\0m2\0")
        with Client(self.weir.port) as client:
            self.assertEqual([m["payload"] for m in client.read_all("files")],
                             [b"file x\nof two lines\n", b"file y\nof two lines\n", b"m1", b"m2"])

    def test_formats(self):
        self.run_weir("pub", "s", "--create", input="hello\n")
        self.assertEqual(self.run_weir("sub", "s", "--format", "%s|%n|%l|%b|%p").stdout,
                         f"0|s|5|{base64.b64encode(b'hello').decode()}|hello\n")
        message = json.loads(self.run_weir("sub", "s", "--json").stdout)
        self.assertEqual(message["payload"], "hello")
        self.assertIn(0, message.values())

    def test_print_sequence_numbers(self):
        done = self.run_weir("pub", "s", "--create", "-v", input="a\nb\n")
        self.assertEqual(done.stdout.split(), ["0", "1"])

    def test_follow_prints_as_messages_arrive_and_ends_by_signal(self):
        with Client(self.weir.port) as client:
            client.create("s")
            client.append("s", b"before")
            env = {**os.environ, "STREAM_MANAGER_SERVER_PORT": str(self.weir.port)}
            sub = subprocess.Popen([str(BINARY), "sub", "s", "--follow"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=env)
            try:
                for text in (b"before", b"one", b"two"):
                    if text != b"before":
                        client.append("s", text)
                    self.assertEqual(sub.stdout.readline(), text + b"\n")
                sub.send_signal(signal.SIGINT)
                self.assertIn(sub.wait(DEADLINE_S), (0, 130))
            finally:
                sub.kill()
                sub.wait()
                sub.stdout.close()

    def test_a_reader_that_leaves_ends_sub_quietly(self):
        self.run_weir("pub", "s", "--create", input="line\n" * 20_000)
        done = subprocess.run(
            f"'{BINARY}' sub s --port {self.weir.port} | head -n 1", shell=True, capture_output=True, text=True,
            timeout=DEADLINE_S)
        self.assertEqual((done.stdout, done.stderr), ("line\n", ""))

    def test_streams(self):
        self.run_weir("stream", "create", "pumps", "--max-size", "1MiB", "--on-full", "overwrite", "--ttl", "36h",
                      "--flush-on-write")
        self.run_weir("stream", "create", "pumps", status=1)
        self.run_weir("stream", "create", "pumps", "--if-missing")
        self.run_weir("pub", "pumps", input="x\n")
        self.assertIn("pumps", self.run_weir("stream", "ls").stdout)
        listed = json.loads(self.run_weir("stream", "ls", "-o", "json").stdout)
        self.assertIn("pumps", json.dumps(listed))
        self.assertIn("pumps", self.run_weir("stream", "ls", "-l").stdout)
        info = json.loads(self.run_weir("stream", "info", "pumps", "-o", "json").stdout)
        definition = info["definition"]
        self.assertEqual((definition["maxSize"], definition["timeToLiveMillis"], definition["flushOnWrite"]),
                         (1 << 20, 36 * 3_600_000, True))
        self.assertIn("pumps", self.run_weir("stream", "info", "pumps").stdout)
        self.run_weir("stream", "update", "pumps", "--max-size", "2MiB")
        with Client(self.weir.port) as client:
            kept = client.describe("pumps")["definition"]
            self.assertEqual((kept["maxSize"], kept["timeToLiveMillis"], kept["flushOnWrite"], kept["strategyOnFull"]),
                             (2 << 20, 36 * 3_600_000, True, 1))
        self.run_weir("stream", "rm", "pumps")
        self.run_weir("stream", "rm", "pumps", status=1)
        self.run_weir("stream", "rm", "pumps", "--if-exists")
        self.assertEqual(self.run_weir("stream", "ls").stdout.strip(), "")

    def test_failures_name_the_thing(self):
        done = self.run_weir("sub", "nowhere", status=1)
        self.assertIn("nowhere", done.stderr)
        self.assertEqual(done.stdout, "")
        done = self.run_weir("pub", "nowhere", input="x\n", status=1)
        self.assertRegex(done.stderr, "nowhere.*--create")
        done = weir_command("stream", "ls", env={"STREAM_MANAGER_SERVER_PORT": "1"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("127.0.0.1:1", done.stderr)

    def test_status_shows_streams_and_why_an_export_waits(self):
        self.run_weir("stream", "create", "pumps", "--http-uri", "http://127.0.0.1:1/")
        self.run_weir("pub", "pumps", input="a\nb\n")

        def shown():
            done = weir_command("status", "--admin-port", self.weir.admin_port)
            self.assertEqual(done.returncode, 0, done.stderr)
            return re.search(r"pumps/http +2 waiting.*\n  backing off", done.stdout) and done.stdout

        lines = eventually("the export is backing off", shown).splitlines()
        self.assertLess([line.startswith("pumps/http") for line in lines].index(True),
                        [line.startswith("STREAM") for line in lines].index(True), "what is stuck comes first")
        self.assertLessEqual(len(lines), 24)
        self.assertLessEqual(max(map(len, lines)), 80)
        everything = weir_command("status", "--all", "--admin-port", self.weir.admin_port).stdout
        self.assertRegex(everything, r"(?s)\npumps\n.*backing off.*2 messages waiting")
        status = json.loads(weir_command("status", "--admin-port", self.weir.admin_port, "-o", "json").stdout)
        self.assertEqual(status["streams"][0]["name"], "pumps")

    def test_status_without_a_weir(self):
        done = weir_command("status", "--admin-port", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("127.0.0.1:1", done.stderr)


class TokenTest(unittest.TestCase):
    def test_a_token_from_a_file_or_the_environment(self):
        weir = Weir(authenticate=True)
        tokens = weir.directory / "tokens"
        tokens.write_text(TOKEN + "\n")
        tokens.chmod(0o600)
        weir.config["server"]["tokens_file"] = str(tokens)
        self.enterContext(weir)
        port = ("--port", weir.port)
        self.assertEqual(weir_command("stream", "ls", *port).returncode, 1)
        self.assertEqual(weir_command("stream", "ls", *port, "--token-file", tokens).returncode, 0)
        done = weir_command("stream", "ls", *port, env={"AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN})
        self.assertEqual(done.returncode, 0)
        done = weir_command("stream", "ls", *port, env={"AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN + "x"})
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(TOKEN, done.stderr)


class OfflineTest(unittest.TestCase):
    def test_validate(self):
        weir = Weir()
        good = weir.config_file()
        done = weir_command("validate", good)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        bad = weir.directory / "bad.yaml"
        bad.write_text("server:\n  prot: 8088\nexport:\n  worker_count: many\n")
        done = weir_command("validate", bad)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"bad\.yaml:2:3.*prot.*port")
        self.assertRegex(done.stderr, r"bad\.yaml:4:")

    def test_samples_are_valid(self):
        root = pathlib.Path(__file__).parents[2]
        for name in ("weir.yaml", "quickstart.yaml"):
            done = weir_command("validate", root / "packaging" / name)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def test_fsck(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("s", streamSegmentSize=4096)
            client.append_all("s", [b"%0100d" % i for i in range(100)])
        weir.stop()
        done = weir_command("fsck", weir.store)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        segments = sorted(weir.store.rglob("*.seg"))
        before = {path: path.read_bytes() for path in segments}
        with segments[0].open("r+b") as file:
            file.seek(500)
            file.write(b"\xff\xff")
        damaged = segments[0].read_bytes()
        done = weir_command("fsck", weir.store)
        self.assertEqual(done.returncode, 1)
        self.assertIn(segments[0].name, done.stdout)
        report = json.loads(weir_command("fsck", weir.store, "-o", "json").stdout)
        self.assertIn(segments[0].name, json.dumps(report))
        self.assertEqual(segments[0].read_bytes(), damaged, "fsck changed something")
        self.assertEqual({p: p.read_bytes() for p in segments[1:]}, {p: before[p] for p in segments[1:]})

    def test_fsck_of_nothing(self):
        self.assertEqual(weir_command("fsck", "/nonexistent").returncode, 1)


class DemoTest(unittest.TestCase):
    def test_telemetry_is_published_and_kept(self):
        weir = self.enterContext(Weir())
        done = weir_command("demo", "--port", weir.port, "--admin-port", weir.admin_port, "--rate", "100",
                            "--count", "20", "--stream", "telemetry")
        self.assertEqual(done.returncode, 0, done.stderr)
        with Client(weir.port) as client:
            messages = client.read_all("telemetry")
            self.assertEqual(len(messages), 20)
            for message in messages:
                self.assertIsInstance(json.loads(message["payload"]), dict)

    def test_the_quickstart_exports_files_and_goes_on_after_a_restart(self):
        sample = (pathlib.Path(__file__).parents[2] / "packaging" / "quickstart.yaml").read_text()
        weir = Weir()
        path = weir.directory / "quickstart.yaml"
        path.write_text(re.sub(r"(?m)^(\s+port:) \d+", r"\1 0", sample))
        weir.config_file = lambda: path
        exported = weir.directory / "quickstart-data" / "exported"

        def lines():
            return [json.loads(line) for file in sorted(exported.glob("[!.]*"))
                    for line in file.read_text().splitlines()]

        with weir:
            for count in (30, 60):
                done = weir_command("demo", "--port", weir.port, "--admin-port", weir.admin_port, "--rate", "200",
                                    "--count", "30")
                self.assertEqual(done.returncode, 0, done.stderr)
                eventually(f"{count} messages in files", lambda: len(lines()) == count)
                weir.restart()
            with Client(weir.port) as client:
                kept = [json.loads(m["payload"]) for m in client.read_all("telemetry")]
            self.assertEqual(lines(), kept)


if __name__ == "__main__":
    unittest.main()
