#!/bin/bash
# From starting `mixlaw train` to the end of the first step of a 1M run of 512 tokens a step (see start.py). A JSON line.
#
#     bench/start.sh [BUILD_FOLDER [THREADS]]
#
# Beside PyTorch's imports and first step when MIXLAW_TORCH_PYTHON names a Python with torch. MIXLAW_ROUNDS: 7.
set -eu
build=${1:-build} threads=${2:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Prose and code enough for a vocabulary of 8,192 are in every checkout; forty times that is a small corpus.
python3 - "$work/text.jsonl" <<'EOF'
import json, pathlib, sys
files = sorted(p for d in ("docs", "src", "tests", "bench") for p in pathlib.Path(d).rglob("*") if p.suffix in (".md", ".c", ".h", ".sh", ".py"))
with open(sys.argv[1], "w") as f:
    for i in range(40):
        f.writelines(json.dumps({"id": f"{i}-{p}", "text": p.read_text()}) + "\n" for p in files)
EOF
"$build/mixlaw" tokenize train --quiet --vocab-size 8192 --out "$work/tok.json" "$work/text.jsonl" >/dev/null
"$build/mixlaw" tokenize encode --quiet --tokenizer "$work/tok.json" --out "$work/natural" "$work/text.jsonl" >/dev/null
python3 "$(dirname "$0")/start.py" "$build/mixlaw" "${MIXLAW_TORCH_PYTHON:--}" "${MIXLAW_ROUNDS:-7}" "$threads" "$work"
