#!/bin/bash
# --kv, what the generator's cache holds: the same word wherever text is generated or scored by it
set -eu
tiny=tests/golden/gguf/tiny.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { echo "$1"; exit 1; }
sample() {
    "$MIXLAW" model sample $tiny --quiet --json --raw --prompt "The sea and the sand" --max-tokens 40 --n 3 "$@" |
        grep -o '"text":"[^"]*"'
}
bpb() { "$MIXLAW" eval --quiet --json --model $tiny --domains "$dir/text.txt" "$@" | grep -o '"bpb":[^,]*' | head -1 | cut -d: -f2; }

[ "$(sample)" = "$(sample --kv f16)" ] || fail "f16 is not the default"
q8=$(sample --kv q8)
[ -n "$q8" ] || fail "no text with q8"
[ "$q8" = "$(sample --kv q8 --threads 1)" ] || fail "other text with one thread"
[ "$(echo "$q8" | head -1)" = "$(sample --kv q8 --n 1)" ] || fail "other text alone"
echo "The sea" | "$MIXLAW" model chat $tiny --quiet --json --kv q8 --max-tokens 4 | grep -q '"text"' || fail "no chat with q8"

for i in $(seq 40); do echo "The sea and the sand and boats, number $i."; done >"$dir/text.txt"
f16=$(bpb) q8=$(bpb --kv q8)
awk -v a="$f16" -v b="$q8" 'BEGIN { d = b / a - 1; exit !(a > 0 && d != 0 && d < 0.01 && d > -0.01) }' ||
    fail "bits per byte $f16 with halves, $q8 with bytes"

for command in "model sample $tiny --prompt a" "model chat $tiny" "eval --model $tiny --domains $dir/text.txt" \
    "synth --recipe hq --generator $tiny --out $dir/s $dir/text.txt" "synth pilot --recipe hq --generator $tiny --out $dir/s $dir/text.txt"; do
    status=0
    "$MIXLAW" $command --kv q4 </dev/null >"$dir/out" 2>&1 || status=$?
    [ $status = 2 ] && grep -q "q8" "$dir/out" || fail "'$command --kv q4' ends with $status: $(cat "$dir/out")"
done
