"""`weir fsck`: looking at, mending and saving a store. What each kind of damage costs is tried by
tests/crash/repair."""

import json
import pathlib
import tempfile
import unittest

from weir_client import Client
from weir_server import Weir, weir_command

PAYLOADS = [b"plain text", b"\xff\x00binary\n", "größer".encode(), b"x" * 5000]


class FsckTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="weir-fsck-")))
        self.weir = self.enterContext(Weir())
        with Client(self.weir.port) as client:
            client.create("s")
            for payload in PAYLOADS:
                client.append("s", payload)

    def damage(self):
        """Damages the second message; weir is stopped."""
        self.weir.stop()
        segment = next((self.weir.store / "streams").glob("*/*.seg"))
        content = bytearray(segment.read_bytes())
        content[64 + 24 + len(PAYLOADS[0]) + 24] ^= 0xff
        segment.write_bytes(content)
        return segment

    def test_a_store_in_use_is_looked_at_and_saved_but_not_mended(self):
        done = weir_command("fsck", self.weir.store, "--repair")
        self.assertEqual(done.returncode, 1)
        self.assertIn("systemctl stop weir", done.stderr)
        self.assertEqual(weir_command("fsck", self.weir.store).returncode, 0)
        done = weir_command("fsck", self.weir.store, "--salvage", self.directory / "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        with Client(self.weir.port) as client:
            self.assertEqual([m["payload"] for m in client.read_all("s")], PAYLOADS)

    def test_what_was_saved_is_published_again_byte_by_byte(self):
        out = self.directory / "out"
        done = weir_command("fsck", self.weir.store, "--salvage", out, "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        entry = json.loads(done.stdout)["streams"][0]
        self.assertEqual((entry["name"], entry["messages"], entry["first"], entry["last"]), ("s", 4, 0, 3))
        self.assertEqual(entry["definition"]["definition"]["name"], "s")
        self.assertEqual({p.stat().st_mode & 0o777 for p in out.iterdir()}, {0o600})
        with open(out / entry["file"], "rb") as saved:
            done = weir_command("pub", "again", "--create", "--json", "--port", self.weir.port, input=saved.read())
        self.assertEqual(done.returncode, 0, done.stderr)
        with Client(self.weir.port) as client:
            self.assertEqual([m["payload"] for m in client.read_all("again")], PAYLOADS)
        done = weir_command("pub", "again", "--json", "--port", self.weir.port, input='{"payload":"a"}\nplain\n')
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 2 is not a message", done.stderr)

    def test_a_salvage_goes_to_a_new_directory_outside_of_the_store(self):
        for out, word in ((self.weir.store / "out", "lies in the store"), (self.directory, "exists already")):
            done = weir_command("fsck", self.weir.store, "--salvage", out)
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stderr)
        done = weir_command("fsck", self.directory, "--salvage", self.directory / "out")
        self.assertEqual(done.returncode, 1)
        self.assertFalse((self.directory / "out").exists())
        self.assertEqual(weir_command("fsck", self.weir.store, "--repair", "--salvage", "x").returncode, 2)

    def test_a_repair_says_what_it_did_and_the_second_has_nothing_to_do(self):
        segment = self.damage()
        self.assertEqual(weir_command("fsck", self.weir.store).returncode, 1)
        done = weir_command("fsck", self.weir.store, "--repair", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["before"], report["verdict"]), ("damaged", "sound"))
        self.assertEqual(len(report["changes"]), 1, report)
        self.assertIn("message 1 is lost", report["changes"][0])
        kept = list((self.weir.store / report["quarantine"]).iterdir())
        self.assertEqual([p.stat().st_size for p in kept], [24 + len(PAYLOADS[1])])
        self.assertTrue(segment.exists())
        done = weir_command("fsck", self.weir.store, "--repair")
        self.assertIn("nothing had to be changed", done.stdout)
        self.weir.start()
        with Client(self.weir.port) as client:
            self.assertEqual([m["payload"] for m in client.read_all("s")], [PAYLOADS[0], *PAYLOADS[2:]])
            self.assertEqual(client.append("s", b"next"), 4)
