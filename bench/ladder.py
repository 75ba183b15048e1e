"""Tokens a second of a whole ladder of small runs: two of ours side by side, ours one after another, two of PyTorch's.

usage: ladder.py TRAIN_BENCH TORCH_PYTHON|- ROUNDS SECONDS MODE   (bench/ladder.sh)

The ladder: 24 runs, six of each size, 20 tokens a parameter. Speeds of a size come from interleaved bursts: two
processes of one thread at once, then one process of two threads, then two of PyTorch's of one thread. The ladder's figure is all its
tokens by the sum of their times at those speeds, starting and loading left out on every side. A JSON line a size, then one of the ladder
with ratios by round: median and lower bound (train_pairs.py).
"""
import json
import os
import statistics
import sys
import threading

from train_pairs import burst, lower_bound, start

SIZES = {"0.6M": 8, "1M": 4, "2M": 4, "4M": 4}  # sequences a step: 2,048 tokens
PARAMS = {"0.6M": 0.60e6, "1M": 1.0e6, "2M": 2.2e6, "4M": 4.0e6}
SIDES = ("packed", "in_turn", "torch")


def together(processes, seconds):
    got = [None] * len(processes)

    def one(i):
        got[i] = burst(processes[i], seconds)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(processes))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(g["tok_per_s"] for g in got)


def measure(bench, python, rounds, seconds, mode, size, batch):
    """Tokens a second of each side in each round."""
    torch = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train_torch.py")
    precision = "auto" if "bf16" in mode else "fp32"

    def ours(n_thread):
        return start([bench, size, str(batch), str(n_thread), "-", precision])[0]

    sides = {"packed": [ours(1), ours(1)], "in_turn": [ours(2)]}
    if python != "-":
        sides["torch"] = [start([python, torch, size, str(batch), "1", "-", mode])[0] for _ in range(2)]
    speed = {side: [] for side in sides}
    for _ in range(rounds):
        for side, processes in sides.items():
            speed[side].append(together(processes, seconds))
    for process in sum(sides.values(), []):
        process.stdin.close()
        process.wait()
    return speed


def main():
    bench, python, rounds, seconds, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
    speed = {}
    for size, batch in SIZES.items():
        speed[size] = measure(bench, python, rounds, seconds, mode, size, batch)
        print(json.dumps({"size": size, **{f"{s}_tok_per_s": statistics.median(v) for s, v in speed[size].items()}}), flush=True)
    tokens = {size: 20 * n for size, n in PARAMS.items()}
    ladder = {}
    for side in SIDES:
        if side in speed["1M"]:
            ladder[side] = [sum(tokens.values()) / sum(tokens[s] / speed[s][side][i] for s in SIZES) for i in range(rounds)]
    row = {"case": "ladder of 24 runs, 0.6M to 4M", "mode": mode, "n_round": rounds,
           **{f"{side}_tok_per_s": statistics.median(v) for side, v in ladder.items()}}
    for side in ladder:
        if side != "packed":
            ratios = [a / b for a, b in zip(ladder["packed"], ladder[side])]
            row[f"ratio_to_{side}"], row[f"ratio_to_{side}_low"] = statistics.median(ratios), lower_bound(ratios)
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
