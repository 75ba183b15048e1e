#!/bin/bash
# Tokens against Hugging Face tokenizers and llama.cpp's server, live; token files read back by a
# reader of their own. MIXLAW_DATA and MIXLAW_MODEL (SmolLM2-135M-Instruct as GGUF) add their parts.
set -euo pipefail
python=$(tests/peers/need_python "tokenizers" tokenizers gguf numpy) || { rc=$?; echo "$python"; exit $rc; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" tests/golden/make_tok.py --compare
TOKENIZERS_PARALLELISM=true "$python" tests/peers/tokenizers_peers.py "$MIXLAW" "$scratch"
