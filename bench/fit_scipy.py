"""Seconds of the usual scipy fit of the joint law: 4,500 L-BFGS-B starts with analytic gradients, and a part of the
bootstraps from one start each. usage: fit_scipy.py TABLE.csv [--used] [STARTS_EVERY]   one JSON line, one process"""
import csv
import json
import sys
import time
from itertools import product

import numpy as np
import scipy
from scipy.optimize import minimize

DELTA = 1e-3
rows = [r for r in csv.DictReader(open(sys.argv[1])) if "--used" not in sys.argv or r["used_in_fit"] == "1"]
every = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 1
N, D, L = (np.log([float(r[k]) for r in rows]) for k in ("N", "D", "loss"))
GRID = list(product(range(0, 30, 5), range(0, 30, 5), np.arange(-1, 1.5, 0.5), np.arange(0, 2.5, 0.5), np.arange(0, 2.5, 0.5)))


def value_gradient(p, n, d, l):
    m = np.stack([p[0] - p[3] * n, p[1] - p[4] * d, np.full_like(n, p[2])])
    top = m.max(0)
    w = np.exp(m - top)
    s = w.sum(0)
    r = top + np.log(s) - l
    a, g = np.abs(r), np.clip(r, -DELTA, DELTA) * w / s
    f = np.where(a <= DELTA, 0.5 * r * r, DELTA * (a - 0.5 * DELTA)).sum()
    return f, np.array([g[0].sum(), g[1].sum(), g[2].sum(), -(g[0] * n).sum(), -(g[1] * d).sum()])


def fit(start, *data):
    return minimize(value_gradient, start, args=data, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 2000, "maxfun": 20000})


t = time.perf_counter()
done = [fit(s, N, D, L) for s in GRID[::every]]
seconds = (time.perf_counter() - t) * every
best = min(done, key=lambda r: r.fun)
rng, t, n_boot = np.random.default_rng(0), time.perf_counter(), 200
for _ in range(n_boot):
    pick = rng.integers(len(N), size=len(N))
    fit(best.x, N[pick], D[pick], L[pick])
print(json.dumps({"peer": f"scipy {scipy.__version__}", "law": "joint", "rows": len(N), "objective": best.fun, "starts": len(GRID), "starts_run": len(done),
                  "fit_s": seconds, "resamples": 4000, "bootstrap_s": (time.perf_counter() - t) * 4000 / n_boot}))
