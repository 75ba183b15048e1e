#!/bin/bash
# OpenAI's batch files as a generator: requests out, results in any order and shape, nothing asked or entered twice.
set -u
command -v python3 >/dev/null || { echo "skipped: python3 is missing, nobody to answer a batch"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/mixlaw-batch-XXXXXX")
trap 'rm -rf "$T"' EXIT
n_bad=0
bad() { echo "FAILED: $*"; n_bad=$((n_bad + 1)); }
docs() { "$MIXLAW" corpus cat "$1"/docs-*.jsonl.zst; }

cat >"$T/batch.py" <<'END'
"""Plays the batch service. FILE [HOW]: the results of a requests file; HOW: shuffled, half, odd."""
import json, random, sys
how = sys.argv[2] if len(sys.argv) > 2 else "shuffled"
rows = []
for line in open(sys.argv[1]):
    r = json.loads(line)
    assert set(r) == {"custom_id", "method", "url", "body"} and r["method"] == "POST" and len(r["custom_id"]) == 32, r
    b = r["body"]
    assert r["url"] in ("/v1/chat/completions", "/v1/completions") and b["model"] == "gpt-x", r
    assert not set(b) - {"model", "messages", "prompt", "max_completion_tokens", "max_tokens", "temperature", "top_p", "seed", "n", "stream", "stop"}, b
    plain = "prompt" in b
    assert plain == (r["url"] == "/v1/completions")
    words = (b["prompt"] if plain else b["messages"][-1]["content"]).split()
    text = "In short, " + " ".join(w.lower() for i, w in enumerate(words) if i % 5)[:400] + "."
    choice = {"text": text} if plain else {"message": {"role": "assistant", "content": text}}
    body = {"choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": {"prompt_tokens": 100, "completion_tokens": 50}}
    rows.append({"id": "x", "custom_id": r["custom_id"], "response": {"status_code": 200, "request_id": "y", "body": body}, "error": None})
random.Random(3).shuffle(rows)
out = [json.dumps(r) for r in rows]
if how == "half":
    out = out[: len(out) // 2]
if how == "odd":
    ids = [r["custom_id"] for r in rows]
    fail = {"id": "x", "custom_id": ids[0], "response": {"status_code": 400, "body": {"error": {"message": "I do not like it"}}}, "error": None}
    late = {"id": "x", "custom_id": ids[1], "response": None, "error": {"code": "batch_expired", "message": "too late"}}
    other = dict(rows[2], response={"status_code": 200, "body": {"choices": [{"message": {"content": "Another answer altogether."}}]}})
    foreign = [dict(rows[3], custom_id="request-17"), dict(rows[3], custom_id="0123456789abcdef" * 2)]
    out[0], out[1] = json.dumps(fail), json.dumps(late)
    out += [json.dumps(x) for x in [other] + foreign] + ["[1, 2]", out[4][:60]]  # the last is cut off
    sys.stdout.write("\n".join(out))
else:
    print("\n".join(out))
END
python3 - >"$T/pages.jsonl" <<'END'
import json, random
random.seed(9)
word = ["".join(random.choice("bdfglmnprstv") + random.choice("aeiou") for _ in range(random.randint(1, 5))) for _ in range(600)]
for i in range(40):
    text = [" ".join(random.choice(word) for _ in range(random.randint(6, 16))).capitalize() + "." for _ in range(8)]
    print(json.dumps({"id": "d%d" % i, "text": " ".join(text)}))
END
"$MIXLAW" synth recipes hq >"$T/hq.yaml"
sed -i '/^weak: /d' "$T/hq.yaml"
echo 'weak: {max_loop: 1, min_kept: 0, min_source_kept: 0}' >>"$T/hq.yaml"
synth() { # OUT JOBS FLAG...
    "$MIXLAW" synth --recipe "$T/hq.yaml" --generator "batch:$T/$2" --model gpt-x --out "$T/$1" "${@:3}" "$T/pages.jsonl" >"$T/$1.json" 2>"$T/$1.err"
}
later() { # OUT N: the run ended with N requests to come
    [ $? = 1 ] && [ ! -s "$T/$1.json" ] && [ ! -e "$T/$1/manifest.json" ] || bad "$1: looks finished"
    tail -1 "$T/$1.err" | grep -q "$2 of .* requests have no answer yet: send .*requests-\*.jsonl.* as batches" || bad "$1: $(tail -1 "$T/$1.err")"
}
lines() { cat "$@" 2>/dev/null | wc -l; }
rows() { lines "$T/$1/ledger.jsonl"; }

# Out, again without a second copy, in, settled; a finished folder asks for nothing.
synth a jobs
later a 40
[ "$(lines "$T"/jobs/*.jsonl)" = 40 ] && [ "$(cd "$T/jobs" && ls -A)" = requests-00000.jsonl ] || bad "out: $(ls -A "$T/jobs")"
synth a jobs
later a 40
[ "$(lines "$T"/jobs/*.jsonl)" = 40 ] || bad "requests that are out were written again"
python3 "$T/batch.py" "$T/jobs/requests-00000.jsonl" >"$T/jobs/batch_abc_output.jsonl"
synth a jobs || bad "in: $(cat "$T/a.err")"
[ "$(rows a)" = 40 ] && grep -q '"requests":40,.*"pending":0' "$T/a.json" || bad "in: $(cat "$T/a.json")"
python3 - "$T/a/manifest.json" <<'END' || bad "manifest"
import json, sys
g = json.load(open(sys.argv[1]))["counts"]["generator"]
assert g["kind"] == "batch" and g["answered"] == 40 and g["written"] == g["errors"] == g["unknown"] == g["damaged"] == 0, g
END
rm "$T/a/manifest.json"
synth a jobs || bad "settled again: $(cat "$T/a.err")"
[ "$(rows a)" = 40 ] && [ "$(lines "$T"/jobs/requests-*)" = 40 ] || bad "entered twice"
grep -q "40 results are in the ledger already" "$T/a.err" || bad "again: $(cat "$T/a.err")"

# Half of the results: what is there is entered, the rest stays out until its file is removed.
synth b half
later b 40
python3 "$T/batch.py" "$T/half/requests-00000.jsonl" half >"$T/half/out.jsonl"
synth b half
later b 20
[ "$(rows b)" = 20 ] && [ "$(lines "$T"/half/requests-*)" = 40 ] || bad "half: $(rows b) rows"
rm "$T/half/requests-00000.jsonl"
synth b half
later b 20
[ "$(lines "$T"/half/requests-*)" = 20 ] || bad "the missing ones were not written again"
python3 "$T/batch.py" "$(echo "$T"/half/requests-*)" >"$T/half/out2.jsonl"
synth b half || bad "half and half: $(cat "$T/b.err")"
cmp -s <(docs "$T/a") <(docs "$T/b") || bad "half and half: other documents"

# Odd lines, each said once and none in the way: errors, ids of nobody, second answers, no JSON, a cut end.
synth c odd
python3 "$T/batch.py" "$T/odd/requests-00000.jsonl" odd >"$T/odd/out.jsonl"
synth c odd && bad "two errors of 40 requests, and finished"
[ "$(rows c)" = 38 ] || bad "odd: $(rows c) rows in the ledger"
while read -r want; do
    [ "$(grep -c -- "$want" "$T/c.err")" = 1 ] || bad "odd: not one line '$want' in $(cat "$T/c.err")"
done <<'END'
2 lines are no JSON objects.*line 44
1 lines have an id that is no request's of ours.*line 42: request-17
1 results belong to no request of this run.*0123456789abcdef0123456789abcdef
1 results answer a request once more and are left out.*line 41
2 requests were answered with an error.*out.jsonl.: the batch says
2 of 40 requests got no answer, the last because: the batch says.*asks
END
rm "$T/odd/requests-00000.jsonl"
synth c odd
later c 2
python3 "$T/batch.py" "$T/odd/requests-00000.jsonl" >"$T/odd/out2.jsonl"
synth c odd || bad "after errors: $(cat "$T/c.err")"
grep -q "answered with an error" "$T/c.err" && bad "errors that were made good are complained of"
[ "$(rows c)" = 40 ] && cmp -s <(docs "$T/a") <(docs "$T/c") || bad "odd: other documents"

# Killed while it writes and while it enters: nothing twice, the same documents.
for i in $(seq 12); do
    "$MIXLAW" synth --quiet --recipe "$T/hq.yaml" --generator "batch:$T/kill" --model gpt-x --out "$T/k" "$T/pages.jsonl" >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 9))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$i" = 6 ] && synth k kill
    [ "$i" = 6 ] && cat "$T"/kill/requests-*.jsonl >"$T/all" && python3 "$T/batch.py" "$T/all" >"$T/kill/out.jsonl"
done
synth k kill || bad "after kills: $(cat "$T/k.err")"
[ "$(lines "$T"/kill/requests-*.jsonl)" = 40 ] && [ "$(rows k)" = 40 ] || bad "killed: $(lines "$T"/kill/requests-*.jsonl) requests, $(rows k) rows"
cmp -s <(docs "$T/a") <(docs "$T/k") || bad "killed: other documents"

# Plain prompts; what cannot be.
synth p plain --api completion
later p 40
grep -q '"url":"/v1/completions"' "$T/plain/requests-00000.jsonl" || bad "plain: $(head -c 300 "$T/plain/requests-00000.jsonl")"
python3 "$T/batch.py" "$T/plain/requests-00000.jsonl" >"$T/plain/out.jsonl"
synth p plain --api completion || bad "plain: $(cat "$T/p.err")"
while IFS='|' read -r want command; do
    # shellcheck disable=SC2086
    "$MIXLAW" $command >"$T/out" 2>"$T/err" && bad "$command: no failure"
    tail -1 "$T/err" | grep -q -- "$want" || bad "$command: $(cat "$T/err")"
done <<END
give --model NAME|synth --recipe hq --generator batch:$T/x --out $T/x1 $T/pages.jsonl
max-cost.*max-docs|synth --recipe hq --generator batch:$T/x --model m --max-cost 3 --price-out 1 --out $T/x2 $T/pages.jsonl
want batch:DIR|synth --recipe hq --generator batch: --model m --out $T/x3 $T/pages.jsonl
nothing to try|synth try --recipe hq --generator batch:$T/x --model m $T/pages.jsonl
nothing to probe|synth probe --generator batch:$T/x --model m
END
[ $n_bad = 0 ] && echo "batch files: all passed"
exit $((n_bad > 0))
