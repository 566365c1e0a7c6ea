"""The Grafana dashboard and the alert rules in packaging/, with a real Prometheus."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

from prometheus_server import Prometheus
from weir_client import Client
from weir_server import Weir, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging" / "prometheus" / "weir.rules.yaml"
DASHBOARD = ROOT / "packaging" / "grafana" / "weir.json"

# Prometheus and Grafana bring these; the rest must be labels of weir's own metrics.
FOREIGN_METRICS = {"up"}
FOREIGN_LABELS = {"instance", "job"}


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(f"{panel['title']}", target["expr"]) for panel in panels
            for target in panel.get("targets", [])]


def runnable(expression):
    """As Grafana sends it with everything chosen."""
    expression = expression.replace("$__rate_interval", "1m")
    return re.sub(r"\$\{?(instance|stream)\}?", ".*", expression)


def documented_metrics():
    rows = re.findall(r"^\| `(weir_\w+)` \| \w+ \| [^|]+ \| ([^|]*) \|",
                      (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def weir_with_something_of_everything(directory):
    closed = "http://127.0.0.1:9/"  # the discard port: nobody listens
    out = pathlib.Path(directory) / "out"
    out.mkdir()
    return Weir({
        "streams": [{"name": "pumps", "exports": [
            {"type": "file", "identifier": "kept", "directory": str(out)},
            {"type": "http", "identifier": "stuck", "uri": closed}]}],
        "export": {"backoff_first_ms": 10},
        "connectors": [{
            "name": "mqtt", "type": "firehose", "broker": "mqtt://127.0.0.1:9",
            "default_delivery_stream_arn":
                "arn:aws:firehose:eu-west-1:123456789012:deliverystream/cloud"}],
    }, env={"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "none"})


class MonitoringTest(unittest.TestCase):
    def test_the_alert_rules_are_sound_and_each_raises_its_alert(self):
        with tempfile.TemporaryDirectory() as copy:
            for name in ("weir.rules.yaml", "weir.rules.test.yaml"):
                shutil.copy(RULES.parent / name, copy)
            for what in (["check", "rules", "weir.rules.yaml"],
                         ["test", "rules", "weir.rules.test.yaml"]):
                done = subprocess.run(["promtool", *what], cwd=copy, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tried = set(re.findall(r"- name: (Weir\w+)", (RULES.parent / "weir.rules.test.yaml").read_text()))
        alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
        self.assertEqual(alerts, tried, "every alert has figures that raise it")

    def test_dashboard_and_rules_name_only_metrics_and_labels_that_are_documented(self):
        documented = documented_metrics()
        self.assertGreater(len(documented), 50)
        rules = re.findall(r"expr: (.*)", RULES.read_text())
        for expression in [*rules, *(expr for _, expr in dashboard_expressions())]:
            for name, matchers in re.findall(r"\b(weir_\w+|up)(?:\{([^}]*)\})?", expression):
                if name in FOREIGN_METRICS:
                    continue
                self.assertIn(name, documented, expression)
                labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
                self.assertLessEqual(labels, documented[name] | FOREIGN_LABELS, expression)

    def test_prometheus_takes_every_metric_every_panel_and_every_rule(self):
        with tempfile.TemporaryDirectory() as directory:
            with weir_with_something_of_everything(directory) as weir:
                with Client(weir.port) as client:
                    for _ in range(20):
                        client.append("pumps", b'{"rpm": 1450}')
                metrics = f"http://127.0.0.1:{weir.admin_port}/metrics"

                def scraped():
                    with urllib.request.urlopen(metrics) as answer:
                        return answer.read()
                eventually("an export has failed", lambda: re.search(
                    rb"weir_exporter_failures_in_a_row\{[^}]*stuck[^}]*\} [1-9]", scraped()))
                done = subprocess.run(["promtool", "check", "metrics"], input=scraped(),
                                      capture_output=True)
                self.assertEqual(done.returncode, 0, (done.stdout + done.stderr).decode())
                with Prometheus(weir.admin_port, [RULES]) as prometheus:
                    self.check_panels(prometheus)
                    self.check_rules(prometheus)

    def check_panels(self, prometheus):
        # Nothing of theirs has happened on this gateway.
        may_be_empty = {"Credentials end in", "Clock of the gateway is behind by",
                        "Records by result"}
        empty = {title for title, expression in dashboard_expressions()
                 if not prometheus.result(runnable(expression))}
        self.assertLessEqual(empty, may_be_empty, "panels that show nothing")

    def check_rules(self, prometheus):
        def evaluated():
            groups = prometheus.get("rules")["groups"]
            return groups and all(rule["health"] != "unknown" for group in groups
                                  for rule in group["rules"]) and groups
        for group in eventually("the rules were evaluated", evaluated):
            for rule in group["rules"]:
                self.assertEqual(rule["health"], "ok", f"{rule['name']}: {rule.get('lastError')}")


if __name__ == "__main__":
    unittest.main()
