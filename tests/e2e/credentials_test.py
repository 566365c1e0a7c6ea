"""Credentials, accounts, proxies, wrong clocks; exports that go elsewhere and exports that programs do not see."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.request

import wrong_clock
from certificates import make_certificates
from exports_test import NUMBERED, ExportCase, http, kinesis
from key_servers import KeyServer
from ports import held_port
from sinks import REGION, HttpSink, Recorder, aws_environment, impatient
from weir_server import DEADLINE_S, eventually, weir_command

ROLE = "arn:aws:iam::210987654321:role/plant-data"


class KeyCase(ExportCase):
    def setUp(self):
        self.keys = self.enterContext(KeyServer())
        self.recorder = self.enterContext(Recorder("telemetry"))
        self.keys.handed_out = lambda: self.recorder.order("keys", self.keys.newest())

    def environment(self, **more):
        return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL_KINESIS": self.recorder.url,
                "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **more}

    def page(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir.admin_port}/{name}", timeout=DEADLINE_S) as answer:
            return answer.read().decode()

    def credentials(self):
        return json.loads(self.page("status"))["credentials"]

    def status_text(self):
        return weir_command("status", "--all", "--admin-port", self.weir.admin_port).stdout

    def delivered(self, messages=NUMBERED):
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        self.client.append_all("pumps", messages)
        self.exported("pumps", len(messages) - 1)
        self.assertEqual(self.recorder.stored(), list(messages))

    def nothing_secret_was_shown(self):
        everything = self.weir.log() + self.page("status") + self.page("metrics")
        text = self.status_text()
        everything += text if isinstance(text, str) else text.decode()
        for secret in ("SECRETkey", "SECRETtoken", KeyServer.TOKEN):
            self.assertNotIn(secret, everything)


class ContainerTest(KeyCase):
    def test_keys_of_the_token_exchange_service_are_used_and_renewed_when_refused(self):
        self.start(env=self.environment(**self.keys.environment()))
        self.delivered()
        shown = self.credentials()[0]
        self.assertEqual(shown["source"], f"container endpoint {self.keys.url}")
        self.assertGreater(shown["expires_in_ms"], 3_000_000)
        self.assertEqual(shown["error"], "")
        # From now on the cloud accepts only what the service will hand out next.
        self.recorder.order("keys", {"OTHER": ["x", None]})
        self.client.append_all("pumps", [b"after"])
        self.exported("pumps", len(NUMBERED))
        self.assertEqual(self.recorder.stored()[-1], b"after")
        self.assertEqual(list(self.keys.keys), ["TES1", "TES2"])
        self.nothing_secret_was_shown()

    def test_short_lived_keys_are_renewed_before_they_end(self):
        self.keys.life_s = 4
        self.start(env=self.environment(**self.keys.environment()))
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        sent = 0

        def renewed():
            nonlocal sent
            self.client.append_all("pumps", [b"message %d" % sent])
            sent += 1
            return len(self.keys.keys) >= 2
        eventually("a second set is in use", renewed)
        self.exported("pumps", sent - 1)
        self.assertEqual(len(self.recorder.stored()), sent)
        self.nothing_secret_was_shown()

    def test_a_refusal_is_explained_and_delivery_goes_on_once_it_is_over(self):
        self.keys.refusal = (500, "the nucleus has no connection")
        self.start(env=self.environment(**self.keys.environment()))
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        self.client.append_all("pumps", NUMBERED)
        eventually("the reason is shown",
                   lambda: "the nucleus has no connection" in self.status("pumps")["errorMessage"])
        self.assertIn("NONE", str(self.status_text()))
        self.keys.refusal = None
        self.exported("pumps", 299)
        self.nothing_secret_was_shown()


class AccountTest(KeyCase):
    def test_an_export_goes_to_another_account(self):
        config = {"export": {**impatient()["export"], "options": [
            {"stream": "pumps", "aws": {"role_arn": ROLE, "external_id": "plant-7"}}]}}
        env = self.environment(AWS_ACCESS_KEY_ID="OWN", AWS_SECRET_ACCESS_KEY="SECRETkey0",
                               AWS_ENDPOINT_URL_STS=self.keys.url)
        self.start(config, env=env)
        self.delivered()
        action, form = self.keys.log[0][1:]
        self.assertEqual((action, form["RoleArn"], form["ExternalId"]), ("AssumeRole", ROLE, "plant-7"))
        self.assertIn("Credential=OWN/", form["Authorization"])
        self.assertEqual([entry["role"] for entry in self.credentials()], ["", ROLE])
        self.assertEqual(self.credentials()[0]["source"], "environment")
        self.nothing_secret_was_shown()

    def test_a_reload_while_the_token_service_is_away_leaves_a_role_its_keys(self):
        config = {"export": {**impatient()["export"], "options": [{"stream": "pumps", "aws": {"role_arn": ROLE}}]}}
        self.start(config, env=self.environment(AWS_ACCESS_KEY_ID="OWN", AWS_SECRET_ACCESS_KEY="SECRETkey0",
                                                AWS_ENDPOINT_URL_STS=self.keys.url))
        self.delivered()
        self.keys.refusal = (503, "")
        self.weir.config["export"]["aws"] = {"service_endpoint_urls": {"firehose": "http://127.0.0.1:1"}}
        self.weir.config_file()
        reloaded = weir_command("reload", "--admin-port", self.weir.admin_port)
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)
        self.client.append_all("pumps", [b"after"])
        self.exported("pumps", len(NUMBERED))
        self.assertEqual(self.recorder.stored()[-1], b"after")
        self.nothing_secret_was_shown()

    def test_a_web_identity_is_exchanged(self):
        with tempfile.TemporaryDirectory() as directory:
            token = pathlib.Path(directory, "token")
            token.write_text("SECRETtoken.jwt\n")
            self.start(env=self.environment(AWS_WEB_IDENTITY_TOKEN_FILE=str(token), AWS_ROLE_ARN=ROLE,
                                            AWS_ENDPOINT_URL_STS=self.keys.url))
            self.delivered()
        self.assertEqual(self.keys.log[0][1], "AssumeRoleWithWebIdentity")
        self.nothing_secret_was_shown()

    def test_a_profile_names_a_program_and_a_region(self):
        with tempfile.TemporaryDirectory() as directory:
            tool = pathlib.Path(directory, "tool.sh")
            tool.write_text("echo '" + json.dumps({"Version": 1, "AccessKeyId": "TOOL",
                                                   "SecretAccessKey": "SECRETkey9"}) + "'\n")
            config = pathlib.Path(directory, "config")
            config.write_text(f"[profile edge]\nregion = {REGION}\ncredential_process = /bin/sh '{tool}'\n"
                              f"services = here\n[services here]\nkinesis =\n  endpoint_url = {self.recorder.url}\n")
            self.recorder.order("keys", {"TOOL": ["SECRETkey9", None]})
            env = self.environment(AWS_CONFIG_FILE=str(config), AWS_PROFILE="edge")
            del env["AWS_REGION"], env["AWS_ENDPOINT_URL_KINESIS"]
            self.start(env=env)
            self.delivered()
            self.assertIn("credential_process of profile 'edge'", self.credentials()[0]["source"])
            self.assertEqual(self.credentials()[0]["expires_ms"], 0)
        self.nothing_secret_was_shown()

    def test_a_broken_file_is_named_with_its_line_and_not_repeated(self):
        with tempfile.TemporaryDirectory() as directory:
            keys = pathlib.Path(directory, "credentials")
            keys.write_text("[default]\naws_access_key_id = OWN\nSECRETkey0\n")
            self.start(env=self.environment(AWS_SHARED_CREDENTIALS_FILE=str(keys)))
            self.client.create("pumps", exportDefinition=kinesis("telemetry"))
            self.client.append_all("pumps", [b"x"])
            eventually("the line is named", lambda: f"{keys}:3:" in self.status("pumps")["errorMessage"])
            self.recorder.order("keys", {"OWN": ["SECRETkey0", None]})
            keys.write_text("[default]\naws_access_key_id = OWN\naws_secret_access_key = SECRETkey0\n")
            self.exported("pumps", 0)
        self.nothing_secret_was_shown()

    def reloaded(self):
        """What a reload says has changed; None if it is refused."""
        ran = weir_command("reload", "-o", "json", "--admin-port", self.weir.admin_port)
        return json.loads(ran.stdout)["changed"] if ran.returncode == 0 else None

    def test_a_profile_that_leads_elsewhere_is_followed_by_a_reload(self):
        elsewhere = self.enterContext(Recorder("telemetry"))
        for recorder in (self.recorder, elsewhere):
            recorder.order("keys", {"OWN": ["SECRETkey0", None]})
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        config = directory / "config"

        def lead_to(recorder):
            config.write_text(f"[default]\nregion = {REGION}\nservices = here\n"
                              f"[services here]\nkinesis =\n  endpoint_url = {recorder.url}\n")
        lead_to(self.recorder)
        env = self.environment(AWS_CONFIG_FILE=str(config), AWS_ACCESS_KEY_ID="OWN",
                               AWS_SECRET_ACCESS_KEY="SECRETkey0")
        del env["AWS_REGION"], env["AWS_ENDPOINT_URL_KINESIS"]
        self.start(env=env)
        self.delivered([b"here"])
        self.assertEqual(self.reloaded(), [])
        lead_to(elsewhere)
        self.assertEqual(self.reloaded(), ["profile of the AWS tools"])
        self.client.append("pumps", b"there")
        self.exported("pumps", 1)
        self.assertEqual(elsewhere.stored(), [b"there"])
        self.assertEqual(self.recorder.stored(), [b"here"])
        config.write_text("[default\n")
        self.assertIsNone(self.reloaded(), "what is broken changes nothing")
        self.client.append("pumps", b"still there")
        self.exported("pumps", 2)
        self.assertEqual(elsewhere.stored(), [b"there", b"still there"])

    def test_exports_wait_for_a_profile_with_certificates_and_go_on_by_themselves(self):
        self.recorder.order("keys", {"OWN": ["SECRETkey0", None]})
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (directory / "config").write_text("[default]\nca_bundle = ~/authorities.pem\n")
        self.start(env=self.environment(HOME=str(directory), AWS_CONFIG_FILE=str(directory / "config"),
                                        AWS_ACCESS_KEY_ID="OWN", AWS_SECRET_ACCESS_KEY="SECRETkey0"))
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        self.client.append_all("pumps", [b"x"])
        eventually("the file is named", lambda: "ca_bundle " + str(directory / "authorities.pem")
                   in self.status("pumps")["errorMessage"])
        self.assertEqual(self.recorder.stored(), [])
        make_certificates(directory)
        (directory / "ca.pem").rename(directory / "authorities.pem")
        self.exported("pumps", 0)
        self.assertEqual(self.recorder.stored(), [b"x"])

    def test_a_program_for_keys_that_hangs_holds_up_no_export_that_needs_none(self):
        sink = self.enterContext(HttpSink())
        with tempfile.TemporaryDirectory() as directory:
            answer = pathlib.Path(directory, "answer")
            os.mkfifo(answer)  # who reads it waits until somebody writes
            config = pathlib.Path(directory, "config")
            config.write_text(f"[default]\ncredential_process = /bin/cat '{answer}'\n")
            self.recorder.order("keys", {"TOOL": ["SECRETkey9", None]})
            self.start(impatient(), env=self.environment(AWS_CONFIG_FILE=str(config)))
            for number in range(8):
                self.client.create(f"pumps-{number}", exportDefinition=kinesis("telemetry"))
                self.client.append_all(f"pumps-{number}", [b"x"])
            eventually("all of them found that there are no keys yet", lambda: all(
                "has not answered yet" in self.status(f"pumps-{number}")["errorMessage"] for number in range(8)))
            self.client.create("web", exportDefinition=http(sink.uri))
            self.client.append_all("web", NUMBERED)
            self.assertEqual(sink.wait_for(NUMBERED), 0)
            answer.write_text(json.dumps({"Version": 1, "AccessKeyId": "TOOL", "SecretAccessKey": "SECRETkey9"}))
            for number in range(8):
                self.exported(f"pumps-{number}", 0)
        self.nothing_secret_was_shown()

    def test_a_wrong_secret_is_read_again_once_it_was_corrected(self):
        with tempfile.TemporaryDirectory() as directory:
            keys = pathlib.Path(directory, "credentials")
            keys.write_text("[default]\naws_access_key_id = OWN\naws_secret_access_key = SECRETkey1\n")
            self.recorder.order("keys", {"OWN": ["SECRETkey0", None]})
            config = {"export": {"backoff_first_ms": 3_600_000, "backoff_ceiling_ms": 3_600_000}}
            self.start(config, env=self.environment(AWS_SHARED_CREDENTIALS_FILE=str(keys)))
            self.client.create("pumps", exportDefinition=kinesis("telemetry"))
            self.client.append_all("pumps", [b"x"])
            eventually("the signature is refused", lambda: "ignature" in self.status("pumps")["errorMessage"])
            keys.write_text("[default]\naws_access_key_id = OWN\naws_secret_access_key = SECRETkey0\n")
            weir_command("export", "retry-now", "pumps", "--admin-port", self.weir.admin_port)
            self.exported("pumps", 0)
        self.nothing_secret_was_shown()


class NetworkTest(KeyCase):
    def proxy(self):
        """tinyproxy, which wants to know who asks; its port and its log."""
        port = held_port()
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        log = directory / "proxy.log"
        (directory / "proxy.conf").write_text(
            f"Port {port}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{log}\"\nLogLevel Connect\nMaxClients 20\n"
            "BasicAuth weir proxySECRETkey\n")
        proxy = subprocess.Popen(["tinyproxy", "-d", "-c", str(directory / "proxy.conf")],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.terminate)

        def listening():
            with socket.socket() as attempt:
                return attempt.connect_ex(("127.0.0.1", port)) == 0
        eventually("the proxy listens", listening)
        return port, log

    @unittest.skipUnless(shutil.which("tinyproxy"), "tinyproxy is not installed")
    def test_exports_go_through_a_proxy_and_questions_for_keys_do_not(self):
        port, log = self.proxy()
        self.start(env=self.environment(http_proxy=f"http://127.0.0.1:{port}",
                                        **self.keys.environment()))
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        self.client.append_all("pumps", NUMBERED)
        eventually("the refusal of the proxy is shown", lambda: "407" in self.status("pumps")["errorMessage"])
        self.assertEqual(self.recorder.calls(), [])
        self.client.close()
        self.weir.stop()
        self.weir.env["http_proxy"] = f"http://weir:proxySECRETkey@127.0.0.1:{port}"
        self.weir.start()
        self.client = self.connect()
        self.exported("pumps", 299)
        self.assertEqual(self.recorder.stored(), NUMBERED)
        self.assertNotIn("credentialprovider", log.read_text())
        for call in self.recorder.calls():
            self.assertEqual(call["problems"], [], "what the proxy adds is not signed")
            self.assertNotIn("proxy-authorization", [name.lower() for name, _ in call["headers"]])
        self.nothing_secret_was_shown()

    @unittest.skipUnless(shutil.which("tinyproxy"), "tinyproxy is not installed")
    def test_tls_goes_through_the_proxy_untouched_and_to_nobody_the_bundle_does_not_know(self):
        certificates = make_certificates(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())))
        self.recorder = self.enterContext(Recorder("telemetry", certificates=certificates))
        port, log = self.proxy()
        env = self.environment(HTTPS_PROXY=f"http://weir:proxySECRETkey@127.0.0.1:{port}",
                               **self.keys.environment())
        self.start(env=env)
        self.client.create("pumps", exportDefinition=kinesis("telemetry"))
        self.client.append_all("pumps", NUMBERED)
        eventually("the certificate is doubted", lambda: "certificate" in self.status("pumps")["errorMessage"])
        self.assertEqual(self.recorder.calls(), [])
        self.client.close()
        self.weir.stop()
        self.weir.env["AWS_CA_BUNDLE"] = str(certificates / "ca.pem")
        self.weir.start()
        self.client = self.connect()
        self.exported("pumps", 299)
        self.assertEqual(self.recorder.stored(), NUMBERED)
        self.assertIn("CONNECT", log.read_text())
        self.client.close()
        self.weir.stop()
        # Not for this network.
        through = log.read_text().count("CONNECT")
        self.weir.env["NO_PROXY"] = "10.0.0.0/8,127.0.0.0/8"
        self.weir.start()
        self.client = self.connect()
        self.client.append_all("pumps", [b"by itself"])
        self.exported("pumps", 300)
        self.assertEqual(log.read_text().count("CONNECT"), through)
        self.nothing_secret_was_shown()

    @unittest.skipUnless(wrong_clock.LIBRARY, "faketime is not installed")
    def test_a_clock_that_is_wrong_by_hours_costs_one_refusal(self):
        self.start(env=self.environment(**self.keys.environment()))
        self.client.close()
        self.weir.stop()
        self.weir.env.update(wrong_clock.environment("-3h"))
        self.weir.start()
        self.client = self.connect()
        self.delivered()
        refused = [call for call in self.recorder.calls() if call["status"] != 200]
        self.assertEqual(len(refused), 1)
        self.assertIn("weir_destination_clock_offset_ms", self.page("metrics"))
        self.nothing_secret_was_shown()


class RedirectTest(KeyCase):
    def setUp(self):
        super().setUp()
        self.recorder.order("keys", {"OWN": ["SECRETkey0", None]})
        self.env = self.environment(AWS_ACCESS_KEY_ID="OWN", AWS_SECRET_ACCESS_KEY="SECRETkey0")

    def test_iot_analytics_goes_to_kinesis_and_the_program_sees_what_it_defined(self):
        config = {"redirects": [{"match": {"type": "iot_analytics", "stream": "pu*"},
                                 "to": {"type": "kinesis", "stream": "telemetry"}}]}
        self.start(config, env=self.env)
        mine = {"iotAnalytics": [{"identifier": "a", "iotChannel": "closed", "iotMsgIdPrefix": "p"}]}
        self.client.create("pumps", exportDefinition=mine)
        self.client.append_all("pumps", NUMBERED)
        self.exported("pumps", 299)
        self.assertEqual(self.recorder.stored(), NUMBERED)
        seen = self.client.describe("pumps")["definition"]["exportDefinition"]["iotAnalytics"][0]
        self.assertEqual((seen["identifier"], seen["iotChannel"]), ("a", "closed"))
        entry = json.loads(self.page("status"))["streams"][0]["exports"][0]
        self.assertEqual(entry["redirected_to"], {"type": "kinesis", "target": "telemetry"})
        self.assertIn("redirected to kinesis -> telemetry", str(self.status_text()))

    def test_an_addition_exports_a_stream_of_a_program_which_does_not_see_it(self):
        sink = self.enterContext(HttpSink())
        config = {"additions": [{"on_streams": "pum?s", "type": "kinesis", "identifier": "copy",
                                 "stream": "telemetry"}]}
        self.start(config, env=self.env)
        self.client.create("pumps", exportDefinition=http(sink.uri))
        self.client.append_all("pumps", NUMBERED)
        self.assertEqual(sink.wait_for(NUMBERED), 0)
        eventually("the copy is complete", lambda: self.recorder.stored() == NUMBERED)
        described = self.client.describe("pumps")
        self.assertEqual(len(described["exportStatuses"]), 1)
        self.assertFalse(described["definition"]["exportDefinition"].get("kinesis"))


if __name__ == "__main__":
    unittest.main()
