"""A real Prometheus that asks one weir, on a port of the kernel's choice."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from weir_server import eventually

LISTENING = "0A"


def listening_port(pid):
    """The TCP port that a process listens on, or None. Prometheus does not print the one it got."""
    sockets = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
        except FileNotFoundError:
            continue
        if found:
            sockets.add(found[1])
    for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and fields[9] in sockets:
            return int(fields[1].rsplit(":", 1)[1], 16)
    return None


class Prometheus:
    def __init__(self, admin_port, rule_files=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-prometheus-"))
        config = self.directory / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "250ms", "evaluation_interval": "250ms"},
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [{"job_name": "weir", "static_configs": [
                {"targets": [f"127.0.0.1:{admin_port}"]}]}]}))
        self.log = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", "--web.listen-address=127.0.0.1:0",
             f"--storage.tsdb.path={self.directory / 'data'}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        try:
            self.wait_for(self.ready, "Prometheus listens")
            self.wait_for(lambda: self.value("min(count_over_time(up[1m]))") >= 3,
                          "Prometheus has asked weir three times")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ready(self):
        port = listening_port(self.process.pid)
        if port is None:
            return False
        self.address = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{self.address}/-/ready") as answer:
            return answer.status == 200

    def wait_for(self, condition, what):
        def happened():
            if self.process.poll() is not None:
                raise AssertionError(f"Prometheus ended: {(self.directory / 'log').read_text()[-3000:]}")
            try:
                return condition()
            except OSError:
                return False  # it does not answer yet
        eventually(what, happened)

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{query}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def result(self, expression):
        return self.get("query", query=expression)["result"]

    def value(self, expression):
        found = self.result(expression)
        return float(found[0]["value"][1]) if found else 0.0
