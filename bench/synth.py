"""Kept tokens a second of `mixlaw synth`, our engine and llama.cpp's server in turns. JSON lines.

usage: synth.py MIXLAW GGUF LLAMA_SERVER PEER_GGUF DOCS ROUNDS RECIPE[,RECIPE...] INPUT...

The same client with the same pages, prompts, limits, sampling and verdicts asks our engine with GGUF and the server with PEER_GGUF.
A round draws other pages than the one before. The server is tried with 8, 16 and 32 requests at once on the first round's pages, and
asked with what was best there. Seconds are those of the whole command, ours with loading the model, the server's without. A line a
recipe and side: medians over rounds; discards and verdicts of all of them. The last line of a recipe has the ratios, and their lower bound.
"""
import collections
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from train_pairs import lower_bound

PORT, CONTEXT, IN_FLIGHT = 18182, 1024, (8, 16, 32)
URL = f"http://127.0.0.1:{PORT}"


def start_server(program, model, n):
    threads = len(os.sched_getaffinity(0))
    options = ["-m", model, "-np", n, "-c", CONTEXT * n, "-t", threads, "-tb", threads, "--port", PORT, "--host", "127.0.0.1", "--no-webui"]
    server = subprocess.Popen([program, *map(str, options)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            with urllib.request.urlopen(URL + "/health", timeout=5):
                return server
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                sys.exit(f"{program} ended with {server.returncode}")
            time.sleep(0.2)


def made(mixlaw, recipe, generator, docs, seed, inputs, *more):
    """What one command makes, and how fast."""
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "out"
        start = time.monotonic()
        said = subprocess.run([mixlaw, "synth", "--quiet", "--json", "--recipe", recipe, "--generator", generator, "--out", out, "--max-docs", str(docs),
                               "--seed", str(seed), *more, *inputs], check=True, capture_output=True, text=True).stdout
        seconds = time.monotonic() - start
        said = json.loads(said.splitlines()[-1])
        n_tok = {}
        with open(out / "ledger.jsonl") as ledger:
            for row in map(json.loads, ledger):
                if "key" in row:
                    n_tok[row["key"]] = row["n_tok"]
        verdicts = subprocess.run(["zstd", "-dc", out / "verdicts.jsonl.zst"], check=True, capture_output=True, text=True).stdout
        rows = [json.loads(line) for line in verdicts.splitlines()]
    kept = sum(n_tok[r["key"]] for r in rows if r["verdict"] == "kept")
    return {"requests": said["requests"], "kept_tok_per_s": kept / seconds, "raw_tok_per_s": said["tokens_out"] / seconds,
            "prompt_tok_per_s": said["tokens_prompt"] / seconds, "seconds": seconds, "verdicts": collections.Counter(r["verdict"] for r in rows)}


def line(recipe, who, rounds, **more):
    verdicts = sum((r["verdicts"] for r in rounds), collections.Counter())
    print(json.dumps({"bench": "synth", "recipe": recipe, "generator": who, "requests": sum(r["requests"] for r in rounds),
                      **{k: statistics.median(r[k] for r in rounds) for k in ("kept_tok_per_s", "raw_tok_per_s", "prompt_tok_per_s", "seconds")},
                      "verdicts": dict(verdicts.most_common()), **more}), flush=True)


def with_server(program, model, n, ask):
    server = start_server(program, model, n)
    try:
        return ask("--in-flight", str(n))
    finally:
        server.kill()
        server.wait()


def best_in_flight(mixlaw, program, model, recipe, docs, inputs):
    speed = {n: with_server(program, model, n, lambda *more: made(mixlaw, recipe, URL, docs, 1, inputs, *more))["raw_tok_per_s"] for n in IN_FLIGHT}
    return max(speed, key=speed.get), speed


def main(mixlaw, gguf, program, peer_gguf, docs, rounds, recipes, *inputs):
    if not shutil.which("zstd"):
        sys.exit("synth.py: wants zstd")
    for recipe in recipes.split(","):
        n, tried = best_in_flight(mixlaw, program, peer_gguf, recipe, docs, inputs)
        ours, theirs = [], []
        for seed in range(1, int(rounds) + 1):
            ours.append(made(mixlaw, recipe, gguf, docs, seed, inputs))
            theirs.append(with_server(program, peer_gguf, n, lambda *more: made(mixlaw, recipe, URL, docs, seed, inputs, *more)))
        line(recipe, "mixlaw", ours, file=os.path.basename(gguf))
        line(recipe, "llama-server", theirs, file=os.path.basename(peer_gguf), in_flight=n, tried=tried)
        for key in ("kept_tok_per_s", "raw_tok_per_s"):
            ratios = [a[key] / b[key] for a, b in zip(ours, theirs)]
            print(json.dumps({"bench": "synth", "recipe": recipe, "ratio_of": key, "ratio": statistics.median(ratios), "lower": lower_bound(ratios)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
