#!/bin/bash
# Several servers at once, one that fails among them, as many requests out as they bear, plain prompts for models
# without a template, the probe, and the key in nothing that is written.
set -u
command -v python3 >/dev/null || { echo "skipped: python3 is missing, no server to talk to"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/mixlaw-servers-XXXXXX")
server=
cleanup() {
    [ -n "$server" ] && kill "$server" 2>/dev/null
    rm -rf "$T"
}
trap cleanup EXIT
n_bad=0
bad() { echo "FAILED: $*"; n_bad=$((n_bad + 1)); }
py() { python3 -c "import json, sys; $1" "${@:2}"; }
docs() { "$MIXLAW" corpus cat "$1"/docs-*.jsonl.zst; }

py '
import random
random.seed(7)
word = ["".join(random.choice("bdfglmnprstv") + random.choice("aeiou") for _ in range(random.randint(1, 5))) for _ in range(600)]
for i in range(700):
    text = [" ".join(random.choice(word) for _ in range(random.randint(6, 16))).capitalize() + "." for _ in range(8)]
    print(json.dumps({"id": "d%d" % i, "text": " ".join(text)}))
' >"$T/pages.jsonl"
"$MIXLAW" synth recipes hq >"$T/hq.yaml"
sed -i '/^weak: /d' "$T/hq.yaml"
echo 'weak: {max_loop: 1}' >>"$T/hq.yaml" # no word on the generator: it is the way to it that is tried here
mkfifo "$T/stdin"
python3 tests/synth/mock_server.py 30 good <"$T/stdin" >"$T/url" &
server=$!
exec 9>"$T/stdin"
for _ in $(seq 600); do [ -s "$T/url" ] && break; sleep 0.1; done
url=$(cat "$T/url")
synth() { # NAME GENERATOR FLAG...
    "$MIXLAW" synth --quiet --recipe "$T/hq.yaml" --generator "$2" --out "$T/$1" --idle 60s --backoff 0.05s "${@:3}" "$T/pages.jsonl" >"$T/$1.json" 2>"$T/$1.err"
}
at() { # NAME INDEX KEY: what the manifest says of an address
    py 'print(json.load(open(sys.argv[1]))["counts"]["generator"]["endpoints"][int(sys.argv[2])][sys.argv[3]])' "$T/$1/manifest.json" "$2" "$3"
}
in_flight() { py 'print(json.load(open(sys.argv[1]))["counts"]["generator"]["in_flight"])' "$T/$1/manifest.json"; }
same() { cmp -s <(docs "$T/$1") <(docs "$T/one") || bad "$1: other documents than from one server"; }

# One server, then two with weights: the same keys, the same documents, work in proportion.
synth one "$url/good" --max-docs 120 || bad "one: $(cat "$T/one.err")"
[ "$(in_flight one)" = 6 ] || bad "one: $(in_flight one) requests at once, want the 4 slots and 2"
synth two "$url/good,$url/strict/v1/@3" --max-docs 120 --in-flight 8 || bad "two: $(cat "$T/two.err")"
same two
a=$(at two 0 answered) b=$(at two 1 answered)
[ $((a + b)) -ge 120 ] && [ "$b" -gt $((2 * a)) ] || bad "two: $a and $b answers with weights 1 and 3"
[ "$(at two 0 in_flight),$(at two 1 in_flight)" = 2,6 ] || bad "two: $(at two 0 in_flight) and $(at two 1 in_flight) at once"
cp -r "$T/one" "$T/more"
synth more "$url/good,$url/bare" --max-docs 120 || bad "another server in an old folder: $(cat "$T/more.err")"
cmp -s "$T/one/ledger.jsonl" "$T/more/ledger.jsonl" || bad "what one server answered was asked of another"

# One of them fails: from the start, always, now and then, without a word. No request suffers.
synth dead "$url/good,http://127.0.0.1:9" --max-docs 120 || bad "dead: $(cat "$T/dead.err")"
grep -q "127.0.0.1:9.*going on without it" "$T/dead.err" && [ "$(wc -l <"$T/dead.err")" = 1 ] || bad "dead: $(cat "$T/dead.err")"
for mode in gone ill silence; do
    synth $mode "$url/good,$url/$mode" --max-docs 120 --idle 1s || bad "$mode: $(cat "$T/$mode.err")"
    same $mode
    [ "$(at $mode 0 answered)" -ge 60 ] || bad "$mode: only $(at $mode 0 answered) answers from the one that works"
done
[ "$(at gone 1 set_aside)" -gt 0 ] && [ "$(at gone 1 answered)" = 0 ] || bad "gone: not set aside"
grep -q "gone.*left alone for a while: HTTP 503" "$T/gone.err" && [ "$(wc -l <"$T/gone.err")" = 1 ] || bad "gone: $(cat "$T/gone.err")"
[ "$(at gone 1 failed_tries)" -lt 40 ] || bad "gone: $(at gone 1 failed_tries) tries went to the one that fails"

# All fail: the same end as of one. Two models: refused.
synth none "$url/gone,$url/gone/" --max-docs 40 --retries 2 && bad "all gone, and no failure"
tail -1 "$T/none.err" | grep -q "20 requests in a row failed.*HTTP 503" || bad "all gone: $(cat "$T/none.err")"
while IFS='|' read -r want list; do
    synth refused "$list" && bad "$list: no failure"
    [ "$(wc -l <"$T/refused.err")" = 1 ] && grep -q -- "$want" "$T/refused.err" || bad "$list: $(cat "$T/refused.err")"
    grep -q pass4711 "$T/refused.err" && bad "a password is shown: $(cat "$T/refused.err")"
done <<END
serves 'mock', .* does not|$url/good,$url/another
different models 'mock'|$url/good,$url/retrained
weight 0|$url/good@0
holds a user name or a password|http://me:pass4711@127.0.0.1:9/v1
holds a user name or a password|$url/good,http://me:pass4711@127.0.0.1:9/v1@2
END

# A server that does not say what it bears: found out from 8 on, and from too many down.
synth bare "$url/bare" || bad "bare: $(cat "$T/bare.err")"
[ "$(in_flight bare)" -ge 16 ] || bad "bare: $(in_flight bare) at once, want more than at the start"
synth crowd "$url/crowd" --max-docs 120 || bad "crowd: $(cat "$T/crowd.err")"
[ "$(in_flight crowd)" -le 6 ] || bad "crowd: $(in_flight crowd) at once where 4 are borne"
same crowd
synth fixed "$url/bare" --max-docs 300 --in-flight 5 || bad "fixed: $(cat "$T/fixed.err")"
[ "$(in_flight fixed)" = 5 ] || bad "fixed: $(in_flight fixed) at once, want 5"

# Models without a template: one plain text, other keys than a chat's.
synth plain "$url/base" --api completion --max-docs 120 || bad "plain: $(cat "$T/plain.err")"
py '
chat, plain = ([json.loads(l) for l in open(p)] for p in sys.argv[1:])
assert len(plain) == 120 and not {r["key"] for r in chat} & {r["key"] for r in plain}
assert {r["prompt"] for r in chat} == {r["prompt"] for r in plain}, "the texts are the same"
' "$T/one/ledger.jsonl" "$T/plain/ledger.jsonl" || bad "plain"
grep -q '"api": "completion"' "$T/plain/manifest.json" || bad "plain: the manifest does not say so"
synth chat "$url/base" --max-docs 40 && bad "a chat with a model that has no template"
grep -q "no chat template" "$T/chat.err" || bad "chat: $(cat "$T/chat.err")"

# The probe.
probe() { "$MIXLAW" synth probe --quiet --generator "$url/$1" --in-flight 8 "${@:2}" >"$T/probe" 2>"$T/err" || bad "probe $1: $(cat "$T/err")"; }
look() { # MODE PYTHON: r is what it says of the server
    probe "$1"
    py "r = json.loads(open(sys.argv[1]).readline()); assert $2, r" "$T/probe" || bad "probe $1"
}
look good 'r["software"] == "tests" and r["model"] == "mock" and r["models"] == ["mock"] and r["slots"] == 4 and r["context"] == 512'
look good 'r["chat"] and r["completion"] and r["template"] == "unseen" and r["extra_fields"] and r["logprobs"] and r["seed"] is None'
look strict 'not r["extra_fields"] and not r["logprobs"] and r["chat"]'
look seeded 'r["seed"] is True'
look unseeded 'r["seed"] is False'
probe base --api completion
py '
rows = [json.loads(l) for l in open(sys.argv[1])]
assert rows[0]["template"] == "none" and not rows[0]["chat"] and rows[0]["completion"] and rows[0]["logprobs"], rows[0]
levels = rows[1:-1]
assert [r["in_flight"] for r in levels] == [1, 2, 4, 8] and not any(r["failed"] for r in levels), levels
assert levels[3]["tok_per_s"] > 2 * levels[0]["tok_per_s"] and levels[0]["latency_s"] >= 0.03, levels
assert rows[-1]["pick"] in (4, 8) and rows[-1]["tok_per_s"] > 0, rows[-1]
' "$T/probe" || bad "probe base"
"$MIXLAW" synth probe --quiet --generator "$url/base" >"$T/probe" 2>"$T/err" && bad "speed of a chat that does not work"
grep -q "no request was answered: HTTP 400: the model has no chat template" "$T/err" || bad "probe base, chat: $(cat "$T/err")"
py 'import pty; pty.spawn(sys.argv[1:])' "$MIXLAW" synth probe --generator "$url/good,$url/bare" --in-flight 2 >"$T/seen" 2>&1
for text in 'software ' 'in_flight  requests  failed  tok_per_s  latency_s  latency_max_s' 'pick '; do
    grep -qF -- "$text" "$T/seen" || bad "for people: '$text' is missing in $(cat "$T/seen")"
done

# The key: sent, and nowhere else, however it ends and however much is said.
export MIXLAW_API_KEY=sk-very-secret-4711
mkdir "$T/keys"
for mode in good refuse gone junk context html portal storm; do
    for more in --verbose --quiet; do
        "$MIXLAW" synth $more --recipe "$T/hq.yaml" --generator "$url/$mode,$url/good" --max-docs 30 --retries 1 --backoff 0.01s --out "$T/keys/$mode" "$T/pages.jsonl" >"$T/keys/$mode$more.out" 2>&1
    done
done
"$MIXLAW" synth --verbose --recipe "$T/hq.yaml" --generator "$url/refuse" --out "$T/keys/refused" "$T/pages.jsonl" >"$T/keys/refused.out" 2>&1 && bad "a refused key"
grep -q "MIXLAW_API_KEY" "$T/keys/refused.out" || bad "refused: $(cat "$T/keys/refused.out")"
"$MIXLAW" synth pilot --verbose --recipe "$T/hq.yaml" --docs 8 --generator "$url/good" --out "$T/keys/pilot" "$T/pages.jsonl" >"$T/keys/pilot.out" 2>&1
"$MIXLAW" synth probe --verbose --generator "$url/good,$url/refuse" --in-flight 2 >"$T/keys/probe.out" 2>&1
"$MIXLAW" synth --verbose --recipe "$T/hq.yaml" --generator "batch:$T/keys/jobs" --model m --max-docs 30 --out "$T/keys/batch" "$T/pages.jsonl" >"$T/keys/batch.out" 2>&1
[ -s "$T/keys/jobs/requests-00000.jsonl" ] || bad "no batch was written: $(cat "$T/keys/batch.out")"
found=$(for f in "$T"/keys/*.out "$T"/keys/*/*; do { [[ $f = *.zst ]] && "$MIXLAW" corpus cat "$f" 2>/dev/null || cat "$f"; } | grep -qi "very-secret" && echo "$f"; done)
[ -z "$found" ] || bad "the key is in $found"
py 'import urllib.request as u; a = json.load(u.urlopen(sys.argv[1] + "/good/stats"))["auth"]; assert "Bearer sk-very-secret-4711" in a, a' "$url" || bad "the key was not sent"
[ $n_bad = 0 ] && echo "several servers: all passed"
exit $((n_bad > 0))
