#!/bin/bash
# train and eval from text to results: the last lines' keys, kill -9 and the same command again, eval on
# texts and on token files, exit codes and messages of wrong use.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "train: $*"; exit 1; }

page() { # number, words
    printf '{"id":"%s-%d","text":"Page %d. ' "$2" "$1" "$1"
    for ((k = 0; k < 40; k++)); do printf '%s %d is %d. ' "$2" "$k" $((($1 * 7919 + k * 104729) % 997)); done
    printf '"}\n'
}
for ((i = 0; i < 60; i++)); do page "$i" river; done >natural.jsonl
for ((i = 0; i < 60; i++)); do page "$i" answer; done >qa.jsonl
for ((i = 100; i < 110; i++)); do page "$i" river; done >rivers.jsonl
for ((i = 100; i < 110; i++)); do page "$i" number; done >numbers.jsonl

"$MIXLAW" tokenize train --quiet --vocab-size 400 --out tok.json natural.jsonl >/dev/null
for name in natural qa rivers numbers; do
    "$MIXLAW" tokenize encode --quiet --tokenizer tok.json --out "t/$name" "$name.jsonl" >/dev/null
done

args=(train --quiet --json --params 30k --seq-len 32 --batch-tokens 128 --lr 0.01 --seed 3 --schedule wsd
    --tokens 5k 10k 20k --data qa=t/qa@0.25 natural=t/natural@0.75:9k --eval rivers=t/rivers
    numbers=t/numbers --eval-bytes 2k --tokenizer tok.json --run-id r)
train() { "$MIXLAW" "${args[@]}" --out "$@"; } # folder, more

lines=$(train a --threads 2)
[[ $(wc -l <<<"$lines") == 3 ]] || fail "want a line a budget: $lines"
for key in n_param n_param_nonemb n_tok loss_train wall_s tok_per_s mfu diverged; do
    [[ $(tail -n1 <<<"$lines") == *"\"$key\":"* ]] || fail "no $key in the last line: $lines"
done
[[ $(tail -n1 <<<"$lines") =~ \"mfu\":[0-9] ]] || fail "the share of the peak is unknown: $lines"
version=$("$MIXLAW" --version --threads 2)
[[ $(head -n1 <<<"$version") =~ ^mixlaw\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "--version: $version"
[[ $(tail -n1 <<<"$version") =~ ^cpu/.*2\ threads,\ peak\ fp32\ [0-9]+\ GFLOP/s ]] || fail "--version: $version"
[[ $(train a) == "$lines" ]] || fail "the second time must only repeat the results"
grep -q '"share": 0.25' a/20000/run.json || fail "the shares are swapped"

# Killed again and again, then once more in peace: the same results, timing aside.
for delay in 0.05 0.1 0.15 0.2 0.3; do
    "$MIXLAW" "${args[@]}" --out b --checkpoint-every 0 >/dev/null 2>&1 & # $! must be the program itself
    sleep "$delay"
    kill -9 $! 2>/dev/null || true
    wait $! 2>/dev/null || true
done
train b --threads 1 >/dev/null
for tokens in 5000 10000 20000; do
    diff <(sed '/"timing"/,$d' "a/$tokens/result.json") <(sed '/"timing"/,$d' "b/$tokens/result.json") ||
        fail "$tokens tokens differ after killing"
    cmp "a/$tokens/checkpoint/model.safetensors" "b/$tokens/checkpoint/model.safetensors" || fail "weights differ"
done

# eval agrees with what train wrote, on texts and on token files.
eval_json() { "$MIXLAW" eval --quiet --json --seq-len 32 --max-bytes 2k --model a/20000 --domains "$@"; }
from_text=$(eval_json rivers.jsonl numbers=numbers.jsonl)
[[ $from_text == "$(eval_json rivers=t/rivers numbers=t/numbers)" ]] || fail "texts and token files: $from_text"
loss=$(grep -m1 -o '"loss": [0-9.]*' a/20000/result.json)
grep -q "\"domain\":\"mean\",${loss/: /:}," <<<"$from_text" || fail "eval: $from_text, train: $loss"

wrong() { # exit code, words, command...
    local want=$1 words=$2 code=0 said
    shift 2
    said=$("$MIXLAW" "$@" 2>&1) || code=$?
    [[ $code == "$want" && $said == *"$words"* ]] || fail "$*: exit $code, want $want with '$words': $said"
}
wrong 2 "--out is missing" train --params 30k --tokens 5k --data natural=t/natural@1
wrong 2 "other settings" train --params 30k --tokens 5k --data natural=t/natural@1 --out a/5000
wrong 2 "outside 1e-12..10" train --params 30k --tokens 5k --data natural=t/natural@1 --lr 99 --out c
wrong 1 "t/none" train --params 30k --tokens 5k --data natural=t/none@1 --out c
wrong 1 "rivers" eval --model a/20000 --domains /nowhere/rivers
wrong 2 "want a finished run" eval --model t --domains rivers.jsonl
wrong 2 "two domains are called 'rivers'" eval --model a/20000 --domains rivers.jsonl t/rivers
[[ ! -e c ]] || fail "a refused run left a folder"

# What was left open is frozen in the folder: another program's choice makes no run stale.
free=(train --quiet --json --params 30k --seq-len 32 --tokens 5k --data natural=t/natural@1 --eval rivers=t/rivers
    --tokenizer tok.json)
"$MIXLAW" "${free[@]}" --out d >/dev/null
sed -i '/"settings"/,$ s/"lr": [0-9.e-]*/"lr": 0.00125/' d/run.json
rm -r d/result.json d/metrics.jsonl
"$MIXLAW" "${free[@]}" --out d >/dev/null || fail "a run that was begun otherwise is refused"
grep -q '"lr": 0.00125' d/result.json || fail "the folder's learning rate is not obeyed"
wrong 2 "lr is absent there and 0.01" "${free[@]}" --lr 0.01 --out d

wrong 2 "optimizer is absent there and \"muon\"" "${free[@]}" --optimizer muon --out d

# Weights to begin with are known by what they are, not by where they lie.
from=(train --quiet --json --seq-len 32 --tokens 5k --data natural=t/natural@1 --eval rivers=t/rivers --tokenizer tok.json)
cp -r a/5000/checkpoint first
begun=$("$MIXLAW" "${from[@]}" --init first --out e)
mv first moved
[[ $("$MIXLAW" "${from[@]}" --init moved --out e) == "$begun" ]] || fail "a moved model makes a run stale"
cp -r a/20000/checkpoint first
wrong 2 "other settings" "${from[@]}" --init first --out e

# One budget is RUN itself, several are RUN/TOKENS; never both.
wrong 2 "is the run of one budget" "${free[@]}" --schedule wsd --tokens 10k --out d
wrong 2 "holds runs of its own" "${free[@]}" --out a

"$MIXLAW" train --dry-run --params 30k --tokens 5k --seq-len 32 --data natural=t/natural@1 --quiet |
    grep -q '"n_step":157,' || fail "dry run"
"$MIXLAW" train --pilot --params 30k --vocab-size 400 --seq-len 32 --batch-tokens 128 --threads 1 |
    grep -q '"tok_per_s":[0-9]' || fail "pilot"

# Where the time goes: the parts are the whole, and no product is faster than the processor.
"$MIXLAW" train --profile --params 100k --vocab-size 400 --seq-len 64 --batch-tokens 512 --threads 2 >profile.json || fail "profile"
python3 - profile.json <<'EOF' || fail "the parts of a profile"
import json, sys
part = {r["part"]: r for r in map(json.loads, open(sys.argv[1])) if "part" in r}
whole = part.pop("all")["s"]
assert {"products", "loss", "attention", "element-wise", "optimizer", "rest", "waiting"} <= part.keys(), part
assert all(r["s"] >= -1e-6 * whole for r in part.values()) and part["waiting"]["s"] < whole, part
for name in ("products", "loss", "attention"):
    assert 0 < part[name]["share_of_peak"] <= 1, part[name]
assert part["waiting"]["share_of_peak"] is None, part
assert abs(sum(r["s"] for r in part.values()) - whole) < 1e-6 * whole and part["products"]["gflop_per_s"] > 0, part
EOF
echo "train: all as it should be"
