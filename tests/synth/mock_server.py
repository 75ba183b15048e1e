#!/usr/bin/env python3
"""An OpenAI-style server on loopback that answers every prompt in its own way, always the same, and can
misbehave. Prints its address, serves until its standard input closes. GET /stats: requests by prompt.
usage: mock_server.py [DELAY_MS] [MODE]     MODE: good, strict, empty, storm, junk, refuse, gone,
context, near (every answer is the same text but for its last word)"""
import hashlib
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

delay = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0
mode = sys.argv[2] if len(sys.argv) > 2 else "good"
lock, seen, answered, auth = threading.Lock(), {}, {}, set()
known = {"model", "messages", "max_tokens", "temperature", "top_p", "seed", "n", "stream", "stop"}


def write(prompt):
    """About as long as the prompt's text, made of its words: same prompt, same answer."""
    words = prompt.rsplit("\n\n", 1)[0].split()  # without the instruction, which comes last if at all
    h = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
    if mode == "near":
        return " ".join("same%d" % i for i in range(100)) + " but for w%d." % (h % 100000), "stop"
    if h % 10 == 0:
        return "I'm sorry, I can't help with that.", "stop"
    if h % 10 == 1:
        return "again and again and again and so " * 30, "length"
    out = [w.strip(".,;:").lower() for i, w in enumerate(words[:150]) if (i * 7 + h) % 3]
    text = "In short, " + " and ".join(" ".join(out[i : i + 4]) for i in range(0, len(out), 4))
    return text + ".", "stop"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body, **header):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in header.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/v1/models":
            self.send(200, {"data": [{"id": "mock", "meta": {"n_params": 7}}]})
        elif self.path == "/props":
            self.send(200, {"total_slots": 4, "default_generation_settings": {"n_ctx": 512}})
        elif self.path == "/stats":
            with lock:
                self.send(200, {"n": sum(seen.values()), "prompts": len(seen), "answered": sum(answered.values()),
                                "repeated": sum(v > 1 for v in answered.values()), "auth": sorted(auth)})
        else:
            self.send(404, {"error": {"message": "no such path"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = "\n".join(m["content"] for m in body["messages"])
        key = hashlib.sha256((prompt + str(body["seed"])).encode()).hexdigest()
        with lock:
            n = seen[key] = seen.get(key, 0) + 1
            auth.add(self.headers.get("Authorization", ""))
        time.sleep(delay)
        if mode == "strict" and set(body) - known:
            return self.send(400, {"error": {"message": "unknown field " + sorted(set(body) - known)[-1]}})
        if mode == "gone":
            return self.send(503, {"error": {"message": "no capacity"}})
        if mode == "refuse":
            return self.send(401, {"error": {"message": "bad key " + self.headers.get("Authorization", "")}})
        if mode == "storm" and n == 1 and int(key, 16) % 3 == 0:
            return self.send(429, {"error": {"message": "slow down"}}, Retry_After="0")
        if mode == "storm" and n == 1 and int(key, 16) % 3 == 1:
            return self.send(500, {"error": {"message": "oops"}})
        if mode == "junk" and n == 1 and int(key, 16) % 2:
            return self.send(200, b'{"choices": [{"mess')
        if mode == "junk" and int(key, 16) % 7 == 0:
            return self.send(200, {"choices": []})
        if mode == "context" and int(key, 16) % 2:
            return self.send(400, {"error": {"message": "maximum context length is 9 tokens"}})
        text, finish = write(next(m["content"] for m in body["messages"] if m["role"] == "user"))
        if mode == "empty" and n == 1:
            text = ""
        reply = {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4},
        }
        data = json.dumps(reply).encode()
        with lock:
            answered[key] = answered.get(key, 0) + 1
        self.send(200, data)


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.request_queue_size = 256
    ThreadingHTTPServer.handle_error = lambda *args: None  # clients that hang up are what this is for
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
