"""Another site: a server of our own on a port of its own, for pages that attack and pages that must set the traps off."""

import http.server
import threading


class Elsewhere:
    """`pages` is path to HTML; `host` is a name of this machine that is another site than 127.0.0.1."""

    def __init__(self, pages):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.pages = pages
        self.base = "http://localhost:{}".format(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        found = self.server.pages.get(self.path.split("?")[0])
        body = (found or "").encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
