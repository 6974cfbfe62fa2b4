"""A server on this machine that stands in for the mirrors of data sets."""

import http.server
import time


class Server(http.server.ThreadingHTTPServer):
    """Answers from `files`; a path in `faults` fails in the given way the given number of times."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path[1:]
        self.server.asked.append(name)
        body = self.server.files.get(name)
        fault, left = self.server.faults.get(name, ("", 0))
        if left:
            self.server.faults[name] = (fault, left - 1)
        if body is None or (left and fault == "503"):
            self.send_error(404 if body is None else 503)
            return
        if left and fault == "slow":
            time.sleep(1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = (
            body[: len(body) // 2]
            if left and fault == "cut"
            else b"x" + body[1:]
            if left and fault == "wrong"
            else body
        )
        try:
            self.wfile.write(sent)
        except BrokenPipeError:
            pass
        self.close_connection = True

    def log_message(self, *arguments):
        pass
