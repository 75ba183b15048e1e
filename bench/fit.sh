#!/bin/bash
# Fits and bootstraps against scipy on Epoch's 240 rows, one core, both in the same run.
# usage: bench/fit.sh [TABLE.csv]     PYTHON=... for another scipy than build/peers'; EVERY=10 runs a tenth of its starts
set -euo pipefail
cd "$(dirname "$0")/.."
table=${1:-${MIXLAW_DATA:-../shared/data}/laws/chinchilla_epoch.csv}
build/bench/fit_bench "$table" "used_in_fit == 1"
OMP_NUM_THREADS=1 "${PYTHON:-build/peers/venv/bin/python}" bench/fit_scipy.py "$table" --used "${EVERY:-10}"
