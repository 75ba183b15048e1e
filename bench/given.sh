#!/bin/bash
# Given text scored, ours and lm-evaluation-harness's in turns: multiple choice and loss of pages (see given.py). JSON lines.
#
#     bench/given.sh MODEL.gguf [BUILD_FOLDER [TEXT.txt]]
#
# MIXLAW_QUESTIONS: 50, MIXLAW_ROUNDS: 7, MIXLAW_LM_EVAL: float32,bfloat16 (bf16 without its instructions takes minutes).
# Needs a Python with lm_eval, torch and transformers: the one named by MIXLAW_TORCH_PYTHON.
set -eu
model=$1 build=${2:-build} text=${3:-}
python=${MIXLAW_TORCH_PYTHON:-$build/peers/venv/bin/python}
"$python" -c 'import lm_eval, torch' 2>/dev/null || {
    echo "no Python with lm_eval and torch; name one by MIXLAW_TORCH_PYTHON" >&2
    exit 1
}
if [ -z "$text" ]; then # prose enough is in every checkout
    text=$(mktemp)
    trap 'rm -f "$text"' EXIT
    find docs README.md src -name '*.md' -o -name '*.h' | sort | xargs cat >"$text"
fi
PYTHONPATH=$(dirname "$0") "$python" "$(dirname "$0")/given.py" "$build/mixlaw" "$model" "$text" "${MIXLAW_QUESTIONS:-50}" "${MIXLAW_ROUNDS:-7}" "${MIXLAW_LM_EVAL:-float32,bfloat16}"
