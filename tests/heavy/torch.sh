#!/bin/bash
# Against PyTorch and transformers, live: the recorded vectors of tests/golden/model are what they compute today,
# and a folder that we saved loads in transformers and gives our logits. They cost gigabytes, so they are not in
# requirements.txt: the Python that has them is build/peers/venv's or the one named by MIXLAW_TORCH_PYTHON.
set -u
python=${MIXLAW_TORCH_PYTHON:-$BUILD/peers/venv/bin/python}
if ! "$python" -c 'import torch, transformers, safetensors' 2>/dev/null; then
    echo "skipped: no Python with torch, transformers and safetensors; name one by MIXLAW_TORCH_PYTHON"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
set -e
"$python" tests/golden/make_model.py --compare
MIXLAW_EXPORT=$out "$BUILD/tests/test_model" export_for_peer
"$python" tests/heavy/load_export.py "$out"
