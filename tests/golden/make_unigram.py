"""Unigram comparisons of two made-up token streams: unigram.json, from the definitions alone.

usage: make_unigram.py            writes unigram.json beside this script
       make_unigram.py --compare  regenerates and compares with what is recorded
Plain Python 3, no packages.
"""
import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
W, TAU, KAPPA = 64, 1e-3, 10


def stream(seed, n, shift):
    """A skewed stream of ids 0..W-1; some ids never occur."""
    out, x = [], seed
    for _ in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        u = (x >> 11) / 2**53
        out.append((int(W ** u) - 1 + shift) % W)
    return out


def counts(ids):
    return [ids.count(w) for w in range(W)]


def smooth(c, eps):
    return [(k + eps) / (sum(c) + eps * W) for k in c]


def compare(p_r, c_r, c_v, eps):
    n_v = sum(c_v)
    p_v, p_s = [k / n_v for k in c_v], smooth(c_v, eps)
    kl = sum(v * math.log(v / r) for v, r in zip(p_v, p_r) if v)
    mid = [(v + r) / 2 for v, r in zip(p_v, p_r)]
    blind = [w for w in range(W) if p_v[w] >= TAU and p_r[w] <= p_v[w] / KAPPA]
    types = [w for w in range(W) if c_v[w]]
    top = sorted(types, key=lambda w: (-p_v[w] * math.log(p_v[w] / p_r[w]), w))
    return {
        "kl": kl,
        "kl_reverse": sum(r * math.log(r / s) for r, s in zip(p_r, p_s)),
        "js": sum(v * math.log(v / m) for v, m in zip(p_v, mid) if v) / 2
        + sum(r * math.log(r / m) for r, m in zip(p_r, mid)) / 2,
        "cross_entropy": -sum(v * math.log(r) for v, r in zip(p_v, p_r)),
        "coverage": [sum(p_v[w] for w in range(W) if c_r[w] >= m) for m in (1, 10, 100)],
        "coverage_types": [sum(c_r[w] >= m for w in types) / len(types) for m in (1, 10, 100)],
        "blind": blind,
        "blind_mass": sum(p_v[w] for w in blind),
        "top": top[:5],
    }


def make():
    natural, synth, domain = stream(1, 4000, 0), stream(2, 900, 40), stream(3, 1500, 3)
    c_n, c_s, c_v = counts(natural), counts(synth), counts(domain)
    cases = []
    for eps in (0.5, 0.01):
        p_n, p_s = smooth(c_n, eps), smooth(c_s, eps)
        cases.append({"share": 0, "eps": eps, **compare(p_n, c_n, c_v, eps)})
        cases.append({"share": 1, "eps": eps, **compare(p_s, c_s, c_v, eps)})
        s = 0.25
        n = min(sum(c_n) / (1 - s), sum(c_s) / s)
        p = [s * b + (1 - s) * a for a, b in zip(p_n, p_s)]
        c = [n * ((1 - s) * a / sum(c_n) + s * b / sum(c_s)) for a, b in zip(c_n, c_s)]
        cases.append({"share": s, "eps": eps, **compare(p, c, c_v, eps)})
    return {"vocab_size": W, "tau": TAU, "kappa": KAPPA, "natural": natural, "synth": synth,
            "domain": domain, "cases": cases}


def main():
    path = os.path.join(HERE, "unigram.json")
    if sys.argv[1:] == ["--compare"]:
        with open(path) as f:
            if json.load(f) != json.loads(json.dumps(make())):
                sys.exit(f"{path} is not what this script makes")
        print("unigram.json: the same")
    else:
        with open(path, "w") as f:
            json.dump(make(), f)
            f.write("\n")


main()
