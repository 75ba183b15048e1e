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
# llm.c's own model, where MIXLAW_LLMC names its folder.
if [ -f "${MIXLAW_LLMC:-}/train_llama3.py" ]; then
    "$MIXLAW" model convert --quiet tests/golden/model/mha_untied --to llmc "$out/llmc.bin" >"$out/log"
    "$python" tests/heavy/llmc.py "$out/llmc.bin" "$MIXLAW_LLMC/train_llama3.py" tests/golden/model/mha_untied
else
    echo "llm.c's model was not asked: MIXLAW_LLMC names no folder with its train_llama3.py"
fi
# A real model: GGUF to a folder, which transformers loads with our logits.
if [ -f "${MIXLAW_MODEL:-}" ]; then
    "$MIXLAW" model convert --quiet "$MIXLAW_MODEL" --to hf "$out/real" >"$out/log"
    "$python" -c 'import sys, numpy as np; np.array([(7 * i * i + 40 * i) % 40000 for i in range(60)], "<u4").tofile(sys.argv[1])' "$out/ids.u32"
    "$BUILD/tests/test_generate" logits "$out/real" "$out/ids.u32" "$out/real.f32"
    width=$(($(stat -c %s "$out/real.f32") / 240))
    "$python" tests/heavy/folder.py "$out/real" "$out/ids.u32" "$out/real.f32" "$width"
else
    echo "no real model was compared: MIXLAW_MODEL names no GGUF file"
fi
