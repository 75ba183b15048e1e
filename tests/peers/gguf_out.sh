#!/bin/bash
# GGUF files written by `model convert` are run by llama.cpp with our distributions. Needs the peers.
set -eu
python=${BUILD:-build}/peers/venv/bin/python
if ! "$python" -c 'import xllamacpp, gguf, numpy' 2>/dev/null; then
    echo "skipped: GGUF files in llama.cpp: no xllamacpp in $python"
    exit 77
fi
"$python" tests/golden/make_quants.py --compare
exec "$python" tests/peers/gguf_out.py "${MIXLAW:-build/mixlaw}" "${BUILD:-build}/tests/test_generate"
