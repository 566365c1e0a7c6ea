"""Stand-ins for the places that credentials come from: the token exchange service and the token service (STS)."""

import datetime
import http.server
import json
import threading
import urllib.parse


class KeyServer:
    """Hands out SECRET1, SECRET2 ... as keys; `life_s` says for how long. `log` has what was asked.

    GET /2016-11-01/credentialprovider/ with the right token: as the nucleus of Greengrass does.
    POST / with a form: AssumeRole and AssumeRoleWithWebIdentity of the token service.
    """

    TOKEN = "TOKENofthecomponent"

    def __init__(self, life_s=3600):
        self.life_s = life_s
        self.log = []
        self.keys = {}  # id: (secret, token), as the recorder wants them
        self.refusal = None  # (status, plain text)
        self.clock_offset_s = 0
        self.handed_out = lambda: None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.log.append(("GET", self.path, dict(self.headers)))
                if self.headers.get("Authorization") != outer.TOKEN:
                    return self.answer(403, "Bad token")
                if self.path != "/2016-11-01/credentialprovider/":
                    return self.answer(400, "unknown path")
                if outer.refusal:
                    return self.answer(*outer.refusal)
                key, secret, token, end = outer.next("TES")
                self.answer(200, json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                             "Expiration": end}))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                outer.log.append(("POST", form["Action"], {**form, **dict(self.headers)}))
                if outer.refusal:
                    return self.answer(*outer.refusal)
                key, secret, token, end = outer.next("ROLE")
                action = form["Action"]
                self.answer(200, f"<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId>"
                            f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>"
                            f"<Expiration>{end}</Expiration></Credentials></{action}Result></{action}Response>")

            def answer(self, status, text):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def next(self, kind):
        number = len(self.keys) + 1
        key, secret, token = f"{kind}{number}", f"SECRETkey{number}", f"SECRETtoken{number}"
        self.keys[key] = (secret, token)
        self.handed_out()
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            seconds=self.life_s + self.clock_offset_s)
        return key, secret, token, end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def newest(self):
        """The last credentials only: the older ones are refused from now on."""
        key = list(self.keys)[-1]
        return {key: self.keys[key]}

    def environment(self):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/2016-11-01/credentialprovider/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.TOKEN}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
