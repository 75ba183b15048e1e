#!/bin/bash
# Tokens against Hugging Face tokenizers and tiktoken: same texts, same vocabulary, same run.
# usage: bench/tokenize.sh [MEGABYTES [VOCAB_SIZE]]     PYTHON=... for other peers than build/peers'
set -euo pipefail
cd "$(dirname "$0")/.."
inputs=("${MIXLAW_DATA:-../shared/data}"/natural/*.wet.gz)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
build/bench/tokenize_bench "${1:-20}" "${2:-8192}" "$scratch/t.json" "${inputs[@]}"
export TOKENIZERS_PARALLELISM=true
for threads in 1 2; do
    RAYON_NUM_THREADS=$threads "${PYTHON:-build/peers/venv/bin/python}" bench/tokenize_peers.py \
        build/mixlaw "${1:-20}" "$scratch/t.json" "${inputs[@]}"
done
