#!/bin/bash
# What somebody new meets: every command's help, wrong words, files that are not there, empty or cut.
set -uo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export MIXLAW_CACHE=$dir/cache
status=0
fail() { echo "FAILED: $*"; status=1; }
refuses() { # exit codes, text of the message, arguments
    local want=$1 text=$2 said got
    shift 2
    said=$("$MIXLAW" "$@" 2>&1 >"$dir/out" </dev/null); got=$?
    [[ $got =~ ^($want)$ && $said == *"$text"* ]] || fail "mixlaw $*: exit $got (want $want, '$text'): $said"
    [[ ! -s $dir/out ]] || fail "mixlaw $*: results beside a failure: $(head -c 200 "$dir/out")"
}

help=$("$MIXLAW" --help) || fail "--help"
mapfile -t names < <(sed -n '/^commands:/,/^$/s/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p' <<<"$help")
((${#names[@]} > 30)) || fail "${#names[@]} commands in: $help"
for name in "${names[@]}"; do
    # shellcheck disable=SC2086 # two words are two arguments
    "$MIXLAW" $name --help | grep -q "^usage: mixlaw $name" || fail "$name --help"
    # shellcheck disable=SC2086
    refuses 2 "unknown option '--nonsense'" $name --nonsense
done
for group in study tokenize model; do
    "$MIXLAW" $group --help | grep -q "^  mixlaw $group " || fail "$group --help"
    refuses 2 "mixlaw $group " $group
    refuses 2 "not 'nonsense'" $group nonsense
done
refuses 2 "unknown command 'nonsense'" nonsense
refuses 2 "wants --lr" train --params 1M --mup 64 --data "a=$dir/a@1" --tokens 1k --out "$dir/run"
refuses 2 "muon" train --params 1M --mup 64 --lr 1e-3 --optimizer muon --data "a=$dir/a@1" --tokens 1k --out "$dir/run"
refuses 2 "take one" train --profile --dry-run --params 1M --vocab-size 512

# A file that is not there is named, whatever reads it.
none=$dir/none
for i in {1..40}; do echo -n "The mill at the river had $i wheels, and each of them turned a stone that ground corn. "; done >"$dir/text.txt"
"$MIXLAW" tokenize train --quiet --vocab-size 270 --out "$dir/tok.json" "$dir/text.txt" >/dev/null || fail "a tokenizer"
while read -r line; do
    # shellcheck disable=SC2086
    refuses '1|2' "$none" $line
done <<END
study plan $none.yaml
study run $none.yaml
study status $none.yaml
study export $none.yaml
report $none
fit $none.csv
advise $none.csv
corpus --out $dir/c $none.jsonl
corpus cat $none.jsonl
tokenize train --vocab-size 300 --out $dir/t.json $none.jsonl
tokenize encode --tokenizer $none.json --out $dir/e $dir/text.txt
tokenize encode --tokenizer $dir/tok.json --out $dir/e $none.txt
tokenize inspect $none
tokenize verify $none
tokenize cat $none
tokenize convert --to llmc --out $dir/e $none
train --params 50k --data natural=$none@1 --tokens 10k --out $dir/r
eval --model $none --domains $dir/text.txt
stats $none --domains $none
model inspect $none
model sample $none --prompt a
model chat $none
model convert $none --to hf $dir/m
synth --recipe $none.yaml --generator $none.gguf --out $dir/s $dir/text.txt
synth --recipe hq --generator $none.gguf --out $dir/s $dir/text.txt
synth pilot --recipe hq --generator $none.gguf --out $dir/s $dir/text.txt
synth --recipe copy --out $dir/s $none.txt
END

# The folder of a study that has nothing yet, and one whose files are cut.
mkdir "$dir/study"
"$MIXLAW" report --json "$dir/study" >"$dir/row" || fail "report of an empty folder"
grep -q '"runs":0' "$dir/row" || fail "$(cat "$dir/row")"
refuses 1 "runs.csv" advise "$dir/study"
refuses 1 "runs.csv" fit "$dir/study"
cat >"$dir/s.yaml" <<END
study: s
natural: {paths: [text.txt]}
domains: {paths: [text.txt]}
kinds: {hq: {}}
generator: {local: none.gguf}
time_budget: 2m
END
echo '{"study": "s", "settings": {' >"$dir/study/plan.json"
refuses 1 "plan.json" study status --out "$dir/study" "$dir/s.yaml"
refuses 1 "plan.json" study run --out "$dir/study" "$dir/s.yaml"
"$MIXLAW" study status --json --out "$dir/nowhere" "$dir/s.yaml" | grep -q '"stage":"not begun"' || fail "status of nothing"
cp "$dir/text.txt" "$dir/held-out.txt"
sed 's/domains: .*/domains: {paths: [held-out.txt]}/; s/\[text.txt\]/[text.txt], hold_out: 0.1/' "$dir/s.yaml" >"$dir/h.yaml"
refuses 2 "has the name of the natural text that hold_out" study plan --out "$dir/h" "$dir/h.yaml"
echo '{"study": "s", "version": 1}' >"$dir/study/plan.json"
refuses 2 "planned by another version of mixlaw (1, this is" study run --out "$dir/study" "$dir/s.yaml"
echo '{"study": "s", "version": 2}' >"$dir/study/plan.json"
refuses 2 "was changed since the plan" study run --out "$dir/study" "$dir/s.yaml"
printf 'kind,frac_synth,n_param,n_tok,seed,loss\nnatural,0,1M,2M,1,4\n' >"$dir/units.csv"
refuses 1 "'1M' is not a number" advise "$dir/units.csv"
refuses 2 "not a whole number" advise --params 1.5 "$dir/units.csv"
exit $status
