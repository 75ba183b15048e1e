#!/bin/bash
# Fits against scipy, live: recorded, fresh and (where it is at hand) Epoch's table.
set -euo pipefail
python=$BUILD/peers/venv/bin/python
if ! "$python" -c 'import scipy' 2>/dev/null; then
    echo "skipped: no scipy in $BUILD/peers/venv (./check --peers installs it)"
    exit 77
fi
epoch=${MIXLAW_DATA:-../shared/data}/laws/chinchilla_epoch.csv
args=()
if [[ -f $epoch ]]; then args=("$epoch"); else echo "without Epoch's table: $epoch is not there"; fi
OMP_NUM_THREADS=1 exec "$python" tests/golden/make_law.py --compare "$MIXLAW" "${args[@]}"
