"""An admin port whose answers a test makes up."""

import http.server
import json
import threading


class AdminPort:
    """Answers GET /status with `status`, a dict, and other paths with what `pages` has for them: a
    function of (handler). `headers` has those of each request by path."""

    def __init__(self, status=None, pages=None, port=0):
        self.status = status or {}
        self.pages = pages or {}
        self.headers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                outer.headers[self.path] = dict(self.headers)
                page = outer.pages.get(path)
                if page:
                    return page(self)
                body = json.dumps(outer.status).encode() if path == "/status" else b"{}"
                self.send_response(200 if path == "/status" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that leaves is no fault

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def an_export(name, state="idle", waiting=0, **more):
    return {"identifier": name, "type": "kinesis", "target": "lake", "state": state, "reason": "", "last_error": "",
            "waiting_messages": waiting, "oldest_waiting_age_ms": waiting * 1000, "exported_messages": 0, **more}


def a_stream(name, number, exports=(), **more):
    return {"name": name, "id": number, "oldest": 0, "newest": 9, "total_bytes": 1000, "max_size": 100_000,
            "persistence": "file", "exports": list(exports), **more}


def a_status(*streams, **more):
    return {"version": "0.1.0", "pid": 7, "uptime_ms": 60_000, "server": {"connections": 3}, "streams": list(streams),
            "store": {"free_bytes": 1 << 30, "total_bytes": 1 << 31}, **more}
