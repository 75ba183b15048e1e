#!/bin/bash
# usage: bench/decode.sh MODEL.gguf [STREAMS] [TEXT.txt]     ours, and llama.cpp's server in the same minutes
#
# LLAMA_SERVER names the program of a native build (else the wheel xllamacpp is asked), PEER_MODEL another file for it,
# ROUNDS how often both take their turn (1).
set -eu
model=$1 streams=${2:-32} text=${3:-}
build=${BUILD:-build}
python=$build/peers/venv/bin/python
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "$text" ]; then # prose enough is in every checkout
    text=$tmp/text.txt
    find docs README.md src -name '*.md' -o -name '*.h' | sort | xargs cat >"$text"
fi
[ -n "${LLAMA_SERVER:-}" ] && python=python3
for ((i = 0; i < ${ROUNDS:-1}; i++)); do
    "$build/bench/decode_bench" "$model" "$streams" "$text" "$tmp/prompts.json"
    if [ -n "${LLAMA_SERVER:-}" ] || "$python" -c 'import xllamacpp' 2>/dev/null; then
        "$python" bench/decode.py "${PEER_MODEL:-$model}" "$tmp/prompts.json" "$(nproc)" ${LLAMA_SERVER:+"$LLAMA_SERVER"}
    else
        echo "llama.cpp: skipped, no xllamacpp in $build/peers/venv and no LLAMA_SERVER"
    fi
done
