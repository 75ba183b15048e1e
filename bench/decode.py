"""llama.cpp's server on the prompts that decode_bench wrote: generated tokens/s of whole requests, one JSON line.

usage: decode.py MODEL.gguf PROMPTS.json [THREADS [LLAMA_SERVER]]

LLAMA_SERVER is the program of a native build; without it the server inside the xllamacpp wheel is asked.
"""
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

NEW, PORT, BATCH, UBATCH, CONTEXT = 128, 18181, 2048, 512, 416
URL = f"http://127.0.0.1:{PORT}"


def in_wheel(model, n, threads):
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path, p.n_parallel, p.n_ctx, p.cont_batching = model, n, CONTEXT * n, True
    p.n_batch, p.n_ubatch, p.cpuparams.n_threads, p.cpuparams_batch.n_threads = BATCH, UBATCH, threads, threads
    p.cache_ram_mib, p.port, p.verbosity, p.fit_params = 0, PORT, 0, False
    return f"xllamacpp {xllamacpp.__version__}", xllamacpp.Server(p)


def native(program, model, n, threads):
    options = ["-m", model, "-np", n, "-c", CONTEXT * n, "-t", threads, "-tb", threads, "-b", BATCH, "-ub", UBATCH, "--port", PORT,
               "--host", "127.0.0.1", "--cache-ram", 0, "--no-webui"]
    server = subprocess.Popen([program, *map(str, options)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            with urllib.request.urlopen(URL + "/health", timeout=5):
                break
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                sys.exit(f"{program} ended with {server.returncode}")
            time.sleep(0.2)
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    return "llama-server " + (said.stdout + said.stderr).split("version:")[-1].split("\n")[0].strip(), server


def one(tokens):
    body = {"prompt": tokens, "n_predict": NEW, "ignore_eos": True, "cache_prompt": False,
            "temperature": 0.8, "top_p": 0.95, "top_k": 0, "min_p": 0, "seed": 1}
    request = urllib.request.Request(URL + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=900) as answer:
        return json.load(answer)["timings"]["predicted_n"]


def main(model, prompts_file, threads=len(os.sched_getaffinity(0)), program=None):
    prompts = json.load(open(prompts_file))
    threads = int(threads)
    peer, server = native(program, model, len(prompts), threads) if program else in_wheel(model, len(prompts), threads)
    try:
        one(prompts[0][:8])
        rounds = []
        for _ in range(2):
            start = time.perf_counter()
            with ThreadPoolExecutor(len(prompts)) as pool:
                n_new = sum(pool.map(one, prompts))
            rounds.append(n_new / (time.perf_counter() - start))
    finally:
        if program:
            server.kill()
    print(json.dumps({"what": "decode", "peer": peer, "model": os.path.basename(model), "streams": len(prompts), "tok_per_s": max(rounds), "rounds": rounds}), flush=True)
    os._exit(0)  # the server in the wheel cannot be stopped


main(*sys.argv[1:])
