#!/bin/bash
# Fits against scipy, live: recorded, fresh and (where it is at hand) Epoch's table.
set -euo pipefail
python=$(tests/peers/need_python "fits against scipy" scipy) || { rc=$?; echo "$python"; exit $rc; }
epoch=${MIXLAW_DATA:-../shared/data}/laws/chinchilla_epoch.csv
args=()
if [[ -f $epoch ]]; then args=("$epoch"); else echo "without Epoch's table: $epoch is not there"; fi
OMP_NUM_THREADS=1 exec "$python" tests/golden/make_law.py --compare "$MIXLAW" "${args[@]}"
