#!/bin/bash
# Training speed, ours and PyTorch's, interleaved in one run: JSON lines, best and median of each.
#
#     bench/train.sh [BUILD_FOLDER [SIZE:BATCH:THREADS...]]
#
# The Python with torch is BUILD_FOLDER/peers/venv's or the one named by MIXLAW_TORCH_PYTHON; without it only our
# lines are printed. Nothing else should run meanwhile; tok_per_cpu_s tells when something did.
set -eu
build=${1:-build}
shift || true
python=${MIXLAW_TORCH_PYTHON:-$build/peers/venv/bin/python}
here=$(dirname "$0")
[ $# -gt 0 ] || set -- tiny:2:1 tiny:8:1 1M:8:2 5M:8:2 20M:8:2
have_torch=yes
"$python" -c 'import torch' 2>/dev/null || have_torch=
[ "$have_torch" ] || echo "skipped: no Python with torch; name one by MIXLAW_TORCH_PYTHON" >&2
# Or glibc hands every large block back to the kernel at each step, and torch loses a third.
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184
for _ in 1 2; do
    for row in "$@"; do
        IFS=: read -r size batch threads <<<"$row"
        "$build/bench/train_bench" "$size" "$batch" "$threads" 5
        [ "$have_torch" ] || continue
        for mode in ${MIXLAW_TORCH_MODES:-fp32 compile}; do
            "$python" "$here/train_torch.py" "$size" "$batch" "$threads" 5 "$mode"
        done
    done
done
