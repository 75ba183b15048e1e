#!/bin/bash
# label: slow
# A ready-made set as a kind: alone through synth, and in a study beside a kind that is made, with its price.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null; rm -rf "$dir"' EXIT
fail() { echo "import: $*"; exit 1; }

python3 "$here/make_corpus.py" "$dir"
# A set to buy: pages of the same language, one twice, one of an evaluation domain, a table that is no running text.
python3 - "$dir" <<'END'
import glob, gzip, json, random, sys
dir = sys.argv[1]
pages = [json.loads(line) for line in open(dir + "/natural.jsonl")]
rng = random.Random(4)
with gzip.open(dir + "/bought.jsonl.gz", "wt") as out:
    def put(id, text, **meta):
        out.write(json.dumps({"id": id, "text": text, "meta": meta}) + "\n")
    for i in range(150):
        words = rng.choice(pages)["text"].split()
        rng.shuffle(words)
        put(f"b{i}", " ".join(words[:120]) + ".")
    put("twice", " ".join(words[:120]) + ".")
    put("leak", json.loads(open(sorted(glob.glob(dir + "/domains/*"))[0]).readline())["text"])
    put("table", "| a | b |\n|---|---|\n| 1 | 2 |\n")
    put("spans", "From the source.\n\nMade of it.", spans=[
        {"from": 0, "to": 18, "provenance": "natural", "piece": 0}, {"from": 18, "to": 29, "provenance": "synthetic", "piece": 0}])
END

"$MIXLAW" tokenize train --quiet --vocab-size 512 --out "$dir/tok.json" "$dir/natural.jsonl" >/dev/null
buy() { "$MIXLAW" synth --quiet --json --recipe import --decontaminate "$dir/domains" --out "$dir/set" "$@" "$dir/bought.jsonl.gz"; }
buy --price 7 --price-out 1000 2>"$dir/err" && fail "a price a token without a tokenizer"
grep -q "needs --tokenizer" "$dir/err" || fail "$(cat "$dir/err")"
"$MIXLAW" synth --quiet --recipe hq --price 7 --generator x.gguf --out "$dir/x" "$dir/natural.jsonl" 2>"$dir/err" && fail "a price of what is made"
grep -q "ready-made set" "$dir/err" || fail "$(cat "$dir/err")"
buy --price 7 --price-out 1000 --tokenizer "$dir/tok.json" >"$dir/row"
"$MIXLAW" corpus cat "$dir"/set/docs-*.zst >"$dir/docs"
python3 - "$dir/row" "$dir/docs" <<'END' || fail "the set alone: $(cat "$dir/row")"
import json, sys
row, docs = json.load(open(sys.argv[1])), {d["meta"]["source_id"]: d for d in map(json.loads, open(sys.argv[2]))}
assert row["dropped"] == {"duplicate": 1, "contaminated": 1}, row
assert row["kept"] == row["docs_out"] == len(docs) == 152 and row["tokens_out"] == 0, row
assert docs["table"]["text"].startswith("| a | b |") and docs["table"]["meta"]["provenance"] == "synthetic", docs["table"]
assert docs["spans"]["meta"]["spans"][0]["to"] == 18
assert abs(row["cost"] - 7 - row["kept_tokens"] / 1000) < 1e-9, row
assert 0 < row["kept_tokens"] - row["kept_tokens_synthetic"] <= 18, row
assert abs(row["cost_per_m_kept"] - 1e6 * row["cost"] / row["kept_tokens"]) < 1e-6, row
END

python3 "$here/fake_server.py" "$dir/port" "$dir/requests" 5 &
server=$!
for _ in $(seq 600); do [[ -s $dir/port ]] && break; sleep 0.1; done
cat >"$dir/study.yaml" <<END
study: buy-or-make
natural: {paths: [natural.jsonl], hold_out: 0.06}
domains: {paths: [domains], bytes: 8k}
kinds: {bought: {import: [bought.jsonl.gz], price: 12}, hq: {}}
generator: {server: "http://127.0.0.1:$(cat "$dir/port")/v1", model: fake, docs: 40, price_in: 2, price_out: 8, gpu_hour: 1}
tokenizer: {train: {vocab_size: 512}}
shares: [0, 0.4]
models: [50k]
budgets: [4k, 8k, 16k]
seeds: 2
controls: {shuffle: false}
training: {seq_len: 64, batch_tokens: 512, lr: 0.002}
END
"$MIXLAW" study plan --quiet --json --out "$dir/study" "$dir/study.yaml" >"$dir/plan"
"$MIXLAW" study run --quiet --json --threads 2 --out "$dir/study" "$dir/study.yaml" >"$dir/advice"
python3 - "$dir" <<'END' || fail "the study"
import csv, json, sys
dir = sys.argv[1]
plan, expected = json.load(open(dir + "/study/plan.json")), json.load(open(dir + "/plan"))
source = {s["name"]: s for s in plan["sources"]}
assert source["bought"]["imported"] and source["bought"]["made"] and not source["hq"]["imported"], source
made = {k: json.load(open(f"{dir}/study/kinds/{k}/manifest.json"))["counts"]["row"] for k in ("bought", "hq")}
assert made["bought"]["cost"] == 12 and made["bought"]["requests"] == 0 and made["bought"]["kept"] == 152, made
assert expected["price"] > 12 and abs(expected["price"] - 12 - made["hq"]["cost"]) < 0.3 * made["hq"]["cost"], (expected, made)
arms = {r["arm"] for r in csv.DictReader(open(dir + "/study/runs.csv"))}
assert {"bought@0.4", "hq@0.4", "copy@0.4", "natural", "aa"} == arms, arms
own = {a["arm"]: a["frac_own"] for a in plan["arms"]}
assert own["hq@0.4"] == 0.4 and 0.39 < own["bought@0.4"] < 0.4, own
assert any("bought: " in w and "counted as natural" in w for w in plan["warnings"]), plan["warnings"]
page = open(dir + "/study/report.html").read()
assert "a million kept tokens" in page
END

# With nothing to be made there is no generator to be named and no copy of rewritten pages.
sed -e 's/, hq: {}//' -e '/^generator/d' -e 's/controls.*/controls: {shuffle: true, copy: true}/' "$dir/study.yaml" >"$dir/only.yaml"
"$MIXLAW" study run --quiet --json --threads 2 --out "$dir/only" "$dir/only.yaml" >/dev/null || fail "a study of imported sets alone"
cut -d, -f2 "$dir/only/runs.csv" | sort -u | tr '\n' ' ' | grep -qx "aa arm bought@0.4 natural shuffle@1 " || fail "arms: $(cut -d, -f2 "$dir/only/runs.csv" | sort -u)"
