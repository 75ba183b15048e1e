#!/bin/bash
# Our logits against llama.cpp on the same GGUF, over 300 positions of mixed text. Needs MIXLAW_MODEL and the peers.
set -eu
if [ -z "${MIXLAW_MODEL:-}" ] || [ ! -f "${MIXLAW_MODEL:-}" ]; then
    echo "skipped: llama.cpp's logits: MIXLAW_MODEL names no GGUF file"
    exit 77
fi
python=$(tests/peers/need_python "llama.cpp's logits" xllamacpp gguf numpy) || { rc=$?; echo "$python"; exit $rc; }
"$python" tests/golden/make_gguf.py --compare 2>/dev/null || {
    "$python" -c 'import torch, transformers' 2>/dev/null && { echo "FAILED: tests/golden/make_gguf.py --compare"; exit 1; }
    echo "the small GGUF's recorded values were not recomputed: no torch or transformers"
}
exec "$python" tests/peers/llamacpp.py compare "$MIXLAW_MODEL" "${BUILD:-build}/tests/test_generate"
