"""A real browser without a screen: Debian's Chromium, driven through WebDriver over plain HTTP."""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from weir_server import DEADLINE_S, eventually

DRIVER = "/usr/bin/chromedriver"
CHROMIUM = "/usr/bin/chromium"
# So many that even with nine of ten ports taken on one of its two addresses the driver finds one.
DRIVER_STARTS_MAX = 100
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class ScriptFailed(Exception):
    """What the page threw."""


class Browser:
    """One browser with one page. Everything it fetches and writes to its console is remembered."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-browser-"))
        self.driver = None
        self.session = None
        self.console = []
        self.fetched = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.start_driver()
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"binary": CHROMIUM, "args": [
                # Tests run as root in containers, where Chromium's own sandbox cannot.
                "--no-sandbox", "--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--force-color-profile=srgb", "--font-render-hinting=none",
                f"--user-data-dir={self.directory / 'profile'}"]},
        }}})
        self.session = answer["sessionId"]

    def start_driver(self):
        """The driver takes a port that is free on ::1 and then wants the same one on 127.0.0.1, where it may
        belong to a connection that another test has just closed. It gives up then, so it is asked again."""
        log = self.directory / "driver.log"
        for _ in range(DRIVER_STARTS_MAX):
            with log.open("wb") as stderr:
                # Its own group, so that all the processes of the browser end with it.
                self.driver = subprocess.Popen([DRIVER, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                               stderr=stderr, env={**os.environ, "HOME": str(self.directory)},
                                               start_new_session=True)
            for line in iter(self.driver.stdout.readline, b""):
                found = re.search(rb"successfully on port (\d+)", line)
                if found:
                    self.port = int(found.group(1))
                    return
            self.close_driver()
            if b"Address already in use" not in log.read_bytes():
                break
        raise AssertionError("chromedriver did not start:\n" + log.read_text())

    def close(self):
        try:
            if self.session:
                self.call("DELETE", f"/session/{self.session}")
        except (OSError, http.client.HTTPException, AssertionError):
            pass
        if self.driver:
            self.close_driver()
        shutil.rmtree(self.directory, ignore_errors=True)

    def close_driver(self):
        try:
            os.killpg(self.driver.pid, 9)
        except ProcessLookupError:
            pass
        self.driver.wait(30)
        self.driver.stdout.close()
        self.driver = None

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S * 3)
        try:
            connection.request(method, path, json.dumps(body or {}) if method == "POST" else None,
                               {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            if value["error"] == "javascript error":
                raise ScriptFailed(value["message"])
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def do(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, **parameters):
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    # -- looking and acting

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def script(self, text, *arguments):
        """The value of a function's body."""
        return self.do("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def async_script(self, text, *arguments):
        """The value that the function's body hands to its last argument."""
        return self.do("POST", "/execute/async", {"script": text, "args": list(arguments)})

    def text(self, selector):
        """What is seen of the first element; None if there is none."""
        return self.script("return document.querySelector(arguments[0])?.innerText ?? null", selector)

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector)

    def seen(self, selector, wanted):
        """Waits until the element shows `wanted`, a text or a function of the text; returns the text."""
        check = wanted if callable(wanted) else lambda text: wanted in text

        def look():
            text = self.text(selector)
            return text is not None and check(text) and (text or " ")
        try:
            return eventually(f"{selector} shows what is wanted", look)
        except AssertionError as late:
            raise AssertionError(f"{late}; it shows {self.text(selector)!r}; page: {self.text('body')!r:.1500}") from None

    def find(self, selector):
        return self.do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.do("POST", f"/element/{self.find(selector)}/click")

    def click_text(self, selector, text):
        """The element among these whose text begins so."""
        self.script("""const found = [...document.querySelectorAll(arguments[0])].find((e) => e.innerText.startsWith(arguments[1]));
                       if (!found) throw new Error('no ' + arguments[1]);
                       found.click()""", selector, text)

    def type(self, selector, text):
        element = self.find(selector)
        self.do("POST", f"/element/{element}/clear")
        self.do("POST", f"/element/{element}/value", {"text": text})

    def choose(self, selector, value):
        self.script("""const box = document.querySelector(arguments[0]); box.value = arguments[1];
                       box.dispatchEvent(new Event('input', {bubbles: true}))""", selector, value)

    def size(self, width, height, phone=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=phone,
                      deviceScaleFactor=2 if phone else 1)

    def scheme(self, name):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self):
        return base64.b64decode(self.do("GET", "/screenshot"))

    # -- what the page did

    def heard(self):
        """Takes in what was logged since the last time."""
        self.console += self.do("POST", "/se/log", {"type": "browser"})
        for entry in self.do("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.fetched.append(message["params"]["request"]["url"])
        return self

    def complaints(self):
        """Warnings and errors of the console."""
        return [entry["message"] for entry in self.heard().console if entry["level"] in ("WARNING", "SEVERE")]
