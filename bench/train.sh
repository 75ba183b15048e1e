#!/bin/bash
# Training speed, ours and PyTorch's, interleaved in one run: a JSON line a case (see train_pairs.py).
#
#     bench/train.sh [BUILD_FOLDER [SIZE:BATCH:THREADS...]]
#
# The Python with torch is BUILD_FOLDER/peers/venv's or the one named by MIXLAW_TORCH_PYTHON; without it only our
# figures are printed. MIXLAW_TORCH_MODES: fp32 compile (both when unset), bf16 compile-bf16. MIXLAW_ROUNDS: 7.
# Nothing else should run meanwhile; ratio_cpu (processor time) beside ratio tells when something did.
set -eu
build=${1:-build}
shift || true
python=${MIXLAW_TORCH_PYTHON:-$build/peers/venv/bin/python}
modes=${MIXLAW_TORCH_MODES:-fp32 compile}
[ $# -gt 0 ] || set -- tiny:2:1 tiny:2:2 tiny:8:2 1M:8:2 5M:8:2 20M:8:2
"$python" -c 'import torch' 2>/dev/null || {
    echo "skipped: no Python with torch; name one by MIXLAW_TORCH_PYTHON" >&2
    python=-
}
# Or glibc hands every large block back to the kernel at each step, and torch loses a third.
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184
python3 "$(dirname "$0")/train_pairs.py" "$build/bench/train_bench" "$python" "${MIXLAW_ROUNDS:-7}" "${MIXLAW_SECONDS:-3}" \
    "${modes// /,}" "$@"
