#!/bin/bash
# Qwen2's tokenizer against Hugging Face tokenizers and llama.cpp's server, and its conversations against transformers. Needs the peers.
set -euo pipefail
python=$BUILD/peers/venv/bin/python
if ! "$python" -c 'import tokenizers, xllamacpp, gguf, numpy' 2>/dev/null; then
    echo "skipped: Qwen2's tokenizer: no tokenizers, xllamacpp, gguf and numpy in $BUILD/peers/venv (./check --peers installs them)"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
exec "$python" tests/peers/qwen2.py "$MIXLAW" "$BUILD/tests/test_tok" "$scratch"
