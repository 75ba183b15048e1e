"""From the start of a process to the end of its first step: `mixlaw train` of 1M parameters, and PyTorch's imports and step.

usage: start.py MIXLAW TORCH_PYTHON|- ROUNDS THREADS FOLDER   (bench/start.sh; FOLDER holds tok.json and natural.*)
       start.py --torch THREADS                               what TORCH_PYTHON runs: the same model (train_torch.py)

Each round starts one of either, in turns; a side prints its processor time when its first step of 512 tokens begins and when it
ended, the wall time is that to reading the line here. Of ours everything counts: tokenizer, token files, two domains to score on,
the run's folder. Of PyTorch's the tokens are random. A JSON line of medians and least values, seconds.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

LINE = re.compile(r"the first step (begins|ended) after ([0-9.]+) s of processor time")


def torch_side(threads):
    import torch

    import train_torch

    d, n_layer, ff, vocab, seq_len = train_torch.SIZES["1M"]
    torch.set_num_threads(threads)
    model = train_torch.Llama(d, n_layer, ff, vocab, seq_len)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tok = torch.randint(vocab, (1, seq_len + 1))
    tell("begins")
    model(tok).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    tell("ended")


def tell(what):
    print(f"the first step {what} after {time.process_time():.4f} s of processor time", file=sys.stderr, flush=True)


def measure(command):
    """Seconds to a first step's beginning and end: {"begins": (wall, processor), "ended": (wall, processor)}."""
    began, got = time.monotonic(), {}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    other = []
    for line in process.stderr:
        found = LINE.search(line)
        if found:
            got[found[1]] = (time.monotonic() - began, float(found[2]))
        else:
            other.append(line)
    if process.wait() != 0 or len(got) != 2:
        sys.exit(f"{' '.join(command)}: no first step\n{''.join(other)}")
    return got


def main():
    mixlaw, python, n_round, threads, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
    run, natural = os.path.join(folder, "run"), os.path.join(folder, "natural")
    sides = {"mixlaw": [mixlaw, "train", "--verbose", "--threads", threads, "--params", "1M", "--tokens", "512", "--batch-tokens", "512",
                        "--seq-len", "512", "--data", f"natural={natural}@1", "--tokenizer", os.path.join(folder, "tok.json"),
                        "--eval", f"a={natural}", f"b={natural}", "--eval-bytes", "10k", "--out", run]}
    if python != "-":
        sides["torch"] = [python, os.path.abspath(__file__), "--torch", threads]
    rounds = {side: [] for side in sides}
    for _ in range(n_round):
        for side, command in sides.items():
            shutil.rmtree(run, ignore_errors=True)
            rounds[side].append(measure(command))
    row = {"what": "start of a 1M run, 512 tokens a step", "threads": int(threads), "n_round": n_round}
    for side, got in rounds.items():
        for when in ("begins", "ended"):
            for i, clock in enumerate(("wall", "cpu")):
                values = [r[when][i] for r in got]
                row[f"{side}_{when}_{clock}_s"] = round(statistics.median(values), 4)
                row[f"{side}_{when}_{clock}_s_least"] = round(min(values), 4)
    print(json.dumps(row))


if __name__ == "__main__":
    torch_side(int(sys.argv[2])) if sys.argv[1] == "--torch" else main()
