#!/bin/bash
# `fit`, `fit laws` and `advise` as people call them: keys of the contract, exit codes, messages.
set -uo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
status=0
fail() { echo "FAILED: $*"; status=1; }

has_keys() { # JSON line, keys in any order
    local line=$1 key
    shift
    for key in "$@"; do grep -q "\"$key\":" <<<"$line" || fail "no key '$key' in ${line:0:200}"; done
}
refuses() { # exit code, text of the message, command
    local want=$1 text=$2 said got
    shift 2
    said=$("$@" 2>&1 >/dev/null); got=$?
    [[ $got == "$want" && $said == *"$text"* ]] || fail "$*: exit $got (want $want): $said"
}

table=tests/golden/law_planted.csv
fit=$("$MIXLAW" fit --law joint --where 'law == joint' --hold-out 'D == max' --bootstrap 50 "$table") || fail "fit"
has_keys "$fit" law params value lo hi objective n_rows n_starts_agree mrae rmse_log hold_out bias n identifiability warnings
[[ $(wc -l <<<"$fit") == 1 ]] || fail "one law gives one line"
again=$("$MIXLAW" fit --law joint --where 'law == joint' --hold-out 'D == max' --bootstrap 50 --threads 2 "$table")
[[ $fit == "$again" ]] || fail "the same call gives other bytes"
[[ $("$MIXLAW" fit --law joint,joint_tied --where 'law == joint' --bootstrap 0 "$table" | wc -l) == 2 ]] || fail "two laws give two lines"
[[ $("$MIXLAW" fit laws | wc -l) == 5 ]] || fail "fit laws"
"$MIXLAW" fit --law joint --objective mse --where 'law == joint' --bootstrap 0 - <"$table" | grep -q '"objective":0.0' || fail "mse from standard input"
gzip -c "$table" >"$dir/t.csv.gz"
"$MIXLAW" fit --law data --where 'law==data' --bootstrap 0 "$dir/t.csv.gz" | grep -q '"n_rows":15' || fail "a packed table"

refuses 2 "unknown law 'none'" "$MIXLAW" fit --law none "$table"
refuses 2 "has no column 'tokens'; it has: law N D loss" "$MIXLAW" fit --map D=tokens "$table"
refuses 2 "want N=COL" "$MIXLAW" fit --map N "$table"
refuses 2 "mixture laws are not built yet" "$MIXLAW" fit --map w_hq=x "$table"
refuses 2 "want one table" "$MIXLAW" fit
refuses 2 "at character" "$MIXLAW" fit --where 'N >' "$table"
refuses 1 "cannot open" "$MIXLAW" fit "$dir/none.csv"
: >"$dir/empty.csv"
refuses 1 "is empty" "$MIXLAW" fit "$dir/empty.csv"
refuses 1 "is empty" "$MIXLAW" advise "$dir/empty.csv"
refuses 2 "no column 'kind'" "$MIXLAW" advise "$table"
refuses 2 "unsupported: " "$MIXLAW" advise "$dir/fits.json"

mkdir "$dir/study"
{
    echo run_id,arm,kind,frac_synth,n_param,n_tok,seed,batch_tokens,loss,diverged
    for seed in 1 2; do for n in 400000 1200000; do for d in 500000 1000000 2000000; do for share in 0 0.33 1; do
        awk -v s=$seed -v n=$n -v d=$d -v f=$share 'BEGIN {
            kind = f > 0 ? "hq" : "natural"; arm = f > 0 ? "hq@" f : kind
            wiggle = ((s * 7 + f * 100 + d / 500000) % 5 - 2) * .002
            printf "%s-%d-%d-%d,%s,%s,%g,%d,%d,%d,512,%.5f,0\n", arm, n, d, s, arm, kind, f, n, d, s,
                2 + 200 / n ^ .4 + 600 / d ^ .4 + (f == 0.33 ? -.1 : f * .2) + .01 * s + wiggle }'
    done; done; done; done
} >"$dir/study/runs.csv"
advice=$("$MIXLAW" advise "$dir/study") || fail "advise"
has_keys "$advice" kind share share_lo share_hi equal_set loss loss_lo loss_hi tokens_saved breakeven_tokens verdict runs_needed \
    reasons controls choices smallest_effect
grep -q '"verdict":"use hq at 0.33"' <<<"$advice" || fail "advice: ${advice:0:300}"
grep -q '"share_lo":null,"share_hi":null' <<<"$advice" || fail "an interval from three shares: ${advice:0:300}"
refuses 2 "away from the measured points" "$MIXLAW" advise --params 7B "$dir/study"
fits=$("$MIXLAW" fit --bootstrap 20 "$dir/study") || fail "fit of a study"
[[ $(wc -l <<<"$fits") == 9 ]] || fail "3 mixtures and 3 laws give $(wc -l <<<"$fits") lines"
has_keys "$fits" kind share
# A full disk behind stdout: said, not swallowed.
if [[ -e /dev/full ]]; then
    rc=0
    "$MIXLAW" advise --json "$dir/study" >/dev/full 2>"$dir/said" || rc=$?
    { [[ $rc == 1 ]] && grep -q "No space left" "$dir/said"; } || fail "exit $rc: $(cat "$dir/said")"
fi
exit $status
