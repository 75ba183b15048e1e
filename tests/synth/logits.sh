#!/bin/bash
# What needs a model's probabilities, with two small models of the golden tests: contrastive decoding from the command
# line. The same answers whatever the threads, the neighbours, and after kills.
set -u
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/mixlaw-logits-XXXXXX")
trap 'rm -rf "$T"' EXIT
n_bad=0
bad() { echo "FAILED: $*"; n_bad=$((n_bad + 1)); }
py() { python3 -c "import json,sys; $1" "${@:2}"; }
answers() { # of a folder: what was asked and answered, without times
    py '
rows = [json.loads(l) for l in open(sys.argv[1] + "/ledger.jsonl")]
keys = ("key", "prompt", "id", "variant", "finish", "raw", "n_tok_prompt", "n_tok")
print(*sorted(json.dumps([r.get(k) for k in keys]) for r in rows), sep="\n")' "$1"
}
expert=tests/golden/contrast/expert amateur=tests/golden/contrast/amateur
py '
import random
random.seed(8)
word = ["".join(random.choice("bdfglmnprstv") + random.choice("aeiou") for _ in range(random.randint(1, 4))) for _ in range(300)]
for i in range(24):
    text = [" ".join(random.choice(word) for _ in range(random.randint(7, 11))).capitalize() + "." for s in range(3)]
    print(json.dumps({"id": "d%d" % i, "text": " ".join(text)}))
' >"$T/pages.jsonl"
"$MIXLAW" synth recipes contrast | sed 's/max_words: 60, min_words: 25/max_words: 20, min_words: 7/; s/max_tok: 256/max_tok: 40/' >"$T/contrast.yaml"
"$MIXLAW" synth recipes extend | sed 's/max_words: 60, min_words: 25/max_words: 20, min_words: 7/; s/max_tok: 256/max_tok: 40/' >"$T/extend.yaml"
synth() { "$MIXLAW" synth --quiet --json --generator "$expert" "$@" "$T/pages.jsonl"; }

synth --recipe "$T/contrast.yaml" --amateur "$amateur" --out "$T/a" --threads 1 --in-flight 1 >"$T/a.json" 2>"$T/err" || bad "run: $(cat "$T/err")"
[ "$(answers "$T/a" | wc -l)" = 24 ] || bad "answers: $(answers "$T/a" | wc -l)"
synth --recipe "$T/contrast.yaml" --amateur "$amateur" --out "$T/b" --threads 3 --in-flight 9 >/dev/null || bad "three threads"
cmp -s <(answers "$T/a") <(answers "$T/b") || bad "answers depend on threads or neighbours"
py 'm=json.load(open(sys.argv[1])); g=m["counts"]["generator"]; assert g["amateur"]=="amateur" and m["settings"]["amateur"], m' "$T/a/manifest.json" || bad "the manifest does not name the amateur"

# Stopped in the middle and gone on with, and killed.
synth --recipe "$T/contrast.yaml" --amateur "$amateur" --out "$T/c" --in-flight 2 --max-tokens 300 >/dev/null || bad "budget"
[ "$(answers "$T/c" | wc -l)" -lt 24 ] || bad "a budget of 300 tokens bought everything"
for _ in 1 2 3 4; do
    "$MIXLAW" synth --quiet --generator "$expert" --recipe "$T/contrast.yaml" --amateur "$amateur" --out "$T/c" --in-flight 2 "$T/pages.jsonl" >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 9 + 1))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
done
synth --recipe "$T/contrast.yaml" --amateur "$amateur" --out "$T/c" >/dev/null 2>"$T/err" || bad "after kills: $(cat "$T/err")"
cmp -s <(answers "$T/a") <(answers "$T/c") || bad "after kills: other answers"

# The amateur matters, is asked for, and is part of what was asked.
synth --recipe "$T/extend.yaml" --out "$T/d" >/dev/null || bad "extend"
cmp -s <(answers "$T/a" | cut -d, -f5-) <(answers "$T/d" | cut -d, -f5-) && bad "the amateur changes nothing"
synth --recipe "$T/contrast.yaml" --amateur "$expert" --out "$T/a" >/dev/null 2>"$T/err" || bad "another amateur: $(cat "$T/err")"
[ "$(answers "$T/a" | wc -l)" = 48 ] || bad "another amateur asks nothing anew"
synth --recipe contrast --out "$T/e" >/dev/null 2>"$T/err"
[ $? = 2 ] && grep -q "want --amateur" "$T/err" || bad "without amateur: $(cat "$T/err")"
synth --recipe contrast --amateur tests/golden/gguf/tiny.gguf --out "$T/e" >/dev/null 2>"$T/err"
[ $? = 2 ] && grep -q "vocabulary" "$T/err" || bad "other vocabulary: $(cat "$T/err")"
[ "$(wc -l <"$T/err")" = 1 ] || bad "more than a line: $(cat "$T/err")"

[ $n_bad = 0 ] && echo "ok"
exit $((n_bad > 0))
