"""Every command of docs/quickstart.md, in order, in a network of its own."""

import pathlib
import subprocess
import sys
import unittest

WALK = pathlib.Path(__file__).resolve().parent / "lib" / "quickstart_walk.py"


class QuickstartTest(unittest.TestCase):
    def test_every_command_of_the_page_works_as_it_stands(self):
        done = subprocess.run(["unshare", "--net", "--map-root-user", sys.executable, str(WALK)],
                              capture_output=True, text=True, timeout=280)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
