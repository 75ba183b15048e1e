"""A deterministic OpenAI-style server for end-to-end tests: it rewrites the passage it is given.

usage: fake_server.py PORT_FILE COUNT_FILE [DELAY_MS]

The answer depends on the request alone. One line goes to COUNT_FILE for each request answered.
"""
import hashlib
import http.server
import json
import os
import re
import sys
import time

DELAY = float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0


def rewrite(prompt):
    """The sentences of the longest paragraph, each opened by a phrase that the request's hash picks."""
    passage = max(prompt.split("\n\n"), key=len)
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", passage) if s.strip()]
    openers = ["It is known that", "In fact,", "As a rule,", "Notably,", "Here", "In this way", "Over time"]
    seed = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
    out = []
    for i, s in enumerate(sentences):
        words = s.split()
        half = len(words) // 2
        out.append(openers[(seed + i) % len(openers)] + " " + " ".join(words[half:] + words[:half]).rstrip(".!?,") + ".")
    return " ".join(out)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "fake", "object": "model"}], "status": "ok"})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = request["messages"][-1]["content"] if "messages" in request else request["prompt"]
        time.sleep(DELAY)
        text = rewrite(prompt)
        with open(sys.argv[2], "a") as f:
            f.write(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest() + "\n")
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4, "total_tokens": (len(prompt) + len(text)) // 4}
        self.answer({"id": "x", "created": 0, "model": "fake", "object": "chat.completion", "usage": usage,
                     "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]})

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".tmp", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
server.serve_forever()
