#!/bin/bash
# label: slow
# The whole loop on a small corpus and a fake server: a table whose numbers stand in the run folders, the
# same bytes with one and two threads, after kill -9 at any stage, and for nothing when run again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$dir"' EXIT

python3 "$here/make_corpus.py" "$dir"
python3 "$here/fake_server.py" "$dir/port" "$dir/requests" 5 &
server=$!
for _ in $(seq 600); do [[ -s $dir/port ]] && break; sleep 0.1; done

cat >"$dir/study.yaml" <<END
study: loop
natural: {paths: [natural.jsonl], hold_out: 0.06}
domains: {paths: [domains], bytes: 8k}
kinds: {hq: {}}
generator: {server: "http://127.0.0.1:$(cat "$dir/port")/v1", model: fake, docs: 60, price_in: 2, price_out: 8}
tokenizer: {train: {vocab_size: 512}}
shares: [0, 0.2, 0.4]
models: [50k, 100k]
budgets: [8k, 16k, 32k]
seeds: 2
training: {seq_len: 64, batch_tokens: 512}
END

study() { # folder, threads
    "$MIXLAW" study run --quiet --json --threads "$2" --out "$dir/$1" "$dir/study.yaml"
}
table() { # the table without its timing columns
    python3 - "$dir/$1/runs.csv" <<'END'
import csv, sys
for row in csv.DictReader(open(sys.argv[1])):
    print({k: v for k, v in row.items() if k not in ("wall_s", "tok_per_s")})
END
}
fail() { echo "loop: $*"; exit 1; }

advice=$(study one 1)
grep -q '"verdict":"insufficient"' <<<"$advice" || fail "32k tokens cannot be sufficient: $advice"
[[ -s $dir/one/report.html ]] || fail "no report"
n=$(tail -n +2 "$dir/one/runs.csv" | wc -l)
((n == 2 * 3 * (3 + 6))) || fail "$n runs, want 54"

# Every number of the table stands in a run folder.
python3 - "$dir/one" <<'END'
import csv, glob, json, sys
found = {}
for path in glob.glob(sys.argv[1] + "/runs/*/*/result.json"):
    r = json.load(open(path))
    found[r["run_id"]] = r
rows = list(csv.DictReader(open(sys.argv[1] + "/runs.csv")))
for row in rows:
    r = found[row["run_id"]]
    assert float(row["loss"]) == r["loss"], (row["run_id"], row["loss"], r["loss"])
    domains = {d["domain"]: d for d in r["domains"]} if isinstance(r["domains"], list) else r["domains"]
    losses = [float(row["loss_" + d]) for d in domains]
    assert abs(sum(losses) / len(losses) - r["loss"]) < 1e-12, row["run_id"]
assert len(found) == len(rows), (len(found), len(rows))
END

# What the plan expected to be asked and paid is what was.
requests=$(wc -l <"$dir/requests")
"$MIXLAW" study plan --quiet --json --out "$dir/one" "$dir/study.yaml" >"$dir/plan"
python3 - "$dir/plan" "$dir/one/kinds/hq/manifest.json" <<'END' || fail "the plan's price or requests: $(cat "$dir/plan")"
import json, sys
plan, row = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))["counts"]["row"]
assert row["cost"] > 0
assert abs(plan["price"] / row["cost"] - 1) < 0.2, (plan["price"], row["cost"])
assert abs(plan["requests"] / row["requests"] - 1) < 0.2, (plan["requests"], row["requests"])
END
table one >"$dir/one.txt"
study one 2 >/dev/null
cmp <(table one) "$dir/one.txt" || fail "running again changed the table"
(($(wc -l <"$dir/requests") == requests)) || fail "running again asked the server again"

study two 2 >/dev/null
cmp <(table two) "$dir/one.txt" || fail "one and two threads give different tables"

# kill -9 at ten moments over the whole run, then the same command.
took=$SECONDS
study clock 2 >/dev/null
took=$((SECONDS - took + 1))
before=$(wc -l <"$dir/requests")
for i in $(seq 10); do
    (exec "$MIXLAW" study run --quiet --threads 2 --out "$dir/killed" "$dir/study.yaml" >/dev/null 2>&1) &
    pid=$!
    sleep "$(python3 -c "import random; print($took / 4 * random.Random($i).random())")"
    kill -9 "$pid" 2>/dev/null || continue # it was done already
    wait "$pid" 2>/dev/null || continue
done
study killed 2 >/dev/null
cmp <(table killed) "$dir/one.txt" || fail "kill -9 changed the table"
asked=$(($(wc -l <"$dir/requests") - before))
((asked <= requests + 10 * 16)) || fail "$asked requests after ten kills, $requests without"

# No more pages are planned than there are.
sed 's/docs: 60/docs: 99999/' "$dir/study.yaml" >"$dir/many.yaml"
"$MIXLAW" study plan --quiet --json --out "$dir/many" "$dir/many.yaml" >"$dir/plan"
asked=$(sed 's/.*"requests":\([0-9]*\).*/\1/' "$dir/plan")
((asked > 60 && asked <= $(wc -l <"$dir/natural.jsonl"))) || fail "$asked requests are planned: $(cat "$dir/plan")"

# Too small for any law: advice and page all the same.
sed -e 's/^models: .*/models: [50k]/; s/^budgets: .*/budgets: [8k, 16k]/; s/^seeds: .*/seeds: 1/' \
    -e 's/, hold_out: 0.06//; $a controls: {aa: false, shuffle: false, copy: false}' "$dir/study.yaml" >"$dir/small.yaml"
advice=$("$MIXLAW" study run --quiet --json --out "$dir/small" "$dir/small.yaml" 2>"$dir/message") || fail "$(cat "$dir/message")"
grep -q '"verdict":"insufficient"' <<<"$advice" || fail "a small study: $advice"
grep -q "no law is fitted" "$dir/message" || fail "message was: $(cat "$dir/message")"
[[ $(cat "$dir/small/fits.json") == "[]" && -s $dir/small/report.html ]] || fail "a small study has no page"

# Two commands on one folder; a changed study file.
(exec "$MIXLAW" study run --quiet --out "$dir/one" "$dir/study.yaml" >/dev/null 2>&1) &
pid=$!
until [[ $(cat "$dir/one/.lock") == "$pid" ]] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done # it has read it
sed -i 's/seeds: 2/seeds: 3/' "$dir/study.yaml"
wait "$pid" || fail "an unchanged study failed"
study one 1 2>"$dir/message" && fail "a changed study file was accepted"
grep -q 'was changed since the plan' "$dir/message" || fail "message was: $(cat "$dir/message")"
echo "loop: all well"
