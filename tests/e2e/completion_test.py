"""Completion in the real shells, and the manual pages as man shows them."""

import os
import pathlib
import shlex
import socket
import subprocess
import time
import unittest

from weir_client import Client
from weir_server import BINARY, DEADLINE_S, Weir, weir_command

PACKAGING = pathlib.Path(__file__).parents[2] / "packaging"


def run(*command, env=None):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE_S,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PATH": f"{BINARY.parent}:{os.environ['PATH']}",
                                                         **(env or {})})
    return done


class CompletionTest(unittest.TestCase):
    """One weir for all: nothing here changes it but its streams."""

    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Weir())
        with Client(cls.weir.port) as client:
            client.create("pumps", exportDefinition={"http": [{"identifier": "cloud", "uri": "http://127.0.0.1:1/"}]})
            client.create("a b")
        cls.ports = ["--port", str(cls.weir.port)]
        cls.admin = ["--admin-port", str(cls.weir.admin_port)]

    def bash(self, *words, script=None):
        """What bash would offer for the last of these words, which it has parted as it does."""
        text = f"""{script or f'source {shlex.quote(str(PACKAGING / "completion" / "weir.bash"))}'}
            COMP_WORDS=({' '.join(shlex.quote(word) for word in ['weir', *words])})
            COMP_CWORD={len(words)}
            _weir weir "" ""
            ((${{#COMPREPLY[@]}})) && printf '%s\\n' "${{COMPREPLY[@]}}"
            true"""
        done = run("bash", "--norc", "-c", text)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout.splitlines()

    def zsh(self, *words):
        text = f"""compdef() {{ : }}
            _describe() {{ print -rl -- "${{(@P)2}}" }}
            _files() {{ print -r -- "files $*" }}
            source {shlex.quote(str(PACKAGING / "completion" / "_weir"))}
            words=({' '.join(shlex.quote(word) for word in ['weir', *words])})
            CURRENT={len(words) + 1}
            PREFIX={shlex.quote(words[-1])}
            _weir"""
        done = run("zsh", "-f", "-c", text)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout.splitlines()

    def fish(self, *words):
        line = " ".join(["weir", *words])
        done = run("fish", "--no-config", "-c",
                   f"source {shlex.quote(str(PACKAGING / 'completion' / 'weir.fish'))}; complete -C {shlex.quote(line)}")
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout.splitlines()

    def test_bash(self):
        self.assertIn("status", self.bash(""))
        self.assertEqual(self.bash("stre"), ["stream"])
        self.assertIn("create", self.bash("stream", ""))
        self.assertEqual(self.bash("sub", "--fol"), ["--follow"])
        self.assertEqual(self.bash("status", "--output", "j"), ["json"])
        self.assertEqual(self.bash("status", "--output", "=", "j"), ["json"])
        self.assertEqual(self.bash("sub", *self.ports, "pu"), ["pumps"])
        self.assertEqual(self.bash("sub", *self.ports, ""), ["a\\ b", "pumps"])
        self.assertEqual(self.bash("sub", *self.ports, "a\\ "), ["a\\ b"])
        self.assertEqual(self.bash("sub", *self.ports, "'a "), ["a b"], "inside quotes nothing is quoted")
        self.assertEqual(self.bash("export", "pause", *self.admin, "pumps", ""), ["cloud"])
        self.assertEqual(self.bash("tap", *self.admin, ""), ["pumps/cloud"])
        self.assertIn(f"{BINARY}", self.bash("pub", "s", "--file", f"{BINARY}"))
        self.assertIn(f"{BINARY.parent}", self.bash("fsck", f"{BINARY.parent}"))

    def test_zsh(self):
        self.assertTrue(any(line.startswith("status:Show") for line in self.zsh("")))
        self.assertEqual([line.split(":")[0] for line in self.zsh("stream", "cr")], ["create"])
        self.assertEqual(self.zsh("sub", *self.ports, ""), ["a b", "pumps"])
        self.assertEqual(self.zsh("status", "--output=j"), ["--output=json"])
        self.assertEqual(self.zsh("validate", ""), ["files "])
        self.assertEqual(self.zsh("fsck", ""), ["files -/"])
        self.assertEqual(run("zsh", "-f", "-n", PACKAGING / "completion" / "_weir").stderr, "")

    def test_fish(self):
        self.assertTrue(any(line.startswith("status\tShow") for line in self.fish("")))
        self.assertEqual([line.split("\t")[0] for line in self.fish("stream", "cr")], ["create"])
        self.assertEqual([line.split("\t")[0] for line in self.fish("sub", *self.ports, "")], ["a b", "pumps"])
        self.assertIn(f"{BINARY}", self.fish("validate", f"{BINARY}"))
        self.assertEqual(run("fish", "--no-config", "--no-execute", PACKAGING / "completion" / "weir.fish").stderr, "")

    def test_what_is_printed_is_what_is_installed(self):
        self.assertEqual(self.bash("stre", script="source <(weir completion bash)"), ["stream"])
        self.assertEqual(weir_command("completion", "powershell").returncode, 2)

    def test_without_a_weir_there_is_silence(self):
        self.assertEqual(self.bash("sub", "--port", "1", ""), [])
        self.assertEqual(self.bash("export", "pause", "--admin-port", "1", ""), [])
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = str(silent.getsockname()[1])
            began = time.monotonic()
            self.assertEqual(self.bash("sub", "--port", port, ""), [])
            self.assertEqual(self.bash("tap", "--admin-port", port, ""), [])
            self.assertLess(time.monotonic() - began, DEADLINE_S / 2, "a tab key is waited for")


class ManualTest(unittest.TestCase):
    def test_no_page_has_a_warning(self):
        pages = sorted((PACKAGING / "man").iterdir())
        self.assertGreater(len(pages), 10)
        for page in pages:
            done = run("man", "--warnings", "-l", page, env={"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page.name)
            self.assertIn("NAME", done.stdout)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100, page.name)
        done = run("groff", "-man", "-ww", "-Tutf8", *pages)
        self.assertEqual(done.stderr, "")

    def test_weir_prints_them(self):
        for name, page in (("sub", "weir-sub.1"), ("weir", "weir.1"), ("stream", "weir-stream.1"),
                           ("weir.yaml", "weir.yaml.5")):
            self.assertEqual(weir_command("man", name).stdout, (PACKAGING / "man" / page).read_text())
        self.assertEqual(weir_command("man", "stream", "create").stdout, weir_command("man", "stream").stdout)
        self.assertEqual(weir_command("man", "nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
