#!/bin/bash
# Tokens a second of a ladder of 24 runs: packed, in turn, PyTorch's two side by side (see ladder.py). JSON lines.
#
#     bench/ladder.sh [BUILD_FOLDER]
#
# Python with torch and MIXLAW_ROUNDS as in bench/train.sh; MIXLAW_TORCH_MODE: compile (fp32), compile-bf16, fp32, bf16.
set -eu
build=${1:-build}
python=${MIXLAW_TORCH_PYTHON:-$build/peers/venv/bin/python}
"$python" -c 'import torch' 2>/dev/null || {
    echo "skipped: no Python with torch; name one by MIXLAW_TORCH_PYTHON" >&2
    python=-
}
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184 # as in bench/train.sh
python3 "$(dirname "$0")/ladder.py" "$build/bench/train_bench" "$python" "${MIXLAW_ROUNDS:-7}" "${MIXLAW_SECONDS:-3}" \
    "${MIXLAW_TORCH_MODE:-compile}"
