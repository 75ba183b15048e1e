#!/bin/bash
# usage: bench/decode.sh MODEL.gguf [STREAMS] [TEXT.txt]     ours, and llama.cpp's server in the same minutes
set -eu
model=$1 streams=${2:-32} text=${3:-}
build=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "$text" ]; then # prose enough is in every checkout
    text=$tmp/text.txt
    find docs README.md src -name '*.md' -o -name '*.h' | sort | xargs cat >"$text"
fi
"$build/bench/decode_bench" "$model" "$streams" "$text" "$tmp/prompts.json"
if "$build/peers/venv/bin/python" -c 'import xllamacpp' 2>/dev/null; then
    "$build/peers/venv/bin/python" bench/decode.py "$model" "$tmp/prompts.json"
else
    echo "llama.cpp: skipped, no xllamacpp in $build/peers/venv"
fi
