#!/usr/bin/env python3
"""An OpenAI-style server on loopback that answers every prompt in its own way, always the same, and can
misbehave: in the MODE given, or at http://HOST/MODE/v1 in any mode. Prints its address, serves until its
standard input closes. GET /stats: requests by prompt; GET /heal: good from then on.
usage: mock_server.py [DELAY_MS] [MODE]
modes: good; near (every answer is the same text but for its last word); strict (knows OpenAI's fields only); bare (does
not say how many slots it has); seeded and unseeded (the seed, or chance, has the last word); base (no chat); another
(serves another model); retrained (another one of the same name); and the methods of class Modes below."""
import hashlib
import json
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

delay = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0
default = sys.argv[2] if len(sys.argv) > 2 else "good"
known = {"model", "messages", "prompt", "max_tokens", "temperature", "top_p", "seed", "n", "stream", "stop"}
lock = threading.Lock()


class Counts:
    def __init__(self):
        self.seen, self.answered, self.auth, self.begin = {}, {}, set(), time.monotonic()
        self.collapsed = {}  # prompts with a system line: whether their answer is
        self.out = self.refused = self.marks = 0
        self.healed = threading.Event()


modes = {}


def counts_of(mode):
    with lock:
        return modes.setdefault(mode, Counts())


def write(prompt, mode):
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


class Modes:
    """What a bad day does to a request: n counts its tries from 1, h is a number of its own. A method that
    returns True has dealt with it; else the answer follows."""

    def refuse(self, n, h):
        return self.error(401, "bad key " + self.headers.get("Authorization", ""))

    def gone(self, n, h):
        return self.error(503, "no capacity")

    def context(self, n, h):
        return h % 2 and self.error(400, "maximum context length is 9 tokens")

    def storm(self, n, h):
        return n == 1 and (h % 3 == 0 and self.error(429, "slow down", Retry_After="0") or h % 3 == 1 and self.error(500, "oops"))

    def collapse(self, n, h):
        """From the fifth prompt with a system line on, answers to those begin alike; so they do when asked again."""
        if len(self.body["messages"]) > 1:
            with lock:
                if self.counts.collapsed.setdefault(h, len(self.counts.collapsed) >= 4):
                    self.opening = "As everybody knows since the old days "
        return False

    def limit(self, n, h):
        """Never more than two at once; says nothing of when to come back."""
        return self.counts.out > 2 and self.crowded()

    def crowd(self, n, h):
        """Never more than four at once."""
        time.sleep(0.02)
        return self.counts.out > 4 and self.crowded()

    def wait(self, n, h):
        """The same, and everybody is to wait a second."""
        return time.monotonic() < self.counts.begin + 1.5 and self.crowded(Retry_After="1")

    clock = wait  # while the client's wall clock jumps

    def crowded(self, **header):
        with lock:
            self.counts.refused += 1
        return self.error(429, "too many requests", **header)

    def ill(self, n, h):
        """A server that starts again: connections refused, then 503, then well."""
        age = time.monotonic() - self.counts.begin
        return self.reset() if age < 0.7 else age < 1.5 and self.error(503, "loading model")

    def reset(self, n=1, h=0):
        """Hangs up without a word; as a mode on first tries only."""
        if n > 1:
            return False
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.hang_up()

    def cut(self, n, h):
        """Half the answer, then the end of the stream; every second time in a chunk."""
        if n > 1:
            return False
        if h % 2:
            self.head(b"Transfer-Encoding: chunked", b"fff\r\n" + self.reply()[:99])
        else:
            self.head(b"Content-Length: 100000", self.reply()[:-9])
        return self.hang_up()

    def short(self, n, h):
        """Says fewer bytes than it sends; the rest lies in the way of the next answer."""
        return n == 1 and self.head(b"Content-Length: %d" % (len(self.reply()) // 2), self.reply())

    def twice(self, n, h):
        """Answers, and then answers the same request once more."""
        return self.head(b"Content-Length: %d" % len(self.reply()), self.reply() + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def noise(self, n, h):
        if n > 1 or h % 3 or not self.counts.answered:
            return False
        self.wfile.write(b"\0\1\2 no HTTP \xff\r\n\r\n")
        return self.hang_up()

    def stall(self, n, h):
        """Begins to answer a third of the requests and falls silent."""
        return n == 1 and h % 3 == 0 and self.head(b"Content-Length: 1000", b'{"choices": [') and self.silence()

    def forget(self, n, h):
        """A third is never answered, however often it is asked."""
        return h % 3 == 0 and self.silence()

    def silence(self):
        self.counts.healed.wait(30)
        return self.hang_up()

    def trickle(self, n, h):
        """A few bytes now and then, for longer than the idle limit of the test."""
        if h % 4:
            return False
        data = self.reply()
        self.head(b"Content-Length: %d" % len(data), b"")
        for i in range(16):
            self.wfile.write(data[len(data) * i // 16 : len(data) * (i + 1) // 16])
            time.sleep(0.2)
        return True

    def html(self, n, h):
        """A page of the company's proxy, now and then."""
        return n == 1 and h % 3 == 0 and self.counts.answered and self.page()

    def portal(self, n, h):
        return self.page()

    def page(self):
        return self.send(200, b"<html><body>Welcome</body></html>", "text/html")

    def lost(self, n, h):
        """A path that is unknown for a moment: 404 from the balancer between two servers."""
        return n == 1 and h % 3 == 0 and self.counts.answered and self.error(404, "no such path")

    def huge(self, n, h):
        """Nine megabytes for one in ten."""
        return h % 10 == 5 and self.counts.answered and self.send(200, b" " * (9 << 20) + self.reply())

    def one(self, n, h):
        """One page that the server will have nothing to do with."""
        return "unspeakable" in self.prompt and self.error(422, "not that")

    def junk(self, n, h):
        """Half an answer at first, and for some no answer ever."""
        if n == 1 and h % 2:
            return self.send(200, b'{"choices": [{"mess')
        return h % 7 == 0 and self.send(200, {"choices": []})

    def wrong(self, n, h):
        """JSON, but of another kind, on all tries that are taken."""
        kind = [[], 7, None, "text", {"error": {"message": "engine died", "code": 500}}, {"choices": {"message": 1}},
                {"choices": [{"message": "text"}]}, {"choices": [{"message": {"content": ["a", "b"]}}]},
                {"choices": [{"text": "of the other kind of completion"}]}]
        return n <= 2 and self.send(200, kind[h % len(kind)])

    def nan(self, n, h):
        """What json.dumps makes of a NaN."""
        reply = json.loads(self.reply())
        reply["choices"][0]["logprobs"] = {"content": [{"token": "NaN", "logprob": float("nan")}, {"logprob": float("-inf")}]}
        return self.send(200, reply)

    def more(self, n, h):
        """More choices than asked for, the first not in front."""
        reply = json.loads(self.reply())
        other = {"index": 1, "message": {"role": "assistant", "content": "Another."}, "finish_reason": "stop"}
        reply["choices"] = [other, reply["choices"][0], dict(other, index=2)]
        return self.send(200, reply)

    def mute(self, n, h):
        """No words for some: null and nothing at all."""
        reply = json.loads(self.reply())
        reply["choices"][0]["message"] = {"role": "assistant", "content": None} if h % 2 else {"role": "assistant"}
        return h % 5 == 0 and self.send(200, reply)

    def empty(self, n, h):
        reply = json.loads(self.reply())
        reply["choices"][0]["message"]["content"] = ""
        return n == 1 and self.send(200, reply)

    def zero(self, n, h):
        """A NUL in every text."""
        reply = json.loads(self.reply())
        message = reply["choices"][0]["message"]
        message["content"] = message["content"].replace("In short, ", "In\0 short, ")
        return self.send(200, reply)

    def counts_lie(self, n, h):
        reply = json.loads(self.reply())
        reply["usage"] = [{"prompt_tokens": -1, "completion_tokens": 1e300}, {"prompt_tokens": "many"}, None, []][h % 4]
        return self.send(200, reply)


class Handler(Modes, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def head(self, length, body):
        """Bytes as they are behind a head of our own."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n" + body)
        self.wfile.flush()
        return True

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        return True

    def send(self, status, body, kind="application/json", **header):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in header.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def error(self, status, message, **header):
        return self.send(status, {"error": {"message": message}}, **header)

    def split_path(self):
        if self.path.startswith("/v1/") or self.path.count("/") < 2:
            return default, self.path
        mode, rest = self.path[1:].split("/", 1)
        return mode, "/" + rest

    def do_GET(self):
        mode, path = self.split_path()
        c = counts_of(mode)
        if path == "/v1/models":
            self.send(200, {"data": [{"id": "another" if mode == "another" else "mock", "owned_by": "tests",
                                      "meta": {"n_params": 8 if mode == "retrained" else 7}}]})
        elif path == "/props" and mode not in ("bare", "crowd"):
            self.send(200, {"total_slots": 4, "default_generation_settings": {"n_ctx": 512}})
        elif path == "/heal":
            c.healed.set()
            self.send(200, {})
        elif path == "/stats":
            with lock:
                self.send(200, {"n": sum(c.seen.values()), "prompts": len(c.seen), "answered": sum(c.answered.values()),
                                "repeated": sum(v > 1 for v in c.answered.values()), "refused": c.refused,
                                "marks": c.marks, "auth": sorted(c.auth)})
        else:
            self.send(404, {"error": {"message": "no such path"}})

    def reply(self):
        plain = "prompt" in self.body
        user = self.body["prompt"] if plain else next(m["content"] for m in self.body["messages"] if m["role"] == "user")
        text, finish = write(user, self.mode)
        text = self.opening + text
        if self.mode.endswith("seeded"):
            text += " Number %d." % (self.body["seed"] if self.mode == "seeded" else time.monotonic_ns())
        choice = {"text": text} if plain else {"message": {"role": "assistant", "content": text}}
        if self.body.get("logprobs"):
            choice["logprobs"] = {"token_logprobs": [-0.5]} if plain else {"content": [{"token": "a", "logprob": -0.5}]}
        return json.dumps({
            "choices": [{"index": 0, "finish_reason": finish, **choice}],
            "usage": {"prompt_tokens": len(self.prompt) // 4, "completion_tokens": len(text) // 4},
        }).encode()

    def do_POST(self):
        self.mode, _ = self.split_path()
        self.counts = counts_of(self.mode)
        self.opening = ""
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.prompt = self.body.get("prompt") or "\n".join(m["content"] for m in self.body["messages"])
        key = hashlib.sha256((self.prompt + str(self.body["seed"])).encode()).hexdigest()
        with lock:
            if not self.counts.seen:
                self.counts.begin = time.monotonic()
            n = self.counts.seen[key] = self.counts.seen.get(key, 0) + 1
            self.counts.auth.add(self.headers.get("Authorization", ""))
            self.counts.out += 1
            roles = [m["role"] for m in self.body.get("messages", [])]
            self.counts.marks += "<|im_" in self.prompt or roles not in ([], ["user"], ["system", "user"])
        try:
            self.answer(n, key)
        finally:
            with lock:
                self.counts.out -= 1

    def answer(self, n, key):
        time.sleep(delay + 0.01 * (self.mode == "limit"))
        if self.mode == "base" and "messages" in self.body:
            return self.error(400, "the model has no chat template")
        if self.mode == "strict" and set(self.body) - known:
            return self.error(400, "unknown field " + sorted(set(self.body) - known)[-1])
        if not self.counts.healed.is_set() and getattr(Modes, self.mode, lambda *args: False)(self, n, int(key, 16)):
            return True
        data = self.reply()
        with lock:
            self.counts.answered[key] = self.counts.answered.get(key, 0) + 1
        return self.send(200, data)


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
