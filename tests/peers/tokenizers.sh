#!/bin/bash
# Tokens against Hugging Face tokenizers and llama.cpp's server, live; token files read back by a
# reader of their own. MIXLAW_DATA and MIXLAW_MODEL (SmolLM2-135M-Instruct as GGUF) add their parts.
set -euo pipefail
python=$BUILD/peers/venv/bin/python
if ! "$python" -c 'import tokenizers, gguf, numpy' 2>/dev/null; then
    echo "skipped: no tokenizers, gguf and numpy in $BUILD/peers/venv (./check --peers installs them)"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" tests/golden/make_tok.py --compare
TOKENIZERS_PARALLELISM=true "$python" tests/peers/tokenizers_peers.py "$MIXLAW" "$scratch"
