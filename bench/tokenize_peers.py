"""Hugging Face tokenizers and tiktoken on the texts and with the vocabulary of tokenize_bench.

usage: tokenize_peers.py MIXLAW MEGABYTES TOKENIZER.json INPUT...      one thread unless RAYON_NUM_THREADS says so
"""
import json
import os
import subprocess
import sys
import time

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

GPT2_DIGITS = r"""\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?=\p{N})|\s+(?!\S)|\s"""


def emit(peer, what, value, unit, threads, **more):
    print(json.dumps({"peer": peer, "what": what, "value": float(f"{value:.4g}"), "unit": unit, "threads": threads, **more}), flush=True)


def texts(mixlaw, megabytes, inputs):
    out, total = [], 0
    with subprocess.Popen([mixlaw, "corpus", "cat", "--quiet", *inputs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        for line in p.stdout:
            out.append(json.loads(line)["text"])
            total += len(out[-1].encode())
            if total >= megabytes * 1e6:
                break
        p.kill()
    return out, total / 1e6


def best(f):
    took = []
    for _ in range(3):
        t = time.perf_counter()
        f()
        took.append(time.perf_counter() - t)
    return min(took)


def main():
    mixlaw, megabytes, path, *inputs = sys.argv[1:]
    docs, mb = texts(mixlaw, float(megabytes), inputs)
    threads = int(os.environ.get("RAYON_NUM_THREADS", "1"))
    tok, name = Tokenizer.from_file(path), f"tokenizers {tokenizers.__version__}"
    vocab = tok.get_vocab_size()
    n = sum(len(e) for e in tok.encode_batch_fast(docs))
    emit(name, f"encode, vocabulary {vocab}", mb / best(lambda: tok.encode_batch_fast(docs)), "MB/s", threads, tokens=n)
    try:
        import tiktoken

        plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
        back = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in plain)}
        ranks = {bytes(back[c] for c in piece): i for piece, i in json.load(open(path))["model"]["vocab"].items() if i}
        enc = tiktoken.Encoding("ours", pat_str=GPT2_DIGITS, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 0})
        n = sum(map(len, enc.encode_ordinary_batch(docs)))
        emit(f"tiktoken {tiktoken.__version__}", f"encode, vocabulary {vocab}", mb / best(lambda: enc.encode_ordinary_batch(docs, num_threads=threads)), "MB/s", threads, tokens=n)
    except ImportError:
        print("without tiktoken: not installed", file=sys.stderr)
    new = Tokenizer(models.BPE())
    new.pre_tokenizer = tok.pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t = time.perf_counter()
    new.train_from_iterator(docs, trainer, length=len(docs))
    emit(name, f"train BPE {vocab} on {mb:.0f} MB", time.perf_counter() - t, "s", threads)


main()
