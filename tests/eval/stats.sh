#!/bin/bash
# The command `stats` as people use it: keys of the manual, mixtures, token tables, refusals.
set -euo pipefail
: "${MIXLAW:?}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
refuses() { # exit code, text, command...
    local want=$1 text=$2 rc=0
    shift 2
    "$@" >/dev/null 2>"$dir/said" || rc=$?
    { [[ $rc == "$want" ]] && grep -qF -- "$text" "$dir/said"; } || fail "exit $rc of '$*': $(cat "$dir/said")"
}
run() { "$MIXLAW" "$@" --quiet >/dev/null; }

for i in {1..40}; do echo "{\"id\":\"n$i\",\"text\":\"the quick brown fox jumps over the lazy dog number $i\"}"; done >"$dir/natural.jsonl"
for i in {1..40}; do echo "{\"id\":\"q$i\",\"text\":\"Question $i? Answer: the dog is lazy.\"}"; done >"$dir/qa.jsonl"
for i in {1..9}; do echo "{\"id\":\"d$i\",\"text\":\"zebra zebra $i? the fox.\"}"; done >"$dir/books.jsonl"
run tokenize train --vocab-size 300 --out "$dir/tok.json" "$dir/natural.jsonl" "$dir/qa.jsonl"
for name in natural qa books; do
    run tokenize encode --tokenizer "$dir/tok.json" --out "$dir/$name" "$dir/$name.jsonl"
done

rows=$("$MIXLAW" stats "$dir/natural" "$dir/qa" --domains "$dir/books" --shares 0.5 --tokenizer "$dir/tok.json")
[[ $(wc -l <<<"$rows") == 6 ]] || fail "3 sources and mixtures on one domain: $rows"
for key in source domain share kl kl_small_eps kl_reverse js cross_entropy coverage coverage_types blind_spots \
    bins lacking excess; do
    grep -q "\"$key\":" <<<"$rows" || fail "no $key in ${rows:0:400}"
done
grep -q '"source":"qa@0.5","share":0.5,"domain":"mean"' <<<"$rows" || fail "no mixture"
grep -q '"lacking":\[{"id":[0-9]*,"token":"\(z\|br\|ebr\|ze\|b\|e\|a\)' <<<"$rows" || fail "what natural lacks: ${rows:0:900}"
# The same domain from documents: the same numbers.
docs=$("$MIXLAW" stats "$dir/natural" "$dir/qa" --domains "$dir/books.jsonl" --shares 0.5 --tokenizer "$dir/tok.json")
[[ "$docs" == "$rows" ]] || fail "documents and token files differ"
# A source against itself: nothing is missing.
self=$("$MIXLAW" stats "$dir/natural" --domains "$dir/natural" --eps 1e-9)
grep -q '"coverage":{"1":1.0,\|"coverage":{"1":0.99999\|"coverage":{"1":1.00000' <<<"$self" || fail "$self"
grep -q '"blind_spots":{"n":0,"mass":0.0,"loss":null' <<<"$self" || fail "blind against itself: $self"

refuses 2 "at least one source" "$MIXLAW" stats --domains "$dir/books"
refuses 2 "--domains is missing" "$MIXLAW" stats "$dir/natural"
refuses 2 "documents want --tokenizer" "$MIXLAW" stats "$dir/natural" --domains "$dir/books.jsonl"
refuses 2 "want numbers between 0 and 1" "$MIXLAW" stats "$dir/natural" "$dir/qa" --domains "$dir/books" --shares 1.3
refuses 2 "natural and one more source" "$MIXLAW" stats "$dir/natural" --domains "$dir/books" --shares 0.3
refuses 2 "two sources are called 'natural'" "$MIXLAW" stats "$dir/natural" "$dir/natural.bin" --domains "$dir/books"
refuses 1 "nowhere" "$MIXLAW" stats "$dir/nowhere" --domains "$dir/books"
run tokenize train --vocab-size 290 --out "$dir/tok2.json" "$dir/books.jsonl"
run tokenize encode --tokenizer "$dir/tok2.json" --out "$dir/other" "$dir/books.jsonl"
refuses 2 "vocabulary" "$MIXLAW" stats "$dir/natural" --domains "$dir/other"
cp "$dir/books.bin" "$dir/huge.bin" && cp "$dir/books.idx" "$dir/huge.idx"
sed 's/"vocab_size": *[0-9]*/"vocab_size": 2000000000/' "$dir/books.json" >"$dir/huge.json"
refuses 1 "vocabulary of 2000000000" "$MIXLAW" stats "$dir/huge" --domains "$dir/huge"
