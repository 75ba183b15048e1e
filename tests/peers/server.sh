#!/bin/bash
# The server client against llama.cpp's own server (wheel xllamacpp), which serves the model of MIXLAW_MODEL on
# loopback: probe, a run, the same again, prefill, plain prompts, a prompt that does not fit.
set -u
python=$(tests/peers/need_python "llama.cpp's server" xllamacpp) || { rc=$?; echo "$python"; exit $rc; }
[ -s "${MIXLAW_MODEL:-}" ] || { echo "skipped: MIXLAW_MODEL names no GGUF file"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/mixlaw-server-XXXXXX")
mkfifo "$T/fifo"
"$python" tests/peers/llama_server.py "$MIXLAW_MODEL" 4 1 512 <"$T/fifo" >"$T/url" 2>"$T/log" &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$T"' EXIT
exec 8>"$T/fifo"
for _ in $(seq 300); do [ -s "$T/url" ] && break; sleep 0.2; done
url=$(cat "$T/url")
[ -n "$url" ] || { echo "FAILED: the server did not start:"; tail -5 "$T/log"; exit 1; }
n_bad=0
bad() { echo "FAILED: $*"; n_bad=$((n_bad + 1)); }

"$python" - >"$T/pages.jsonl" <<'PY'
import json
for i in range(3):
    text = ("The harbour of Port %d was built in %d by the engineer Anna Kessler. Its two stone piers are 480 metres long and "
            "protect fishing boats from the winter storms. A lighthouse with a red lamp stands at the end of the longer pier. "
            "Every spring the town repairs the walls, because ice and waves loosen the stones. About 3000 people live there, "
            "and most of them work in the fish market or in the small yard that builds wooden boats." % (i, 1850 + i))
    print(json.dumps({"id": str(i), "text": text}))
print(json.dumps({"id": "long", "text": " ".join("Sentence number %d speaks about harbours and ships." % i for i in range(400))}))
PY
cat >"$T/long.yaml" <<'YAML'
name: long
input: {unit: page, max_words: 3000, min_words: 1000}
prompts: [{name: a, user: "{text}\n\nSummarise."}]
YAML

"$MIXLAW" synth probe --quiet --generator "$url" --in-flight 2 >"$T/probe" || bad "probe"
"$python" - "$T/probe" <<'PY' || bad "probe"
import json, sys
look, *levels, pick = [json.loads(l) for l in open(sys.argv[1])]
print(look)
assert look["software"] == "llama.cpp" and look["slots"] == 4 and look["context"] == 512, look
assert look["chat"] and look["completion"] and look["template"] == "shown" and look["extra_fields"] and look["logprobs"], look
assert look["seed"] is True, look
assert [r["in_flight"] for r in levels] == [1, 2] and all(r["tok_per_s"] > 1 and not r["failed"] for r in levels), levels
assert pick["pick"] in (1, 2), pick
PY
"$MIXLAW" synth --quiet --recipe hq --api completion --generator "$url,$url/v1/@2" --out "$T/plain" "$T/pages.jsonl" >"$T/row" 2>"$T/err" || bad "plain: $(cat "$T/err")"
"$python" - "$T/plain" <<'PY' || bad "plain"
import json, sys
raw = [json.loads(l) for l in open(sys.argv[1] + "/ledger.jsonl")]
assert len(raw) == 4 and any(len(r["raw"]) > 60 for r in raw), raw
at = json.load(open(sys.argv[1] + "/manifest.json"))["counts"]["generator"]["endpoints"]
assert [a["weight"] for a in at] == [1, 2] and sum(a["answered"] for a in at) >= 4, at
PY
for recipe in hq qa; do
    "$MIXLAW" synth --quiet --recipe $recipe --generator "$url" --out "$T/$recipe" "$T/pages.jsonl" >"$T/row" 2>"$T/err" || bad "$recipe: $(cat "$T/err")"
    "$python" - "$T/row" "$T/$recipe/ledger.jsonl" $recipe <<'PY' || bad "$recipe"
import json, sys
row = json.load(open(sys.argv[1]))
raw = [json.loads(l) for l in open(sys.argv[2])]
print(sys.argv[3], row["requests"], "requests, kept", row["kept"], row["dropped"])
assert row["requests"] == len(raw) == row["kept"] + sum(row["dropped"].values()) == 4, row
assert row["tokens_out"] == sum(r["n_tok"] for r in raw) > 0 and row["tokens_prompt"] > 100 * len(raw), row
assert all(r["finish"] in ("stop", "length") for r in raw), raw
assert any(len(r["raw"]) > 60 for r in raw), raw
if sys.argv[3] == "qa":
    assert all(r["raw"].startswith("Question:") and not r["raw"].startswith("Question:Question") for r in raw), raw
PY
    cp "$T/$recipe/ledger.jsonl" "$T/before"
    "$MIXLAW" synth --quiet --recipe $recipe --generator "$url" --out "$T/$recipe" "$T/pages.jsonl" >"$T/row2" 2>/dev/null || bad "$recipe again"
    cmp -s "$T/before" "$T/$recipe/ledger.jsonl" || bad "$recipe: a finished run asked again"
done
"$MIXLAW" synth --quiet --recipe "$T/long.yaml" --generator "$url" --out "$T/long" "$T/pages.jsonl" >"$T/row" 2>"$T/err" || bad "long: $(cat "$T/err")"
grep -q '"no_room":1' "$T/row" || bad "a prompt that does not fit: $(cat "$T/row")"
[ $n_bad = 0 ] && echo "llama.cpp's server: all passed"
exit $((n_bad > 0))
