"""llama.cpp's server (the xllamacpp wheel) on the prompts that decode_bench wrote: generated tokens/s, one JSON line.

usage: decode.py MODEL.gguf PROMPTS.json [THREADS]
"""
import json
import os
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import xllamacpp

NEW, PORT = 128, 18181
prompts = json.load(open(sys.argv[2]))
threads = int(sys.argv[3]) if len(sys.argv) > 3 else len(os.sched_getaffinity(0))
p = xllamacpp.CommonParams()
p.model.path, p.n_parallel, p.n_ctx, p.cont_batching = sys.argv[1], len(prompts), 416 * len(prompts), True
p.n_batch, p.n_ubatch, p.cpuparams.n_threads, p.cpuparams_batch.n_threads = 2048, 512, threads, threads
p.cache_ram_mib, p.port, p.verbosity, p.fit_params = 0, PORT, 0, False
server = xllamacpp.Server(p)


def one(tokens):
    body = {"prompt": tokens, "n_predict": NEW, "ignore_eos": True, "cache_prompt": False,
            "temperature": 0.8, "top_p": 0.95, "top_k": 0, "min_p": 0, "seed": 1}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=900) as answer:
        return json.load(answer)["timings"]["predicted_n"]


one(prompts[0][:8])
rounds = []
for _ in range(2):
    start = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        n_new = sum(pool.map(one, prompts))
    rounds.append(n_new / (time.perf_counter() - start))
print(json.dumps({"what": "decode", "peer": f"xllamacpp {xllamacpp.__version__}", "streams": len(prompts), "tok_per_s": max(rounds), "rounds": rounds}), flush=True)
os._exit(0)
