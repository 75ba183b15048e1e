#!/usr/bin/env python3
"""A web server on loopback that misbehaves on demand. Prints its port, serves until its standard
input closes. Every path is counted: GET /count?PATH. Only Python's own library."""
import hashlib
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

counts, lock = {}, threading.Lock()
FILE = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(40000))  # 1.28 MB
OTHER = FILE[::-1]
CUT = 300_000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body, kind="application/json", **header):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in header.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def raw(self, data):
        """Sends bytes as they are and hangs up."""
        self.wfile.write(data)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def file(self, data, tag, ranges=True, cut=None, careless=False):
        first = 0
        want = self.headers.get("Range")
        if want and ranges and (careless or self.headers.get("If-Range", tag) == tag):
            first = int(want.split("=")[1].rstrip("-"))
            if first >= len(data):
                return self.send(416, b"", Content_Range="bytes */%d" % len(data))
        body = data[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body)))
        if tag:
            self.send_header("ETag", tag)
        if first:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, len(data) - 1, len(data)))
        self.end_headers()
        if cut and len(body) > cut:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = self.path
        if path.startswith("/count?"):
            with lock:
                return self.send(200, {"n": counts.get(path[7:], 0)})
        with lock:
            n = counts[path] = counts.get(path, 0) + 1
        name = path.split("?")[0]
        if name == "/ok":
            self.send(200, {"n": n, "length": length, "auth": self.headers.get("Authorization", "")})
        elif name == "/echo":
            self.send(200, body)
        elif name == "/slow":
            time.sleep(0.3)
            self.send(200, {"n": n})
        elif name == "/stall":
            time.sleep(20)
            self.send(200, {"n": n})
        elif name == "/stall-once":
            time.sleep(20 if n == 1 else 0)
            self.send(200, {"n": n})
        elif name == "/drop":
            self.raw(b"") if n <= 2 else self.send(200, {"n": n})
        elif name == "/cut":
            self.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"n":') if n <= 2 else self.send(200, {"n": n})
        elif name == "/cut-chunk":
            self.raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"n":') if n <= 1 else self.send(200, {"n": n})
        elif name == "/noise":
            self.raw(b"\x00\x01\x02 this is not HTTP \xff\r\n\r\n") if n <= 1 else self.send(200, {"n": n})
        elif name == "/html":
            self.send(200, b"<html><body><script>alert(1)</script>Welcome</body></html>", "text/html; charset=utf-8")
        elif name == "/html502":
            self.send(502, b"<html>Bad gateway</html>", "text/html") if n <= 1 else self.send(200, {"n": n})
        elif name == "/busy":
            self.send(429, {"error": {"message": "slow down"}}, Retry_After="1") if n == 1 else self.send(200, {"n": n})
        elif name == "/busy-long":
            self.send(429, {"error": {"message": "quota used up"}}, Retry_After="86400")
        elif name == "/500twice":
            self.send(500, {"error": {"message": "oops"}}) if n <= 2 else self.send(200, {"n": n})
        elif name == "/500":
            self.send(500, {"error": {"message": "always"}})
        elif name == "/501":
            self.send(501, {"error": {"message": "not here"}})
        elif name == "/context":
            self.send(400, {"error": {"message": "This model's maximum context length is 2048 tokens", "code": 400}})
        elif name == "/context-llama":
            self.send(400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available context size"}})
        elif name == "/bad":
            self.send(400, {"object": "error", "message": "temperature must be positive"})
        elif name == "/key":
            self.send(401, {"error": {"message": "wrong key: " + self.headers.get("Authorization", "")}})
        elif name == "/moved":
            self.send(302, b"", Location="/ok")
        elif name == "/file":
            self.file(FILE, '"one"')
        elif name == "/file-cut":
            self.file(FILE, '"one"', cut=CUT)
        elif name == "/file-untagged":
            self.file(FILE, "", cut=CUT)
        elif name == "/file-norange":
            self.file(FILE, '"one"', ranges=False, cut=CUT if n <= 2 else None)
        elif name == "/file-changes":
            self.file(FILE if n == 1 else OTHER, '"one"' if n == 1 else '"two"', cut=CUT)
        elif name == "/file-careless":  # as file-changes, by a server that knows no If-Range
            self.file(FILE if n == 1 else OTHER, '"one"' if n == 1 else '"two"', cut=CUT, careless=True)
        elif name == "/file-moved":
            self.send(302, b"gone", Location="/file-cut")
        elif name == "/file-empty":
            self.send(200, b"")
        elif name == "/file-503":
            self.send(503, b"later") if n <= 1 else self.file(FILE, '"one"')
        else:
            self.send(404, {"error": {"message": "no such path"}})

    do_GET = do_POST = answer


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer.handle_error = lambda *args: None  # clients that hang up are what this is for
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
