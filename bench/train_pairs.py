"""Training speed beside PyTorch's: interleaved bursts, medians, and the lower bound of the ratio. JSON lines.

usage: train_pairs.py TRAIN_BENCH TORCH_PYTHON|- ROUNDS SECONDS MODE,MODE... SIZE:BATCH:THREADS...

For each case one process of ours and one a mode of PyTorch (train_torch.py) stay alive and take turns: a round is a burst
of SECONDS from each, so every ratio is of neighbours in time. PyTorch's figure in a round is its fastest mode's. The lower
bound is that of a sign test: with 7 rounds the smallest ratio (99 %), with 8 to 10 the second smallest (95 %).
peak_gflops is measured by train_bench before each burst; share_of_peak counts 6N + 6dV + 6LdT a token. first_step_s counts from
a built model (so no imports); start_s from the start of the process.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import time


def start(command):
    """The process after its first step, and the seconds to there."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == "ready":
            return process, time.monotonic() - began
    sys.exit(f"{' '.join(command)}: ended before its first step")


def burst(process, seconds):
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{' '.join(process.args)}: ended early")
    return json.loads(line)


def lower_bound(ratios):
    """The k-th smallest, k as large as leaves the median below it with at most 5 %; None for too few."""
    n, tail, k = len(ratios), 0.0, 0
    while True:
        tail += math.comb(n, k) / 2**n
        if tail > 0.05:
            break
        k += 1
    return sorted(ratios)[k - 1] if k else None


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def case(bench, python, rounds, seconds, modes, spec):
    size, batch, threads = spec.split(":")
    here = os.path.dirname(os.path.abspath(__file__))
    start_s, peers = {}, {}
    ours, start_s["mixlaw"] = start([bench, size, batch, threads, "-", "fp32" if all("bf16" not in m for m in modes) else "auto"])
    for m in modes if python != "-" else []:
        peers[m], start_s[m] = start([python, os.path.join(here, "train_torch.py"), size, batch, threads, "-", m])
    got = {"mixlaw": [], **{m: [] for m in peers}}
    for _ in range(rounds):
        got["mixlaw"].append(burst(ours, seconds))
        for m, process in peers.items():
            got[m].append(burst(process, seconds))
    for process in [ours, *peers.values()]:
        process.stdin.close()
        process.wait()
    row = {"case": spec, "backend": got["mixlaw"][0]["mode"], "n_round": rounds, "tok_per_s": median(got["mixlaw"], "tok_per_s"),
           "tok_per_cpu_s": median(got["mixlaw"], "tok_per_cpu_s"), "first_step_s": got["mixlaw"][0]["first_step_s"]}
    row["peak_gflops"] = median(got["mixlaw"], "peak_gflops")
    row["share_of_peak"] = row["tok_per_s"] * got["mixlaw"][0]["flop_per_tok"] / row["peak_gflops"] * 1e-9
    row["peak_rss_mb"], row["start_s"] = got["mixlaw"][-1]["peak_rss_mb"], start_s["mixlaw"]
    for m in peers:
        row[f"torch_{m}"] = {"tok_per_s": median(got[m], "tok_per_s"), "tok_per_cpu_s": median(got[m], "tok_per_cpu_s"),
                             "first_step_s": got[m][0]["first_step_s"], "peak_rss_mb": got[m][-1]["peak_rss_mb"],
                             "start_s": start_s[m]}
    if peers:
        for key, name in (("tok_per_s", "ratio"), ("tok_per_cpu_s", "ratio_cpu")):
            best = [max(got[m][i][key] for m in peers) for i in range(rounds)]
            ratios = [a[key] / b for a, b in zip(got["mixlaw"], best)]
            row[name], row[name + "_low"] = statistics.median(ratios), lower_bound(ratios)
    print(json.dumps(row), flush=True)


def main():
    bench, python, rounds, seconds, modes, *specs = sys.argv[1:]
    for spec in specs:
        case(bench, python, int(rounds), float(seconds), modes.split(","), spec)


if __name__ == "__main__":
    main()
