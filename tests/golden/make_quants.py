"""Records random blocks of GGUF's quantised types and what the gguf package reads in them, for tests/model; --compare recomputes.

usage: make_quants.py [--compare] [--out tests/golden/quants.safetensors]

TYPE.bytes and TYPE.values: blocks of random bits whose scales are finite, and the package's dequantisation.
q8_0.floats and q8_0.made: floats (among them zeros, ties and tiny ones) and the package's quantisation of them.
Made with gguf 0.19.0, numpy 2.4.6.
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

T = gguf.GGMLQuantizationType
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}


def record():
    rng, out = np.random.default_rng(11), {}
    for kind, halves in HALVES.items():
        n_elem, n_bytes = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (512 // n_elem, n_bytes), dtype=np.uint8)
        for at in halves:
            blocks[:, at : at + 2] = (rng.standard_normal(len(blocks)) * 0.1).astype("<f2").view(np.uint8).reshape(-1, 2)
        out[kind.name + ".bytes"] = blocks.reshape(1, -1)
        out[kind.name + ".values"] = dequantize(blocks.reshape(1, -1), kind).astype("<f4")
    x = (rng.standard_normal((1, 32 * 12)) * 3).astype("<f4")
    x[0, 32:64] = 0
    x[0, 64:96] = np.arange(-16, 16) / 2  # ties
    x[0, 64] = 127
    x[0, 96:128] *= 1e-7
    x[0, 128:160] *= 1e-20
    out["q8_0.floats"], out["q8_0.made"] = x, quantize(x, T.Q8_0)
    return out


def save(out, path):
    names, at, header = sorted(out), 0, {}
    for name in names:
        a = out[name]
        header[name] = {"dtype": "U8" if a.dtype == np.uint8 else "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(out[n].tobytes() for n in names))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--compare", action="store_true")
    a.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "quants.safetensors")
    args = a.parse_args()
    if not args.compare:
        return save(record(), args.out)
    new = args.out.with_suffix(".new")
    save(record(), new)
    same = new.read_bytes() == args.out.read_bytes()
    new.unlink()
    print("quants.safetensors", "the same" if same else "DIFFERS")
    sys.exit(not same)


if __name__ == "__main__":
    main()
