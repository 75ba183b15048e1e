#!/bin/bash
# What needs a model's probabilities, with two small models of the golden tests: contrastive decoding and token editing from
# the command line. The same answers whatever the threads, the neighbours, and after kills.
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

# Token editing: nothing is surer than 1; below it the same text is edited alike, and the rest of the page stays.
docs() { "$MIXLAW" corpus cat "$1"/docs-*.jsonl.zst; }
"$MIXLAW" synth recipes toedit | sed 's/max_words: 1000, min_words: 50/max_words: 20, min_words: 7/; s/min_words: 30/min_words: 2/; s/above: 0.99/above: 0.2/' >"$T/edit.yaml"
sed 's/above: 0.2/above: 1/' "$T/edit.yaml" >"$T/none.yaml"
sed 's/^edit:.*/transform: copy/; /^sampling:/d; s/^name: toedit/name: copy/; /^limits:/d; /^weak:/d' "$T/none.yaml" >"$T/copy.yaml"
synth --recipe "$T/none.yaml" --out "$T/n" >"$T/n.json" 2>"$T/err" || bad "edit of nothing: $(cat "$T/err")"
"$MIXLAW" synth --quiet --recipe "$T/copy.yaml" --out "$T/cp" "$T/pages.jsonl" >/dev/null || bad "copy"
texts() { docs "$1" | py 'print(*(json.dumps(json.loads(l)["text"]) for l in sys.stdin), sep="\n")'; }
cmp -s <(texts "$T/n") <(texts "$T/cp") || bad "above 1 the text is another one"
[ "$(texts "$T/n" | wc -l)" = 24 ] || bad "not every page is kept: $(cat "$T/n.json")"
py 'e=json.load(open(sys.argv[1]))["edited"]; assert e["redrawn"]==e["changed"]==0 and e["tokens"]>1000, e' "$T/n.json" || bad "counts of nothing"
synth --recipe "$T/edit.yaml" --out "$T/x" --threads 1 --in-flight 1 >"$T/x.json" 2>"$T/err" || bad "edit: $(cat "$T/err")"
synth --recipe "$T/edit.yaml" --out "$T/y" --threads 3 >"$T/y.json" || bad "edit, three threads"
cmp -s <(docs "$T/x") <(docs "$T/y") || bad "edits depend on threads or neighbours"
cmp -s <(texts "$T/x") <(texts "$T/n") && bad "nothing is edited"
py 'e=json.load(open(sys.argv[1]))["edited"]; assert 0 < e["changed"] <= e["redrawn"] < e["tokens"] and abs(e["share_changed"]*e["tokens"]-e["changed"]) < 1e-6, e' "$T/x.json" || bad "counts"
docs "$T/x" | py '
rows = [json.loads(l)["meta"] for l in sys.stdin]
assert all(m["provenance"] == "edited" and m["tokens"] > m["tokens_changed"] for m in rows), rows[0]
assert sum(m["tokens_changed"] for m in rows) == json.load(open(sys.argv[1]))["edited"]["changed"]' "$T/x.json" || bad "documents' counts"
synth --recipe "$T/edit.yaml" --out "$T/z" --in-flight 2 --max-tokens 600 >/dev/null || bad "edit, budget"
[ "$(answers "$T/z" | wc -l)" -lt 24 ] || bad "a budget of 600 tokens edits everything"
synth --recipe "$T/edit.yaml" --out "$T/z" >/dev/null || bad "edit, gone on with"
cmp -s <(docs "$T/x") <(docs "$T/z") || bad "gone on with: other edits"
"$MIXLAW" synth pilot --quiet --json --docs 8 --recipe "$T/edit.yaml" --generator "$expert" --out "$T/p" "$T/pages.jsonl" >"$T/p.json" || bad "pilot of edits"

[ $n_bad = 0 ] && echo "ok"
exit $((n_bad > 0))
