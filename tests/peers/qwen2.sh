#!/bin/bash
# Qwen2's tokenizer against Hugging Face tokenizers and llama.cpp's server, and its conversations against transformers. Needs the peers.
set -euo pipefail
python=$(tests/peers/need_python "Qwen2's tokenizer" tokenizers xllamacpp gguf numpy) || { rc=$?; echo "$python"; exit $rc; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
exec "$python" tests/peers/qwen2.py "$MIXLAW" "$BUILD/tests/test_tok" "$scratch"
