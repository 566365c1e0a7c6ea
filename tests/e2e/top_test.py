"""weir top on a terminal: what a person sees, what the keys do, and that the terminal is left as it was."""

import copy
import os
import signal
import unittest

from admin_port import AdminPort, a_status, a_stream, an_export
from terminal import Terminal
from weir_client import Client
from weir_server import BINARY, DEADLINE_S, Weir, weir_command

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil\u009b31m"


class TopTest(unittest.TestCase):
    def setUp(self):
        self.status = a_status(
            a_stream("pumps", 1, [an_export("cloud", "backoff", 12, last_error="AccessDenied: no kinesis:PutRecords",
                                            failure_class="operator", next_try_in_ms=4000)]),
            a_stream("valves", 2, [an_export("lake", "in_flight", 3)]),
            a_stream("journal", 3), a_stream("doors", 4, [an_export("slow", "backoff", 40, last_error="throttled")]))

    def top(self, port, **options):
        terminal = self.enterContext(Terminal([BINARY, "top", "--admin-port", port, "--interval", "0.1"], **options))
        terminal.wait_for("something is drawn", lambda text: "q quit" in text)
        return terminal

    def fake(self, **options):
        admin = self.enterContext(AdminPort(self.status))
        return admin, self.top(admin.port, **options)

    def order(self, terminal):
        lines = terminal.lines()
        begin = next(i for i, line in enumerate(lines) if "STREAM/EXPORT" in line)
        return [line[2:].split()[0] for line in lines[begin + 1:-1] if line]

    def leave(self, terminal):
        terminal.press("q")
        self.assertEqual(terminal.process.wait(DEADLINE_S), 0)
        terminal.wait_for("the terminal is as it was", lambda _: terminal.is_as_before())
        self.assertEqual(terminal.screen.faults, [])

    def test_what_needs_a_person_stands_first_with_its_reason(self):
        _, terminal = self.fake()
        self.assertEqual(self.order(terminal), ["pumps/cloud", "doors/slow", "valves/lake", "journal"])
        self.assertRegex(terminal.text(), r"! pumps/cloud .* 12 .*backing")
        self.assertIn("31", terminal.screen.styles)
        self.leave(terminal)

    def test_keys_order_choose_filter_and_show_details(self):
        admin, terminal = self.fake()
        for key, first in (("w", "doors/slow"), ("n", "pumps/cloud"), ("n", "doors/slow"), ("t", "pumps/cloud")):
            terminal.press(key)
            terminal.wait_for(f"{first} stands first after {key}", lambda _: self.order(terminal)[0] == first)
        terminal.press("j\x1b[B\x1b[A\r")
        terminal.sees("export slow (kinesis -> lake)")
        terminal.sees("last error: throttled")
        terminal.press("\x1b")
        terminal.sees("STREAM/EXPORT")
        terminal.press("/VAL")
        terminal.wait_for("only what matches is left", lambda _: self.order(terminal) == ["valves/lake"])
        terminal.press("x\x7f\r")
        terminal.sees("filter: VAL (1)")
        terminal.press("\x1b")
        terminal.wait_for("the filter is gone", lambda _: len(self.order(terminal)) == 4)
        terminal.press("?")
        terminal.sees("needs a person")
        terminal.press("q")
        terminal.sees("STREAM/EXPORT")
        terminal.press("p")
        terminal.sees("PAUSED")
        self.status["streams"].append(a_stream("new", 5))
        admin.status = copy.deepcopy(self.status)
        terminal.press("p")
        terminal.sees("new")
        self.leave(terminal)

    def test_a_row_stays_chosen_while_others_move(self):
        admin, terminal = self.fake()
        terminal.press("jj\r")  # valves
        terminal.sees("export lake")
        changed = copy.deepcopy(self.status)
        changed["streams"][1]["exports"][0].update(state="broken", last_error="gone for good")
        changed["streams"].pop(0)
        admin.status = changed
        terminal.sees("gone for good")
        self.leave_details(terminal)

    def leave_details(self, terminal):
        terminal.press("\x1b")
        terminal.sees("STREAM/EXPORT")
        self.leave(terminal)

    def test_other_sizes_also_while_it_runs(self):
        self.status["streams"] += [a_stream(f"stream {i:03}", 10 + i, [an_export("e", "idle")]) for i in range(100)]
        _, terminal = self.fake()
        for columns, rows in ((40, 24), (32, 10), (200, 60), (20, 8), (80, 24)):
            terminal.set_size(columns, rows)
            terminal.wait_for(f"it fills {columns} columns",
                              lambda text: rows == len(terminal.lines()) and
                              len(terminal.lines()[-1]) > 0 and "STREAM" in text)
            terminal.press("G")
            terminal.wait_for("the last line is reached", lambda text: "STREAM" in text)
            terminal.press("g")
        self.leave(terminal)

    def test_hostile_names_and_errors_are_text(self):
        self.status["streams"] = [a_stream(HOSTILE, 1, [an_export(HOSTILE, "backoff", 1, last_error=HOSTILE)]),
                                  a_stream("温度 sensor", 2, [an_export("é", "idle")])]
        _, terminal = self.fake(columns=100)
        terminal.sees("\\x1b[2J")
        terminal.sees("温度")
        terminal.press("\r")
        terminal.sees("last error: \\x1b")
        self.leave_details(terminal)
        self.assertNotIn("\u202e", terminal.text())

    def test_without_colours_when_nobody_wants_them(self):
        _, terminal = self.fake(env={"NO_COLOR": "1"})
        self.leave(terminal)
        self.assertFalse(terminal.screen.styles & {"31", "33"}, terminal.screen.styles)

    def test_a_weir_that_goes_away_and_comes_back(self):
        admin = AdminPort(self.status)
        try:
            terminal = self.top(admin.port)
            admin.close()
            terminal.sees("weir does not answer")
            terminal.press("j\r")  # the keys go on working
            terminal.sees("export slow")
            terminal.press("\x1b")
            self.status["streams"].append(a_stream("after the restart", 9))
            admin = AdminPort(self.status, port=admin.port)
            terminal.sees("after the restart")
            terminal.wait_for("nothing is said of it any more", lambda text: "does not answer" not in text)
            self.leave(terminal)
        finally:
            admin.close()

    def test_the_terminal_is_as_before_whatever_ends_it(self):
        for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0),
                               (signal.SIGABRT, -signal.SIGABRT), (signal.SIGSEGV, -signal.SIGSEGV)):
            with self.subTest(signal=number):
                _, terminal = self.fake()
                os.kill(terminal.process.pid, number)
                self.assertEqual(terminal.process.wait(DEADLINE_S), status)
                terminal.wait_for("the terminal is as it was", lambda _: terminal.is_as_before())

    def test_it_can_be_stopped_and_continued(self):
        _, terminal = self.fake()
        os.kill(terminal.process.pid, signal.SIGTSTP)
        terminal.wait_for("the terminal is as it was", lambda _: terminal.is_as_before())
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.wait_for("it is drawn again", lambda text: terminal.screen.alternate and "STREAM/EXPORT" in text)
        self.leave(terminal)

    def test_figures_change_while_messages_come(self):
        weir = self.enterContext(Weir())
        with Client(weir.port) as client:
            client.create("telemetry")
            client.append_all("telemetry", [b"x"] * 100)
            terminal = self.top(weir.admin_port)

            def rate(_):
                client.append_all("telemetry", [b"x"] * 50)
                words = next(line for line in terminal.lines() if "telemetry" in line).split()
                return any(word.replace(",", "").isdigit() and int(word.replace(",", "")) > 1 for word in words[1:])
            terminal.wait_for("a rate is shown", rate)
            self.leave(terminal)

    def test_on_a_pipe_it_is_one_look(self):
        admin = self.enterContext(AdminPort(self.status))
        done = weir_command("top", "--admin-port", admin.port)
        self.assertEqual(done.returncode, 0)
        self.assertIn("pumps/cloud", done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("needs a terminal", done.stderr)


if __name__ == "__main__":
    unittest.main()
