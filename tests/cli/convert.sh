#!/bin/bash
# model convert and inspect: a GGUF file to a folder and back says the same text; what cannot be done is named, exit 2 or 1.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
tiny=tests/golden/gguf/tiny.gguf
fail() {
    echo "FAILED: $*"
    exit 1
}
text() {
    "$MIXLAW" model sample "$1" --quiet --json --raw --prompt "The sea" --max-tokens 24 --temperature 0 | grep -o '"text":"[^"]*"'
}
convert() {
    "$MIXLAW" model convert --quiet --json "$@" >"$out/row" 2>"$out/err"
}

convert $tiny --to hf "$out/hf" || fail "to hf: $(cat "$out/err")"
grep -q '"format":"hf"' "$out/row" || fail "the row says $(cat "$out/row")"
convert "$out/hf" --to gguf-f32 "$out/back.gguf" || fail "back: $(cat "$out/err")"
convert "$out/hf" --to hf-bf16 "$out/bf16" || fail "bf16: $(cat "$out/err")"
convert $tiny --to gguf-q8_0 "$out/q8.gguf" || fail "q8_0: $(cat "$out/err")"
convert $tiny --to llmc "$out/llmc.bin" || fail "llmc: $(cat "$out/err")"
want=$(text $tiny)
for model in "$out/hf" "$out/back.gguf"; do
    [ "$(text "$model")" = "$want" ] || fail "$model says $(text "$model"), want $want"
done
"$MIXLAW" model inspect "$out/q8.gguf" --json | grep -q '"types":{"Q8_0":15,"F32":5}' ||
    fail "q8_0 holds $("$MIXLAW" model inspect "$out/q8.gguf" --json)"
"$MIXLAW" model inspect "$out/bf16" --json | grep -q '"types":{"BF16":20}' || fail "bf16: $("$MIXLAW" model inspect "$out/bf16" --json)"

# A tokenizer that normalizes keeps doing so on the way to GGUF and back; nothing is counted in its bytes.
cp -r "$out/hf" "$out/nfc"
sed -i 's/"normalizer": *null/"normalizer": {"type": "NFC"}/' "$out/nfc/tokenizer.json"
convert "$out/nfc" --to gguf-f32 "$out/nfc.gguf" || fail "nfc: $(cat "$out/err")"
grep -q "NFC, which llama.cpp does not" "$out/err" || fail "nothing said about NFC: $(cat "$out/err")"
convert "$out/nfc.gguf" --to hf "$out/nfc-back" || fail "nfc back: $(cat "$out/err")"
cmp <(tr -d ' \n' <"$out/nfc/tokenizer.json") <(tr -d ' \n' <"$out/nfc-back/tokenizer.json") || fail "nfc: another tokenizer came back"
printf '{"id":"1","text":"The sea"}\n' >"$out/docs.jsonl"
for tokenizer in "$out/nfc/tokenizer.json" "$out/nfc.gguf"; do
    status=0
    "$MIXLAW" tokenize encode --quiet --tokenizer "$tokenizer" --out "$out/tokens" "$out/docs.jsonl" 2>"$out/err" || status=$?
    [ $status != 0 ] && grep -q "text to NFC first" "$out/err" || fail "$tokenizer: exit $status, $(cat "$out/err")"
done
"$MIXLAW" tokenize encode --quiet --tokenizer "$out/hf/tokenizer.json" --out "$out/tokens" "$out/docs.jsonl" >/dev/null ||
    fail "without NFC: exit $?"

status=0
convert $tiny --to gguf-q9 "$out/x" || status=$?
[ $status = 2 ] || fail "an unknown format: exit $status"
status=0
convert $tiny --to hf "$out/hf" || status=$?
[ $status = 2 ] && grep -q "holds a model" "$out/err" || fail "over another model: exit $status, $(cat "$out/err")"
status=0
convert tests/golden/model/qwen2 --to gguf-f16 "$out/x" || status=$?
[ $status != 0 ] && grep -q -- "--tokenizer" "$out/err" || fail "without a tokenizer: exit $status, $(cat "$out/err")"
[ ! -e "$out/x" ] || fail "half a file stayed"
echo "conversions say the same"
