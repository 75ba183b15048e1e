"""Writes a small English-like corpus that needs no download: usage: make_corpus.py DIR

DIR/natural.jsonl (about 1.2 MB) and three domains of 60 kB each. Words follow a Zipf law, sentences a few
patterns by topic, so that small models have something to learn and domains differ. Domains "near" and "near-by"
sort otherwise than their files do.
"""
import json
import os
import random
import sys

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
FUNCTION = "the of and to in a is that for it as was with on by at from or this be are not have an which".split()


def words(rng, n):
    out = []
    while len(out) < n:
        w = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.choice([1, 2, 2, 3])))
        out.append(w + rng.choice(["", "n", "r", "s", "t"]))
    return out


def sentence(rng, vocabulary):
    n = rng.randint(6, 16)
    out = []
    for i in range(n):
        if i % 2 and rng.random() < 0.7:
            out.append(rng.choice(FUNCTION))
        else:
            out.append(vocabulary[min(int(rng.paretovariate(0.9)) - 1, len(vocabulary) - 1)])
    return " ".join(out).capitalize() + "."


def documents(rng, vocabulary, n_bytes, name):
    total, k = 0, 0
    while total < n_bytes:
        text = "\n\n".join(" ".join(sentence(rng, vocabulary) for _ in range(rng.randint(4, 8))) for _ in range(rng.randint(2, 5)))
        total += len(text)
        yield {"id": f"{name}-{k}", "text": text}
        k += 1


def main():
    out = sys.argv[1]
    os.makedirs(os.path.join(out, "domains"), exist_ok=True)
    common = words(random.Random(1), 1500)
    for i, (path, size) in enumerate([("natural.jsonl", 1200000), ("domains/near.jsonl", 60000), ("domains/near-by.jsonl", 60000),
                                      ("domains/far.jsonl", 60000)]):
        rng = random.Random(100 + i)
        vocabulary = list(common)
        if i > 1:  # other words come first
            rng.shuffle(vocabulary)
            vocabulary = vocabulary[: 300 * (i - 1)] + common
        with open(os.path.join(out, path), "w") as f:
            for d in documents(rng, vocabulary, size, path.split("/")[-1].split(".")[0]):
                f.write(json.dumps(d) + "\n")


main()
