"""How every campaign is run: cases with seeds, and a last line that counts them."""

import argparse
import json
import os
import pathlib
import random
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e" / "lib"))


class Campaign:
    def __init__(self, description, **options):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--seed", type=int, default=None, help="of the first case")
        for name, (default, text) in options.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default,
                                help=f"{text} (default {default})")
        self.options = parser.parse_args()
        self.first_seed = self.options.seed
        if self.first_seed is None:
            self.first_seed = random.SystemRandom().randrange(1_000_000)
        self.cases = []

    def case(self, title, action, *arguments):
        """Runs `action(problems, *arguments)`; it adds what is wrong to the list `problems`."""
        problems, notes = [], None
        began = time.monotonic()
        try:
            notes = action(problems, *arguments)
        except Exception:
            problems.append(traceback.format_exc())
        seconds = time.monotonic() - began
        word = "FAILED" if problems else "ok    "
        print(f"{word} {seconds:6.1f} s  {title}{f': {notes}' if notes else ''}", flush=True)
        for problem in problems[:10]:
            print("        " + problem.replace("\n", "\n        "), flush=True)
        if len(problems) > 10:
            print(f"        and {len(problems) - 10} more", flush=True)
        self.cases.append({"name": title, "passed": not problems, "output": "\n".join(problems)})

    def skip(self, title, reason):
        print(f"skipped           {title}: {reason}", flush=True)
        passed = os.environ.get("WEIR_SKIPS_FAIL") != "1"
        self.cases.append({"name": title, "passed": passed, "output": f"skipped: {reason}"})

    def finish(self):
        report = os.environ.get("WEIR_TEST_REPORT")
        if report:
            pathlib.Path(report).write_text(json.dumps(self.cases))
        failed = sum(not case["passed"] for case in self.cases)
        print(f"{len(self.cases) - failed} passed, {failed} failed", flush=True)
        sys.exit(1 if failed or not self.cases else 0)
