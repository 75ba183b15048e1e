"""Near-duplicates with known similarity: minhash.json, texts with their exact Jaccard similarity over
runs of 5 words (computed here from the definition) and what datatrove's MinHash says of them.

usage: make_minhash.py            writes minhash.json beside this script
       make_minhash.py --compare  regenerates and compares with what is recorded
Needs datatrove==0.10.1 (with numpy==2.4.6, spacy==3.8.18, xxhash==3.8.2).
"""
import json
import os
import random
import sys

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

HERE = os.path.dirname(os.path.abspath(__file__))
N_ORIGINAL, N_WORDS = 30, 110


def word(rng):
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3)))


def edited(words, n_edits, rng):
    """Words replaced, dropped or put in at random places."""
    out = list(words)
    for _ in range(n_edits):
        at = rng.randrange(len(out))
        kind = rng.randrange(3)
        out[at : at + (kind > 0)] = [word(rng)] if kind < 2 else []
    return out


def make_texts():
    rng, texts, origin = random.Random(20), [], []
    for i in range(N_ORIGINAL):
        words = [word(rng) for _ in range(N_WORDS)]
        for n_edits in [0] + sorted(rng.sample([0, 1, 1, 2, 3, 4, 5, 6, 8, 12, 20], 3)):
            texts.append(" ".join(edited(words, n_edits, rng)))
            origin.append(i)
    order = list(range(len(texts)))
    rng.shuffle(order)
    return [texts[k] for k in order], [origin[k] for k in order]


def shingles(text):
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def make():
    texts, origin = make_texts()
    sets = [shingles(t) for t in texts]
    step = MinhashDedupSignature(output_folder="memory://unused", config=MinhashConfig())
    sigs = [step.get_signature(step.get_shingles(t)) for t in texts]
    pairs = []
    for i in range(len(texts)):
        for k in range(i):
            if origin[i] != origin[k]:
                assert len(sets[i] & sets[k]) < 3, "texts of different origin share runs by accident"
                continue
            exact = len(sets[i] & sets[k]) / len(sets[i] | sets[k])
            equal = [a == b for x, y in zip(sigs[i], sigs[k]) for a, b in zip(x, y)]
            bucket = any(x == y for x, y in zip(sigs[i], sigs[k]))
            pairs.append({"a": k, "b": i, "exact": round(exact, 6),
                          "datatrove": round(sum(equal) / len(equal), 6), "same_bucket": bucket})
    return {"texts": texts, "pairs": pairs}


def main():
    path = os.path.join(HERE, "minhash.json")
    made = make()
    if "--compare" in sys.argv[1:]:
        with open(path) as f:
            if json.load(f) != made:
                sys.exit("minhash.json differs from what this script makes now")
        print("the same")
        return
    with open(path, "w") as f:
        json.dump(made, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
