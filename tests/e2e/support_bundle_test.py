"""What leaves the machine when somebody asks for help: everything but secrets."""

import json
import pathlib
import stat
import tarfile
import tempfile
import unittest

from sinks import HttpSink, impatient
from weir_client import Client
from weir_server import AWS_KEY_ID, AWS_SECRET, AWS_SESSION, PAYLOAD_MARK, TOKEN, Weir, eventually, weir_command

HEADER = "header-secret-5XQ9"
USER = "planted-user-K2"
WORD = "planted-word-W8"
QUERY = "planted-query-Z4"
BEARER = "bearer-file-secret-B7"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": AWS_KEY_ID, "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
               "AWS_SESSION_TOKEN": AWS_SESSION, "AWS_REGION": "eu-central-1"}


def members(path):
    with tarfile.open(path) as archive:
        return {pathlib.Path(member.name).name: archive.extractfile(member).read() for member in archive.getmembers()}


class SupportBundleTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def bundle(self, *arguments, env=None, status=0):
        path = self.directory / "bundle.tar.gz"
        done = weir_command("support-bundle", "--offline", "--output", path, *arguments, env=env)
        self.assertEqual(done.returncode, status, (done.stdout, done.stderr))
        self.printed = done.stdout + done.stderr
        return path

    def test_no_secret_is_in_any_file_wherever_it_was_planted(self):
        tokens = self.directory / "tokens"
        tokens.write_text(TOKEN + "\n")
        tokens.chmod(0o600)
        bearer = self.directory / "bearer"
        bearer.write_text(BEARER)
        bearer.chmod(0o600)
        sink = self.enterContext(HttpSink(faults=[("status", 422, "")] * 1000))
        config = {
            **impatient(),
            "server": {"tokens_file": str(tokens)},
            "additions": [{"on_streams": "*", "type": "http", "identifier": "added",
                           "uri": f"http://127.0.0.1:{sink.port}/in?token={QUERY}"}],
        }
        config["export"]["options"] = [{"stream": "*", "http": {
            "headers": {"X-Key": HEADER, "X-Other": f"Basic {HEADER}"}, "bearer_token_file": str(bearer)}}]
        weir = self.enterContext(Weir(config, env=CREDENTIALS, authenticate=True))
        with Client(weir.port, token=TOKEN) as client:
            client.create("s", exportDefinition={"http": [
                {"identifier": "h", "uri": f"http://127.0.0.1:{sink.port}/in?key={QUERY}"}]})
            client.append("s", PAYLOAD_MARK + b" of a message")
        eventually("the destination refused it", lambda: sink.seen)
        admin_token = (weir.store / "admin-token").read_text().strip()
        # A weir that starts takes no such address; a file that is being written may have it.
        file = weir.directory / "weir.yaml"
        plain = file.read_text()
        self.assertIn(f"127.0.0.1:{sink.port}/in?token", plain)
        file.write_text(plain.replace(f"127.0.0.1:{sink.port}/in?token", f"{USER}:{WORD}@127.0.0.1:{sink.port}/in?token"))
        path = self.bundle("--admin-port", weir.admin_port, "--config", weir.directory / "weir.yaml", env=CREDENTIALS)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        found = members(path)
        for secret in [TOKEN, AWS_KEY_ID, AWS_SECRET, AWS_SESSION, PAYLOAD_MARK.decode(), HEADER, USER, WORD, QUERY,
                       BEARER, admin_token]:
            for name, content in found.items():
                self.assertNotIn(secret.encode(), content, f"{secret} in {name}")
            self.assertNotIn(secret, self.printed)
        for name in ["version.txt", "config-files.json", "config-running.json", "status.json", "metrics.txt",
                     "recent-log.json", "doctor.json", "store.txt", "definitions.json", "machine.txt", "process.txt"]:
            self.assertIn(name, found)
            self.assertIn(name, found["contents.txt"].decode())
            self.assertIn(name, self.printed)
        for name in ["config-files.json", "config-running.json", "status.json", "definitions.json", "doctor.json"]:
            json.loads(found[name])
        self.assertEqual(json.loads(found["status.json"])["streams"][0]["name"], "s")
        self.assertIn("(hidden)", found["definitions.json"].decode())
        values = json.loads(found["config-running.json"])["values"]
        self.assertEqual(values["server.tokens_file"]["value"], str(tokens), "names of files are no secrets")
        self.assertIn(f"/proc/{weir.process.pid}/limits", found["process.txt"].decode())
        self.assertIn("weir_daemon_info", found["metrics.txt"].decode())

    def test_it_works_when_weir_does_not_answer_and_overwrites_nothing(self):
        weir = Weir({"streams": [{"name": "kept"}]})
        with weir:
            config = weir.directory / "weir.yaml"
            weir.stop()
            path = self.bundle("--admin-port", "1", "--config", config)
            found = members(path)
            self.assertIn("weir does not answer", found["contents.txt"].decode())
            self.assertIn("kept", found["definitions.json"].decode())
            self.assertIn("definition.json", found["store.txt"].decode())
            before = path.read_bytes()
            self.bundle("--admin-port", "1", "--config", config, status=1)
            self.assertIn("is there already", self.printed)
            self.assertEqual(path.read_bytes(), before)
            # Nor does a bad configuration keep it from helping.
            config.write_text("store: {directory: %s}\nserver: {port: wrong}\n" % weir.store)
            path.unlink()
            found = members(self.bundle("--admin-port", "1", "--config", config))
            self.assertIn("is not a whole number", found["config-files.json"].decode())
            weir.start()
