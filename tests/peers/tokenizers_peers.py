"""mixlaw's tokens against Hugging Face tokenizers and llama.cpp, on thousands of documents.

usage: tokenizers_peers.py MIXLAW SCRATCH        run from the source root
"""
import glob
import json
import os
import random
import struct
import subprocess
import sys
import urllib.request

import gguf
import numpy as np
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

import checks
from checks import check, mixlaw

MIXLAW, SCRATCH = sys.argv[1], sys.argv[2]
DATA = os.environ.get("MIXLAW_DATA", "../shared/data")
MODEL = os.environ.get("MIXLAW_MODEL", "")
SMOLLM = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


def place(name):
    return os.path.join(SCRATCH, name)


def natural(limit):
    files = sorted(glob.glob(os.path.join(DATA, "natural", "*.wet.gz")))[:1] + sorted(glob.glob(os.path.join(DATA, "domains", "*.jsonl.zst")))
    if not files:
        print(f"without natural documents: {DATA} is not there")
        return []
    out = []
    for f in files:
        with subprocess.Popen([MIXLAW, "corpus", "cat", f, "--quiet"], stdout=subprocess.PIPE) as p:
            for line, _ in zip(p.stdout, range(limit)):
                out.append(json.loads(line)["text"])
            p.stdout.close()
    return out


def nasty(n, words):
    """Any characters, spaces, quotes and digits in any order."""
    rng = random.Random(11)

    def any_character():
        lo, hi = rng.choice([(1, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x30000)])
        return chr(rng.randrange(lo, hi))

    parts = list(" \t\n\r\u00a0\u2003\u3000'.,!?-=_#<|>0123456789") + ["'s", "'LL", "<|im_start|>", "<|endoftext|>", "  ", "\n\n", " the", "can't", "e\u0301", "\u4e2d\u6587", "\ud55c\uad6d\uc5b4", "\U0001f642", "\u00bd", "\u2167", "\u0663", "\u0968"]

    def one():
        r = rng.random()
        return any_character() if r < 0.3 else rng.choice(parts) if r < 0.7 else rng.choice(words)

    return ["x" + "".join(one() for _ in range(rng.randrange(1, 60))) for _ in range(n)]


def megatron(prefix):
    """Megatron's layout by its description alone: magic, version, type, counts, lengths, offsets, documents."""
    raw = open(prefix + ".idx", "rb").read()
    magic, version, kind, n_seq, n_index = struct.unpack_from("<9sQBQQ", raw)
    assert (magic, version) == (b"MMIDIDX\0\0", 1)
    lengths = np.frombuffer(raw, "<i4", n_seq, 34)
    offsets = np.frombuffer(raw, "<i8", n_seq, 34 + 4 * n_seq)
    index = np.frombuffer(raw, "<i8", n_index, 34 + 12 * n_seq)
    assert len(raw) == 34 + 12 * n_seq + 8 * n_index and index[0] == 0 and index[-1] == n_seq
    ids = np.fromfile(prefix + ".bin", {8: "<u2", 4: "<i4"}[kind])
    width = ids.itemsize
    assert lengths.sum() == len(ids)
    seq = [ids[o // width:o // width + n] for o, n in zip(offsets, lengths)]
    return [np.concatenate(seq[a:b]).tolist() if b > a else [] for a, b in zip(index[:-1], index[1:])]


def write_docs(name, docs):
    with open(place(name), "w", encoding="utf-8") as f:
        for i, text in enumerate(docs):
            f.write(json.dumps({"id": f"d{i}", "text": text}) + "\n")
    return place(name)


def compare(what, tok, file, docs, path):
    """Ids of `file` in mixlaw and of the same vocabulary in Hugging Face, and the text they decode to."""
    prefix = place("tokens-" + "".join(c if c.isalnum() else "-" for c in what))
    mixlaw(MIXLAW, "tokenize", "encode", "--tokenizer", file, "--out", prefix, path)
    got = megatron(prefix)
    tok.encode_special_tokens = True
    eod = json.load(open(prefix + ".json"))["eod"]
    want = [e.ids + [eod] for e in tok.encode_batch_fast(docs, add_special_tokens=False)]
    wrong = [i for i, (g, w) in enumerate(zip(got, want)) if g != w]
    check(len(got) == len(want) and not wrong, f"{what}: {len(docs)} documents, {sum(map(len, want))} tokens" + (f", {len(wrong)} differ, first {docs[wrong[0]][:200]!r}" if wrong else ""))
    return prefix, got


def vocabulary(tok):
    model = json.loads(tok.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def own_vocabulary(docs, path):
    ours = place("tokenizer.json")
    mixlaw(MIXLAW, "tokenize", "train", "--vocab-size", "4096", "--out", ours, path)
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = SMOLLM
    theirs.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=4096, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    theirs.save(place("theirs.json"))
    loaded = Tokenizer.from_file(ours)
    check(vocabulary(loaded) == vocabulary(theirs), f"trained on {len(docs)} documents: the same 4096 tokens and merges")
    prefix, _ = compare("our tokenizer.json", loaded, ours, docs, path)
    compare("theirs", theirs, place("theirs.json"), docs, path)
    back = [json.loads(line)["text"] for line in mixlaw(MIXLAW, "tokenize", "cat", "--decode", prefix).split("\n") if line]
    check(back == docs, "the token files decode to the documents")


def smollm2(docs, path):
    r = gguf.GGUFReader(MODEL)

    def texts(key):
        f = r.fields[key]
        return [bytes(f.parts[i]).decode() for i in f.data]

    tokens, f = texts("tokenizer.ggml.tokens"), r.fields["tokenizer.ggml.token_type"]
    special = [t for t, i in zip(tokens, f.data) if f.parts[i][0] == 3]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ", 1)) for m in texts("tokenizer.ggml.merges")]))
    tok.pre_tokenizer = SMOLLM
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    _, got = compare("SmolLM2's GGUF", tok, MODEL, docs, path)
    return got, set(pre_tokenizers.ByteLevel.alphabet()) - set(tokens)


def llama_cpp(docs, got, missing):
    """Ids by llama.cpp's server. It merges around bytes that have no token where Hugging Face (and
    mixlaw) leave them out first, so documents with such bytes are not compared."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.warmup = MODEL, 512, False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    symbols = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    n = 0
    for text, want in zip(docs, got):
        if len(text) > 20000 or any(set(piece) & missing for piece, _ in symbols.pre_tokenize_str(text)):
            continue
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(server.listening_address + "/tokenize", data=body, headers={"Content-Type": "application/json"})
        ids = json.load(urllib.request.urlopen(request, timeout=60))["tokens"]
        if ids != want[:-1]:
            return check(False, f"llama.cpp differs on {text[:200]!r}")
        n += 1
    check(n > len(docs) / 2, f"llama.cpp: {n} of {len(docs)} documents compared, all the same")


def main():
    words = [w + " " for w in open("LICENSE", encoding="utf-8").read().split()]
    docs = natural(120) + nasty(3000, words)
    path = write_docs("docs.jsonl", docs)
    own_vocabulary(docs, path)
    if not os.path.exists(MODEL):
        print("*** without SmolLM2's vocabulary and llama.cpp: MIXLAW_MODEL names no file ***")
    else:
        got, missing = smollm2(docs, path)
        llama_cpp(docs[-1000:] + docs[:100], got[-1000:] + got[:100], missing)
    sys.exit(checks.n_bad > 0)


main()
