"""Planted tables of runs and the optima that scipy finds on them: law_planted.csv and law_planted.json.

usage: make_law.py            writes both beside this script
       make_law.py --compare MIXLAW [EPOCH.csv]
                              regenerates, compares with what is recorded, then fits recorded, fresh and (if
                              given) the Epoch table with MIXLAW and with scipy
Made with numpy 2.4.6 and scipy 1.17.1.
"""
import csv
import io
import json
import math
import os
import subprocess
import sys
import tempfile
from itertools import product

import numpy as np
from scipy import stats
from scipy.optimize import minimize

HERE = os.path.dirname(os.path.abspath(__file__))
DELTA = 1e-3
TRUTH = {
    "data": dict(B=1200.0, beta=0.37, E=1.9),
    "model": dict(A=400.0, alpha=0.34, E=1.9),
    "joint": dict(A=400.0, B=1200.0, E=1.9, alpha=0.34, beta=0.37),
    "joint_tied": dict(A=400.0, B=900.0, E=1.9, alpha=0.35),
    "joint_gamma": dict(A=2000.0, B=9000.0, E=1.75, alpha=0.42, beta=0.43, gamma=0.8),
}


def log_loss(law, p, n, d):
    """ln L; p holds ln A, ln B, ln E and the exponents, whichever the law has."""
    a = p["alpha"] if "alpha" in p else p["beta"]
    b = p["beta"] if "beta" in p else a
    terms = []
    if "A" in p:
        terms.append(p["A"] - a * n)
    if "B" in p:
        terms.append(p["B"] - b * d)
    power = terms[0] if len(terms) == 1 else np.logaddexp(*terms)
    return np.logaddexp(p.get("gamma", 1.0) * power, p["E"])


def internal(truth):
    return {k: math.log(v) if k in "ABE" else v for k, v in truth.items()}


def table(law, noise, seed):
    rng = np.random.default_rng(seed)
    sizes = 1e6 * 4.0 ** np.arange(1 if law == "data" else 4)
    budgets = 2e7 * 4.0 ** np.arange(1 if law == "model" else 5)
    n, d = (x.ravel() for x in np.meshgrid(sizes, budgets, indexing="ij"))
    n, d = np.repeat(n, 3), np.repeat(d, 3)
    loss = np.exp(log_loss(law, internal(TRUTH[law]), np.log(n), np.log(d)) + noise * rng.standard_normal(len(n)))
    return n, d, np.array([float(f"{x:.9g}") for x in loss])


def objective(names, law, x, n, d, l):
    r = log_loss(law, dict(zip(names, x)), n, d) - l
    a = np.abs(r)
    return np.where(a <= DELTA, 0.5 * r * r, DELTA * (a - 0.5 * DELTA)).sum() / DELTA


def scipy_fit(law, n, d, loss):
    """Best of many L-BFGS-B starts around the usual grid, then two rounds of simplex and BFGS."""
    names = list(TRUTH[law])
    n, d, l = np.log(n), np.log(d), np.log(loss)
    grid = {"A": [3, 8, 14], "B": [3, 8, 14], "E": [0, 0.6], "alpha": [0.2, 0.4, 0.8], "beta": [0.2, 0.4, 0.8], "gamma": [0.6, 1.0]}
    f = lambda x: objective(names, law, x, n, d, l)
    starts = sorted(product(*(grid[k] for k in names)), key=f)[:30]
    done = [minimize(f, s, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 3000, "maxfun": 60000}) for s in starts]
    x = min(done, key=lambda r: r.fun).x
    for _ in range(3):
        x = minimize(f, x, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 20000, "maxfev": 20000}).x
        x = minimize(f, x, method="BFGS", options={"gtol": 1e-12}).x
    value = {k: math.exp(v) if k in "ABE" else v for k, v in zip(names, map(float, x))}
    return value, float(f(x) * DELTA)


def make():
    rows, optima = io.StringIO(), {}
    out = csv.writer(rows, lineterminator="\n")
    out.writerow(["law", "N", "D", "loss"])
    for i, law in enumerate(TRUTH):
        n, d, loss = table(law, 0.003, 100 + i)
        for row in zip(n, d, loss):
            out.writerow([law] + [f"{x:.9g}" for x in row])
        params, value = scipy_fit(law, n, d, loss)
        optima[law] = {"params": params, "objective": value}
    optima["student_t"] = [[p, df, float(stats.t.ppf(p, df))] for p, df in [(0.975, 1), (0.975, 4), (0.95, 10), (0.8, 3), (0.99, 2.5), (0.975, 1e6)]]
    return rows.getvalue(), optima


def mixlaw_fit(mixlaw, law, path, where=None):
    call = [mixlaw, "fit", "--law", law, "--bootstrap", "0", path] + (["--where", where] if where else [])
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def compare(name, ours, params, value, tolerance=2e-3):
    """Ours may be better than scipy's optimum, never worse by 1e-6; parameters agree where the objective does."""
    worse = ours["objective"] / value - 1
    apart = max(abs(ours["params"][k]["value"] / v - 1) for k, v in params.items())
    ok = worse < 1e-6 and (apart < tolerance or worse < -1e-6)
    print(f"{'ok' if ok else 'NOT EQUAL'}: {name}: objective {ours['objective']:.10g}, scipy's {value:.10g} ({worse:+.1e}); parameters within {apart:.1e}")
    return ok


def main():
    rows, optima = make()
    csv_path, json_path = os.path.join(HERE, "law_planted.csv"), os.path.join(HERE, "law_planted.json")
    if len(sys.argv) == 1:
        open(csv_path, "w").write(rows)
        json.dump(optima, open(json_path, "w"), indent=1)
        return 0
    mixlaw, ok = sys.argv[2], True
    recorded = json.load(open(json_path))
    if open(csv_path).read() != rows:
        print("NOT EQUAL: law_planted.csv is not what this script makes")
        ok = False
    for law in TRUTH:
        same = abs(recorded[law]["objective"] / optima[law]["objective"] - 1) < 1e-6
        print(f"{'ok' if same else 'NOT EQUAL'}: recorded optimum of {law}")
        ok &= same
        ok &= compare(f"{law}, recorded table", mixlaw_fit(mixlaw, law, csv_path, f"law == {law}"), **{"params": optima[law]["params"], "value": optima[law]["objective"]})
    for seed, noise in enumerate([0.0005, 0.01, 0.03]):
        for law in TRUTH:
            n, d, loss = table(law, noise, 500 + seed)
            with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
                f.write("N,D,loss\n" + "".join(f"{a:.17g},{b:.17g},{c:.17g}\n" for a, b, c in zip(n, d, loss)))
                f.flush()
                params, value = scipy_fit(law, n, d, loss)
                ok &= compare(f"{law}, noise {noise}", mixlaw_fit(mixlaw, law, f.name), params, value, 0.05)
    if len(sys.argv) > 3:
        used = [r for r in csv.DictReader(open(sys.argv[3])) if r["used_in_fit"] == "1"]
        n, d, loss = (np.array([float(r[k]) for r in used]) for k in ("N", "D", "loss"))
        params, value = scipy_fit("joint", n, d, loss)
        ok &= compare("joint, Epoch's table", mixlaw_fit(mixlaw, "joint", sys.argv[3], "used_in_fit == 1"), params, value)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
