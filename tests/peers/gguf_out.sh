#!/bin/bash
# GGUF files written by `model convert` are run by llama.cpp with our distributions. Needs the peers.
set -eu
python=$(tests/peers/need_python "GGUF files in llama.cpp" xllamacpp gguf numpy) || { rc=$?; echo "$python"; exit $rc; }
"$python" tests/golden/make_quants.py --compare
exec "$python" tests/peers/gguf_out.py "${MIXLAW:-build/mixlaw}" "${BUILD:-build}/tests/test_generate"
