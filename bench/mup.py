"""Where the best learning rate lies as models get wider, with and without muP. JSON lines.

usage: mup.py MIXLAW DATA_PREFIX EVAL_PREFIX TOKENIZER [TOKENS [WIDTH...]]

The evidence behind `train --mup`: models of two layers and heads of 32, widths 64 to 256 (the first is the base), each trained on
TOKENS (400,000) tokens of DATA at rates a factor of two apart, until the best one has a worse one on both sides; losses are those of
EVAL. One line a width and way: the losses by rate, the best rate by a parabola through the best three in log rate, and what the base's
best rate costs there: the loss at it, by the same parabola, less the best one's.
"""
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile

STEPS = [2.0**i for i in range(-14, 1)]


def train(mixlaw, data, held_out, tokenizer, n_tok, width, mup, lr, tmp):
    shape = {"n_layer": 2, "d_model": width, "n_head": width // 32, "n_kv_head": width // 32, "d_head": 32, "d_ff": width * 8 // 3 // 8 * 8}
    (tmp / "shape.json").write_text(json.dumps(shape))
    out = tmp / "run"
    subprocess.run([mixlaw, "train", "--quiet", "--shape", tmp / "shape.json", "--data", f"natural={data}@1", "--eval", f"held-out={held_out}", "--tokenizer", tokenizer,
                    "--tokens", str(n_tok), "--seq-len", "256", "--batch-tokens", "1024", "--lr", str(lr), "--out", out, "--seed", "1", "--eval-bytes", "300000",
                    *(["--mup", str(mup)] if mup else [])], check=True, stdout=subprocess.DEVNULL)
    result = json.loads((out / "result.json").read_text())
    shutil.rmtree(out)
    loss = result["loss"]
    return math.inf if loss is None or result.get("diverged") else loss


def parabola(lr, loss):
    """c of loss = a + b (log2 lr - c)^2 through three points, and b, a."""
    x = [math.log2(v) for v in lr]
    d1, d2 = (loss[1] - loss[0]) / (x[1] - x[0]), (loss[2] - loss[1]) / (x[2] - x[1])
    b = (d2 - d1) / (x[2] - x[0])
    c = (x[0] + x[1]) / 2 - d1 / (2 * b)
    return c, b, loss[1] - b * (x[1] - c) ** 2


def sweep(run, first):
    losses, i = {}, first
    while True:
        if not 0 < i < len(STEPS) - 1:
            sys.exit(f"mup.py: the best rate may lie beyond {STEPS[i]}, the end of the rates that are tried")
        for k in (i - 1, i, i + 1):
            if k not in losses:
                losses[k] = run(STEPS[k])
        best = min(losses, key=losses.get)
        if best == i:
            return i, {STEPS[k]: losses[k] for k in sorted(losses)}
        i = best


def main(mixlaw, data, held_out, tokenizer, n_tok="400000", *widths):
    widths = [int(w) for w in widths] or [64, 128, 256]
    for mup in (0, widths[0]):
        middle, base = 7, None
        for width in widths:
            with tempfile.TemporaryDirectory() as tmp:
                middle, losses = sweep(lambda lr: train(mixlaw, data, held_out, tokenizer, int(n_tok), width, mup, lr, pathlib.Path(tmp)), middle)
            near = STEPS[middle - 1 : middle + 2]
            c, b, least = parabola(near, [losses[v] for v in near])
            base = c if base is None else base
            print(json.dumps({"bench": "mup", "d_model": width, "mup": bool(mup), "tokens": int(n_tok), "losses": losses, "best_lr": 2**c,
                              "best_lr_of_base": 2**base, "loss": least, "lost_at_rate_of_base": b * (base - c) ** 2}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
