"""The dashboard in a real browser: what it shows, what it lets nobody do."""

import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import tempfile
import threading
import unittest
import urllib.request

from browser import Browser
from ports import held_port
from sinks import HttpSink, impatient
from weir_client import Client
from weir_server import ROOT, SANITIZED, TOKEN, Weir, eventually

HOSTILE = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>&lt;\u202eevil\u0000"
PAGE_BYTES_MAX = 150 * 1024
# With WEIR_WRITE_SCREENSHOTS=1 the pictures of the documents are taken anew.
PICTURES = ROOT / "docs" / "images" if os.environ.get("WEIR_WRITE_SCREENSHOTS") else None

browser = None


def setUpModule():
    global browser
    browser = Browser().__enter__()
    unittest.addModuleCleanup(browser.close)


def http_export(uri, identifier="cloud", **members):
    return {"http": [{"identifier": identifier, "uri": uri, **members}]}


def ask(weir, method, path, headers=(), body=None, host=None):
    """One request as somebody who is no browser can make it: (status, text)."""
    connection = http.client.HTTPConnection("127.0.0.1", weir.admin_port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class DashboardCase(unittest.TestCase):
    def setUp(self):
        browser.size(1280, 860)
        browser.scheme("light")

    def open(self, weir, verdict=""):
        browser.heard().console.clear()
        browser.fetched.clear()
        browser.open(f"http://127.0.0.1:{weir.admin_port}/")
        browser.seen("#link", "Live")
        if verdict:
            browser.seen("#verdict", verdict)

    def close_page(self):
        browser.open("about:blank")

    def assert_no_complaints(self, *allowed):
        found = [text for text in browser.complaints() if not any(part in text for part in allowed)]
        self.assertEqual(found, [])

    def open_stream(self, name):
        browser.seen("#rows", name)
        browser.script("""const name = arguments[0];
            [...document.querySelectorAll('tr.stream button.name')].find((e) => e.innerText === name).click()""", name)
        browser.seen("#detail-title", name)

    def token(self, weir):
        return (weir.store / "admin-token").read_text().strip()


class LiveTest(DashboardCase):
    """One weir with data, a stuck export and a file export."""

    @classmethod
    def setUpClass(cls):
        cls.files = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="weir-e2e-"))
        cls.sink = cls.enterClassContext(HttpSink())
        config = impatient()
        config["admin"] = {"port": 0, "actions": True}
        config["streams"] = [{"name": "audit-log", "max_size_bytes": 64 << 20,
                              "exports": [{"identifier": "files", "type": "file", "directory": cls.files + "/out"}]}]
        cls.weir = cls.enterClassContext(Weir(config))
        cls.client = cls.enterClassContext(Client(cls.weir.port))
        cls.client.create("pumps-telemetry", maxSize=8 << 20,
                          exportDefinition=http_export(f"http://127.0.0.1:{held_port()}/in"))
        cls.client.create("door-events", exportDefinition=http_export(cls.sink.uri, "alerts"))
        cls.client.create("alarms", maxSize=1 << 20, persistence=1)
        cls.client.append_all("pumps-telemetry", [json.dumps({"pump": n % 7, "bar": 1.2 + n % 13 / 10}).encode()
                                                  for n in range(400)])
        cls.client.append_all("audit-log", [b"user=oper action=view"] * 20)

    def tearDown(self):
        self.close_page()

    def test_figures_change_while_data_flows_and_nothing_is_asked_of_others(self):
        self.open(self.weir, "stuck")
        browser.seen("#verdict-why", "pumps-telemetry → cloud")
        browser.seen("#rows", "400 waiting")
        before = self.client.append("pumps-telemetry", b"one more")
        browser.seen("#rows", f"{before + 1} waiting")
        self.client.append_all("door-events", [b"open"] * 500)
        self.assertNotEqual(browser.seen("#tiles", lambda text: "Coming in\n0/s" not in text), "")
        browser.seen("#warnings", "Export failed")
        browser.seen("#around", str(self.weir.store))
        # The first in the list is what is stuck.
        self.assertIn("pumps-telemetry", browser.texts("#rows tr:not(.space)")[0])
        self.assertIn("stuck", browser.texts("#rows tr:not(.space)")[1])
        self.assert_no_complaints()
        own = f"http://127.0.0.1:{self.weir.admin_port}/"
        # The browser's own pages (its start page) are not ours.
        asked = {url for url in browser.fetched if not url.startswith(("chrome:", "about:", "data:"))}
        self.assertEqual([url for url in asked if not url.startswith(own)], [])
        page = {url for url in asked if "/page/" in url or url == own}
        self.assertGreaterEqual(len(page), 10)
        total = 0
        for url in page:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/html"})) as answer:
                total += len(answer.read())
                self.assertNotIn("unsafe", answer.headers["Content-Security-Policy"])
        self.assertLess(total, PAGE_BYTES_MAX)

    def test_tail_shows_a_hostile_payload_as_text(self):
        self.client.append("alarms", json.dumps({"text": HOSTILE}).encode())
        self.client.append("alarms", HOSTILE.encode() + b"\xff\xfe")
        self.open(self.weir)
        self.open_stream("alarms")
        browser.click_text("#detail .live button", "Start")
        text = browser.seen("#detail .lines", "#1")
        self.assertIn("<img src=x onerror=", text)
        self.assertIn("\\u{202e}evil\\u{0}", text)
        self.assertNotIn("\u202e", text)
        browser.choose("#detail .live select[aria-label='Shown as']", "json")
        self.assertIn("\"text\":", browser.seen("#detail .lines", "{\n"))
        browser.choose("#detail .live select[aria-label='Shown as']", "hex")
        browser.seen("#detail .lines", "3c 69 6d 67 20 73 72 63")
        browser.choose("#detail .live select[aria-label='Shown as']", "text")
        # Paused: nothing new, until it goes on where it was.
        browser.click_text("#detail .live button", "Pause")
        self.client.append("alarms", b"while it was paused")
        browser.seen("#detail .live", "Paused")
        self.assertNotIn("while it was", browser.text("#detail .lines"))
        browser.click_text("#detail .live button", "Go on")
        browser.seen("#detail .lines", "while it was paused")
        browser.type("#detail .live input", "paused")
        browser.seen("#detail .lines", lambda text: "paused" in text and "<img" not in text)
        self.assertIsNone(browser.script("return window.hacked ?? null"))
        self.assertEqual(browser.script("return document.querySelectorAll('img[src=x], .lines script').length"), 0)
        self.assert_no_complaints()

    def test_what_an_export_sends_can_be_watched(self):
        self.open(self.weir)
        self.open_stream("door-events")
        browser.click_text("#detail .card button", "Watch")
        browser.seen("#detail .card .live", "Waiting for what comes")
        seen_before = len(self.sink.requests)
        self.client.append("door-events", b"{\"door\":3}")
        text = browser.seen("#detail .card .lines", "door")
        self.assertIn("sent", text)
        self.assertGreater(len(self.sink.requests), seen_before)
        self.assert_no_complaints()

    def test_a_phone_does_not_scroll_sideways_and_the_dark_is_dark(self):
        name = "a-stream-whose-name-has-no-end-" + "x" * 200
        self.client.create(name, exportDefinition=http_export(f"http://127.0.0.1:{held_port()}/{'y' * 200}"))
        self.client.append(name, b"z" * 5000)
        width = "return [document.documentElement.scrollWidth, document.querySelector('#scroller').scrollWidth - document.querySelector('#scroller').clientWidth]"
        try:
            browser.size(360, 740, phone=True)
            self.open(self.weir, "stuck")
            browser.seen("#rows", name[:40])
            self.assertEqual(browser.script(width), [360, 0])
            self.open_stream(name)
            browser.click_text("#detail .live button", "Start")
            browser.seen("#detail .lines", "zzz")
            self.assertEqual(browser.script("""const d = document.querySelector('#detail');
                return [document.documentElement.scrollWidth, d.scrollWidth - d.clientWidth, d.clientWidth]"""), [360, 0, 360])
            browser.script("document.querySelector('#detail').close()")
            light = browser.script("return getComputedStyle(document.body).backgroundColor")
            browser.scheme("dark")
            dark = browser.script("return getComputedStyle(document.body).backgroundColor")
            self.assertGreater(sum(map(int, re.findall(r"\d+", light))), 600)
            self.assertLess(sum(map(int, re.findall(r"\d+", dark))), 150)
            self.assert_no_complaints()
        finally:
            self.client.delete(name)

    def test_a_keyboard_is_enough(self):
        self.open(self.weir, "stuck")
        browser.seen("#rows", "audit-log")
        key = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}))"
        browser.script(key)
        self.assertEqual(browser.script("return document.activeElement.id"), "filter")
        browser.type("#filter", "audit")
        browser.seen("#count", "1 of")
        self.assertNotIn("pumps", browser.text("#rows"))
        browser.script("document.querySelector('tr.stream button.name').focus()")
        # Enter, as a person presses it.
        browser.do("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": [
            {"type": "keyDown", "value": "\ue007"}, {"type": "keyUp", "value": "\ue007"}]}]})
        browser.seen("#detail-title", "audit-log")
        roles = browser.script("""return ['table', 'row', 'columnheader', 'cell'].map((r) =>
            document.querySelectorAll(`#table[role=${r}], #table [role=${r}]`).length > 0)""")
        self.assertEqual(roles, [True] * 4)
        unnamed = browser.script("""return [...document.querySelectorAll('input, select, button')].filter((e) =>
            !e.innerText.trim() && !e.getAttribute('aria-label') && !e.labels?.length).map((e) => e.outerHTML)""")
        self.assertEqual(unnamed, [])

    def test_actions_need_the_token_and_what_is_lost_is_asked_for(self):
        self.client.create("doomed", exportDefinition=http_export(self.sink.uri))
        self.client.append_all("doomed", [b"a", b"b", b"c"])
        eventually("it is sent", lambda: self.client.describe("doomed")["exportStatuses"][0]["lastExportedSequenceNumber"] == 2)
        self.open(self.weir)
        self.open_stream("doomed")
        browser.click_text("#detail .card button", "Pause")
        browser.seen("#ask-title", "Admin token")
        browser.type("#ask-input", "0123wrong")
        browser.click("#ask-yes")
        browser.seen("#ask-error", "was not accepted")
        browser.type("#ask-input", self.token(self.weir))
        browser.click("#ask-yes")
        browser.seen("#detail .card .state", "paused")
        # Rewinding sends messages again, so weir wants to hear it twice.
        browser.click_text("#detail .card button", "Rewind")
        browser.type("#ask-input", "0")
        browser.click("#ask-yes")
        browser.seen("#ask-title", "Are you sure?")
        browser.click("#ask-yes")
        browser.seen("#detail .card .facts", "3 messages")
        browser.click_text("#detail .card button", "Resume")
        eventually("they are sent again", lambda: len([r for r in self.sink.requests if r.body == b"a"]) == 2)
        browser.seen("#detail .card .state", "up to date")
        browser.click_text("#detail button", "Delete")
        browser.seen("#ask-text", "3 stored messages")
        self.assertTrue(browser.script("return document.querySelector('#ask-yes').disabled"))
        browser.type("#ask-input", "doomed")
        browser.click("#ask-yes")
        eventually("it is deleted", lambda: "doomed" not in self.client.list())
        eventually("and gone from the page", lambda: "doomed" not in browser.text("#rows"))
        # The token is in no storage that outlives the page.
        self.assertEqual(browser.script("return [localStorage.length, sessionStorage.length, document.cookie]"), [0, 0, ""])
        self.assertIn("wrong token", self.weir.log())
        self.assertNotIn("0123wrong", self.weir.log())
        self.assertNotIn(self.token(self.weir), self.weir.log())
        self.assert_no_complaints("401", "409")

    def test_pictures(self):
        """As the documents show them; otherwise only that taking them works."""
        if PICTURES:
            self.flow(100)
        self.client.append_all("door-events", [b"open"] * 40)
        self.open(self.weir, "stuck")
        browser.seen("#tiles", "Going out")
        shots = {"dashboard": (1280, 860, False, "light"), "dashboard-dark": (1280, 860, False, "dark"),
                 "dashboard-phone": (360, 740, True, "light")}
        for name, (width, height, phone, scheme) in shots.items():
            browser.size(width, height, phone)
            browser.scheme(scheme)
            self.save(name)
        browser.size(1280, 860)
        browser.scheme("light")
        self.open_stream("pumps-telemetry")
        browser.click_text("#detail .live button", "Start")
        browser.seen("#detail .lines", "pump")
        self.save("dashboard-stream")

    def flow(self, seconds):
        """Data as from a small plant, so that the curves of the pictures have something to show."""
        pause = threading.Event()
        for tick in range(seconds * 4):
            # What is stuck reads on; what works has its ups and downs.
            self.client.append_all("pumps-telemetry", [json.dumps({"pump": n, "bar": round(1.2 + (tick + n) % 13 / 10, 1)}).encode()
                                                       for n in range(7)])
            self.client.append_all("door-events", [b'{"door":3,"open":true}'] * (tick // 40 % 4 + 1))
            self.client.append("audit-log", b"user=operator action=view page=pumps")
            if tick % 9 == 0:
                self.client.append("alarms", b'{"level":"info","text":"shift change"}')
            pause.wait(0.25)

    def save(self, name):
        picture = browser.picture()
        self.assertTrue(picture.startswith(b"\x89PNG"))
        if PICTURES:
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"{name}.png").write_bytes(picture)


class ManyTest(DashboardCase):
    def test_hundreds_of_streams_are_as_easy_as_ten(self):
        config = impatient()
        config["streams"] = [{"name": f"machine-{n:03}", "max_size_bytes": 1 << 20} for n in range(300)]
        with Weir(config) as weir, Client(weir.port) as client:
            client.create("the-stuck-one", exportDefinition=http_export(f"http://127.0.0.1:{held_port()}/"))
            client.append("the-stuck-one", b"x")
            # With so many, weir looks less often: what it sees first shall be this.
            eventually("it has failed a few times", lambda: re.search(
                r'weir_exporter_failures_in_a_row\{[^}]*\} ([3-9]|\d\d)', ask(weir, "GET", "/metrics")[1]))
            self.open(weir, "stuck")
            browser.seen("#count", "301")
            self.assertIn("the-stuck-one", browser.texts("#rows tr:not(.space)")[0])
            self.assertLess(browser.script("return document.querySelectorAll('#rows tr').length"), 60)
            browser.script("document.querySelector('#scroller').scrollTop = 1e9")
            browser.seen("#rows", "machine-299")
            self.assertLess(browser.script("return document.querySelectorAll('#rows tr').length"), 60)
            browser.type("#filter", "machine-05")
            browser.seen("#count", "10 of 301")
            browser.choose("#show", "trouble")
            browser.seen("#nothing", "No stream matches")
            self.assert_no_complaints()
            self.close_page()


class ForbiddenTest(DashboardCase):
    """As it is installed: no actions. And what a page from elsewhere can do: nothing."""

    @classmethod
    def setUpClass(cls):
        config = impatient()
        config["admin"] = {"port": 0, "connections_max": 32}
        cls.weir = cls.enterClassContext(Weir(config))
        cls.client = cls.enterClassContext(Client(cls.weir.port))
        cls.client.create("s", exportDefinition=http_export(f"http://127.0.0.1:{held_port()}/"))
        cls.client.append("s", b"x")

    def test_without_admin_actions_there_are_none(self):
        self.open(self.weir, "1 export is")
        self.open_stream("s")
        browser.seen("#detail .card", "Watch")
        shown = browser.script("""return [...document.querySelectorAll('#detail button, #unlock')]
            .filter((e) => e.offsetParent).map((e) => e.innerText)""")
        self.assertEqual([text for text in shown if text in ("Pause", "Resume", "Retry now", "Rewind…", "Delete this stream", "Unlock")], [])
        said = browser.async_script("""const done = arguments[arguments.length - 1];
            fetch('/exports', {method: 'POST', headers: {Authorization: 'Bearer ' + arguments[0]},
                               body: JSON.stringify({stream: 's', export: 'cloud', order: 'pause'})})
              .then(async (a) => done([a.status, await a.text()]), (e) => done([0, String(e)]))""", self.token(self.weir))
        self.assertEqual(said[0], 403)
        self.assertIn("admin.actions", said[1])
        self.close_page()
        token = ("Authorization", f"Bearer {self.token(self.weir)}")
        self.assertEqual(ask(self.weir, "POST", "/streams", [token], b'{"stream":"s","order":"delete","confirmed":true}')[0], 403)
        self.assertEqual(self.client.list(), ["s"])

    def test_who_comes_under_another_name_or_from_another_page_is_refused(self):
        port = self.weir.admin_port
        for path in ("/", "/events", "/history?streams=1", "/tail?stream=s", "/tap?export=s/cloud", "/page/dashboard.js"):
            self.assertEqual(ask(self.weir, "GET", path, host=f"rebound.example:{port}")[0], 421, path)
            self.assertEqual(ask(self.weir, "GET", path, [("Origin", "http://evil.example")])[0], 403, path)
            self.assertEqual(ask(self.weir, "GET", path, [("Sec-Fetch-Site", "cross-site")])[0], 403, path)

    def test_a_page_of_another_origin_reads_nothing_and_its_websockets_do_no_harm(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>elsewhere</title>")

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as elsewhere:
            threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
            browser.open(f"http://127.0.0.1:{elsewhere.server_port}/")
            found = browser.async_script("""const [at, done] = arguments; const said = {};
                const tries = [
                  fetch(`http://${at}/status`).then(() => 'read', () => 'refused'),
                  fetch(`http://${at}/events`).then(() => 'read', () => 'refused'),
                  new Promise((r) => { const s = new EventSource(`http://${at}/events`); s.onmessage = () => r('read'); s.onerror = () => { s.close(); r('refused'); }; }),
                  ...Array.from({length: 100}, () => new Promise((r) => { const s = new WebSocket(`ws://${at}/events`); s.onopen = () => r('read'); s.onerror = () => r('refused'); })),
                ];
                Promise.all(tries).then((all) => done(all))""", f"127.0.0.1:{self.weir.admin_port}")
            self.assertEqual(set(found), {"refused"})
            elsewhere.shutdown()
        self.close_page()
        # The same from a program, which says the right things: more at once than there are places.
        upgrade = (f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{self.weir.admin_port}\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode()
        flood = []
        try:
            for _ in range(200):
                flood.append(socket.create_connection(("127.0.0.1", self.weir.admin_port), timeout=60))
                flood[-1].sendall(upgrade)
            for each in flood:
                first = each.recv(64)
                self.assertRegex(first, rb"HTTP/1.1 (400|503) ")
        finally:
            for each in flood:
                each.close()
        eventually("others are answered", lambda: ask(self.weir, "GET", "/livez")[0] == 200)
        self.assertRegex(ask(self.weir, "GET", "/metrics")[1], r"weir_admin_upgrades_refused_total [1-9]")
        self.assertEqual(self.client.append("s", b"still there"), 1)


class PayloadTest(DashboardCase):
    def test_payloads_need_the_token_where_programs_need_one(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as directory:
            tokens = pathlib.Path(directory) / "tokens"
            tokens.write_text(TOKEN + "\n")
            tokens.chmod(0o600)
            config = {"server": {"tokens_file": str(tokens)}}
            with Weir(config, authenticate=True) as weir, Client(weir.port, token=TOKEN) as client:
                client.create("s")
                client.append("s", b"for few eyes")
                self.assertEqual(ask(weir, "GET", "/tail?stream=s&from=oldest")[0], 401)
                self.open(weir)
                self.open_stream("s")
                browser.click_text("#detail .live button", "Start")
                browser.seen("#ask-title", "Admin token")
                browser.type("#ask-input", self.token(weir))
                browser.click("#ask-yes")
                browser.seen("#detail .lines", "for few eyes")
                self.assert_no_complaints("401")
                self.close_page()


class HostileWeirTest(DashboardCase):
    """Names that weir itself would not let through, and what happens when it goes away."""

    def test_hostile_names_and_errors_are_texts(self):
        row = {"id": 1, "name": HOSTILE, "oldest": 0, "next": 1, "bytes": 10, "bytes_max": 100, "in": 0, "in_bytes": 0, "full_s": 0,
               "fault": HOSTILE, "exports": [{"name": HOSTILE, "type": HOSTILE, "target": HOSTILE, "state": "backoff", "reason": HOSTILE,
                                              "error": HOSTILE, "failure": HOSTILE, "failures": 9, "waiting": 1, "sent": 0, "last": -1,
                                              "redirected_to": HOSTILE, "out": 0, "out_bytes": 0, "drain_s": 0}]}
        about = {"version": HOSTILE, "host": HOSTILE, "store": HOSTILE, "started_ms": 1, "port": 1, "connections": 1, "disk_free": 1, "disk_total": 2,
                 "memory": 1, "disk_full_s": 0, "actions": True,
                 "credentials": [{"role": HOSTILE, "source": HOSTILE, "error": HOSTILE}],
                 "connectors": [{"name": HOSTILE, "broker": HOSTILE, "state": "broken", "reason": HOSTILE}],
                 "unavailable": [{"name": HOSTILE, "reason": HOSTILE}]}
        told = [("begin", {"now_ms": 1, "step_ms": 10000, "streams": 1}), ("weir", about),
                ("rows", {"now_ms": 1, "rows": [row], "complete": True}),
                ("warnings", [{"number": 1, "ms": 1, "error": True, "text": HOSTILE}])]
        with Weir() as weir:
            parts = {}
            for path in ["/dashboard", *re.findall(r'(/page/[\w.]+)', ask(weir, "GET", "/dashboard")[1])]:
                parts[path] = ask(weir, "GET", path)[1]
            for path in list(parts):
                for name in re.findall(r"from '\./([\w.]+)'", parts[path]):
                    parts[f"/page/{name}"] = None
            for path in list(parts):
                while parts[path] is None:
                    parts[path] = ask(weir, "GET", path)[1]
                    for name in re.findall(r"from '\./([\w.]+)'", parts[path]):
                        parts.setdefault(f"/page/{name}", ask(weir, "GET", f"/page/{name}")[1])
            with urllib.request.urlopen(f"http://127.0.0.1:{weir.admin_port}/dashboard") as answer:
                policy = answer.headers["Content-Security-Policy"]

        class Liar(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                self.send_response(200 if path in parts or path in ("/events", "/history") else 404)
                kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
                kind = "text/event-stream" if path == "/events" else kinds.get(pathlib.Path(path).suffix, "text/html; charset=utf-8")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                if path == "/events":
                    for name, data in told:
                        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
                    self.wfile.flush()
                    gone.wait(60)
                elif path == "/history":
                    self.wfile.write(json.dumps({"now_ms": 1, "step_ms": 10000, "long_step_ms": 200000, "streams": [
                        {"id": 1, "in": 0, "in_long": 0, "bytes": 1, "bytes_long": 1,
                         "exports": [{"name": HOSTILE, "waiting": 1, "waiting_long": 1, "out": 0, "out_long": 0}]}]}).encode())
                else:
                    self.wfile.write(parts.get(path, "").encode())

            def log_message(self, *_):
                pass

        gone = threading.Event()
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar) as liar:
            liar.daemon_threads = True
            threading.Thread(target=liar.serve_forever, daemon=True).start()
            browser.heard().console.clear()
            browser.open(f"http://127.0.0.1:{liar.server_port}/dashboard")
            browser.seen("#rows", "<img src=x")
            browser.seen("#notices", "could not be opened")
            browser.seen("#warnings", "<img src=x")
            browser.script("document.querySelector('tr.stream button.name').click()")
            browser.seen("#detail .charts", "Waiting for <img")
            self.assertNotIn("\u202e", browser.text("body"))
            self.assertIsNone(browser.script("return window.hacked ?? null"))
            self.assertEqual(browser.script("return document.querySelectorAll('img[src=x], body script').length"), 0)
            self.assert_no_complaints()
            # It goes away: the page says so, and does not show old figures as if they were new.
            liar.shutdown()
            liar.socket.close()
            gone.set()
            browser.seen("#link", lambda text: "Live" not in text)
            self.close_page()


if SANITIZED:
    # A sanitizer build is slow enough; the browser is the same.
    del ManyTest

if __name__ == "__main__":
    unittest.main()
