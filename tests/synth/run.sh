#!/bin/bash
# Whole runs of synth against a server on loopback: nothing is asked twice, a killed run ends with the same
# documents, budgets, bad servers, keys, full disk, controls.
set -u
command -v python3 >/dev/null || { echo "skipped: python3 is missing, no server to talk to"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/mixlaw-synth-XXXXXX")
servers=()
cleanup() {
    for s in "${servers[@]}"; do kill "$s" 2>/dev/null; done
    mountpoint -q "$T/disk" 2>/dev/null && umount "$T/disk"
    rm -rf "$T"
}
trap cleanup EXIT
n_bad=0
bad() { echo "FAILED: $*"; n_bad=$((n_bad + 1)); }
py() { python3 -c "import json,sys; $1" "${@:2}"; }
get() { py 'print(json.load(open(sys.argv[1])).get(sys.argv[2]))' "$1" "$2"; } # row.json key
stat_of() { py 'import urllib.request as u; print(json.load(u.urlopen(sys.argv[1]+"/stats"))[sys.argv[2]])' "$1" "$2"; }
serve() { # DELAY_MS MODE: sets $url
    mkfifo "$T/fifo.$1.$2"
    python3 tests/synth/mock_server.py "$1" "$2" <"$T/fifo.$1.$2" >"$T/url" &
    servers+=($!)
    # shellcheck disable=SC2034 # the descriptor keeps the pipe open
    exec {keep}>"$T/fifo.$1.$2"
    for _ in $(seq 600); do [ -s "$T/url" ] && break; sleep 0.1; done
    url=$(cat "$T/url")
    rm "$T/url"
}
docs() { "$MIXLAW" corpus cat "$1"/docs-*.jsonl.zst; }

py '
import random
random.seed(5)
word = ["".join(random.choice("bdfglmnprstv") + random.choice("aeiou") for _ in range(random.randint(1, 5))) for _ in range(600)]
for i in range(80):
    text = []
    for s in range(random.randint(8, 30)):
        w = [random.choice(word) for _ in range(random.randint(6, 16))]
        text.append(" ".join(w).capitalize() + random.choice(".....!?"))
    print(json.dumps({"id": "d%d" % i, "text": " ".join(text)}))
' >"$T/pages.jsonl"
echo '{"id": "menu", "text": "Home | About | Login"}' >>"$T/pages.jsonl"

synth() { "$MIXLAW" synth --quiet --recipe hq --idle 60s "$@" "$T/pages.jsonl"; }

# A run, and the same again.
serve 0 good
good=$url
synth --generator "$good" --out "$T/a" >"$T/a.json" 2>"$T/a.err" || bad "run: $(cat "$T/a.err")"
[ "$(get "$T/a.json" requests)" = 80 ] || bad "requests: $(cat "$T/a.json")"
[ "$(get "$T/a.json" docs_out)" -gt 40 ] || bad "too few documents: $(cat "$T/a.json")"
py 'r=json.load(open(sys.argv[1])); assert r["kept"]+sum(r["dropped"].values())==r["requests"], r; assert r["dropped"]["refusal"]>0, r' "$T/a.json" || bad "totals"
asked=$(stat_of "$good" n)
synth --generator "$good" --out "$T/a" >"$T/a2.json" || bad "again"
[ "$(stat_of "$good" n)" = "$asked" ] || bad "a finished run asks again"
cmp -s "$T/a.json" "$T/a2.json" || bad "a finished run says something else"
[ "$(py 's=json.load(open(sys.argv[1])); print(len(s))' "$T/a/samples.json")" -ge 8 ] || bad "samples"

# Another limit: no request. Another prompt: new ones.
"$MIXLAW" synth recipes hq >"$T/hq.yaml"
sed 's/min_words: 30/min_words: 120/' "$T/hq.yaml" >"$T/hq2.yaml"
cmp -s "$T/hq.yaml" "$T/hq2.yaml" && bad "the recipe has no min_words: 30 any more, adapt this test"
synth --generator "$good" --out "$T/a" --recipe "$T/hq2.yaml" >"$T/a3.json" || bad "limit"
[ "$(stat_of "$good" n)" = "$asked" ] || bad "a limit asks again"
[ "$(get "$T/a3.json" kept)" -lt "$(get "$T/a.json" kept)" ] || bad "a limit changes nothing"
synth --generator "$good" --out "$T/a" >"$T/a4.json" || bad "limit back"
[ "$(get "$T/a4.json" kept)" = "$(get "$T/a.json" kept)" ] || bad "back is not the same"
"$MIXLAW" synth --quiet --recipe qa --generator "$good" --out "$T/a" "$T/pages.jsonl" >/dev/null 2>"$T/err"
[ $? = 2 ] || bad "another recipe took over the folder"

# A smaller draw is part of a larger one; a pilot is paid once.
"$MIXLAW" synth pilot --quiet --docs 16 --within 1 --recipe hq --generator "$good" --out "$T/p" --price-out 2 "$T/pages.jsonl" >"$T/p.json" || bad "pilot"
py 'r=json.load(open(sys.argv[1])); assert r["requests"]["value"]==80 and r["docs"]==80, r; assert r["tokens_out"]["lo"]<r["tokens_out"]["value"]<r["tokens_out"]["hi"]' "$T/p.json" || bad "forecast"
before=$(stat_of "$good" n)
synth --generator "$good" --out "$T/p" --max-docs 40 >"$T/p40.json" || bad "after the pilot"
[ $(($(stat_of "$good" n) - before)) = 24 ] || bad "the pilot's pages were asked again"
py 'p=json.load(open(sys.argv[1])); r=json.load(open(sys.argv[2])); t=p["tokens_out"]; assert t["lo"] <= r["tokens_out"] <= t["hi"], (t, r)' "$T/p.json" "$T/a.json" || echo "note: the run lies outside the pilot's 90 % interval"
docs "$T/p" | sort >"$T/p.docs"
docs "$T/a" | sort >"$T/a.docs"
[ -z "$(comm -23 "$T/p.docs" "$T/a.docs")" ] || bad "the smaller draw has other documents"

# Token budget: same documents whatever the concurrency, and a larger budget goes on.
synth --generator "$good" --out "$T/t1" --max-tokens 3000 --in-flight 1 >"$T/t1.json" || bad "budget"
synth --generator "$good" --out "$T/t2" --max-tokens 3000 --in-flight 7 >"$T/t2.json" || bad "budget"
cmp -s <(docs "$T/t1") <(docs "$T/t2") || bad "the budget's documents depend on the concurrency"
[ "$(get "$T/t1.json" stopped)" = max_tokens ] || bad "stopped: $(cat "$T/t1.json")"
synth --generator "$good" --out "$T/t1" >"$T/t1b.json" || bad "without budget"
cmp -s <(docs "$T/t1") <(docs "$T/a") || bad "going on after a budget ends elsewhere"

# kill -9 at random moments.
serve 70 good
slow=$url
kills=0
for _ in $(seq 40); do
    "$MIXLAW" synth --quiet --recipe hq --generator "$slow" --out "$T/k" --in-flight 6 "$T/pages.jsonl" >"$T/k.json" 2>"$T/k.err" &
    pid=$!
    sleep "0.$((RANDOM % 25 + 2))"
    if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null && break
done
synth --generator "$slow" --out "$T/k" --in-flight 6 >"$T/k.json" 2>"$T/k.err" || bad "after kills: $(cat "$T/k.err")"
cmp -s <(docs "$T/k") <(docs "$T/a") || bad "killed $kills times: other documents"
py 'r=json.load(open(sys.argv[1])); assert r["generate_s"] > 0.9, r' "$T/k.json" || bad "time of the killed goes is forgotten" # 80 answers of 70 ms, 6 at once
again=$(($(stat_of "$slow" answered) - 80))
[ $again -le $((kills * 6)) ] || bad "$again answers were paid twice by $kills kills"
echo "killed $kills times, $again requests were in flight and asked again"

# Two at once: the first is busy for 80 s and more.
serve 1000 good
"$MIXLAW" synth --quiet --recipe hq --in-flight 1 --generator "$url" --out "$T/two" "$T/pages.jsonl" >/dev/null 2>&1 &
pid=$!
for _ in $(seq 600); do [ -s "$T/two/ledger.jsonl" ] && break; sleep 0.1; done
synth --generator "$url" --out "$T/two" >/dev/null 2>"$T/err" && bad "two at once"
grep -q "$pid\|in use\|held\|another" "$T/err" || bad "two at once: $(cat "$T/err")"
kill -INT $pid
wait $pid
rc=$?
[ $rc = 130 ] || bad "an interrupted run exits with $rc"

# Servers that misbehave.
for mode in strict storm junk empty; do
    serve 0 $mode
    MIXLAW_API_KEY=sk-very-secret synth --generator "$url" --out "$T/$mode" >"$T/$mode.json" 2>"$T/$mode.err"
    rc=$?
    case $mode in
    junk) # some never answer right: not finished, but nothing is lost
        [ $rc = 1 ] || bad "$mode: exit $rc"
        grep -q "got no answer" "$T/$mode.err" || bad "$mode: $(cat "$T/$mode.err")" ;;
    *)
        [ $rc = 0 ] || bad "$mode: $(cat "$T/$mode.err")"
        cmp -s <(docs "$T/$mode") <(docs "$T/a") || bad "$mode: other documents" ;;
    esac
    grep -rq sk-very-secret "$T/$mode" "$T/$mode.json" "$T/$mode.err" && bad "$mode: the key is in the output"
    [ "$(stat_of "$url" auth)" = "['Bearer sk-very-secret']" ] || bad "$mode: key not sent"
done
grep -q '"left_out": "top_k' "$T/strict/manifest.json" || bad "strict: the manifest does not say what was left out"
serve 0 refuse
MIXLAW_API_KEY=sk-very-secret synth --generator "$url" --out "$T/refuse" >/dev/null 2>"$T/err" && bad "refused key"
grep -q "API_KEY" "$T/err" || bad "refused key: $(cat "$T/err")"
grep -q secret "$T/err" && bad "the key is shown: $(cat "$T/err")"
synth --generator "http://127.0.0.1:9" --out "$T/none" >/dev/null 2>"$T/err" && bad "no server"
[ "$(wc -l <"$T/err")" = 1 ] || bad "no server: $(cat "$T/err")"

# Controls: the pieces whose answers were kept, as they are, and shuffled.
"$MIXLAW" synth --quiet --recipe copy --like "$T/a" --out "$T/copy" "$T/pages.jsonl" >"$T/copy.json" || bad "copy"
"$MIXLAW" synth --quiet --recipe shuffle --like "$T/a" --out "$T/shuffle" "$T/pages.jsonl" >"$T/shuffle.json" || bad "shuffle"
[ "$(get "$T/copy.json" docs_out)" = "$(get "$T/a.json" docs_out)" ] || bad "copy: $(cat "$T/copy.json")"
py '
rows = lambda p: [json.loads(l) for l in open(p)]
page = {r["id"]: r["text"] for r in rows(sys.argv[1])}
copy, shuffle = rows(sys.argv[2]), rows(sys.argv[3])
assert len(copy) == len(shuffle) > 0
for c, s in zip(copy, shuffle):
    assert c["text"] in page[c["meta"]["source_id"]] and c["meta"]["provenance"] == "natural", c
    assert sorted(c["text"].split()) == sorted(s["text"].split()) and c["text"] != s["text"], s
' "$T/pages.jsonl" <(docs "$T/copy") <(docs "$T/shuffle") || bad "controls"

# Answers that say nearly the same: the first stays, the others name it; a limit of 1 keeps them all.
serve 0 near
sed 's/min_source_kept: [0-9.]*/min_source_kept: 0/' "$T/hq.yaml" >"$T/near.yaml"
synth --recipe "$T/near.yaml" --generator "$url" --out "$T/near" >"$T/near.json" || bad "near"
py 'r=json.load(open(sys.argv[1])); assert r["kept"]==1 and r["dropped"]=={"near_duplicate": 79}, r' "$T/near.json" || bad "near duplicates"
kept=$(docs "$T/near" | py 'print(json.loads(sys.stdin.readline())["id"])')
zstdcat "$T/near/verdicts.jsonl.zst" 2>/dev/null >"$T/near.verdicts" || echo "note: no zstdcat, verdicts not looked at"
[ ! -s "$T/near.verdicts" ] || [ "$(grep -c "\"of\":\"$kept\"" "$T/near.verdicts")" = 79 ] || bad "near duplicates of what?"
sed -i 's/limits: {/limits: {max_similar: 1, /' "$T/near.yaml"
synth --recipe "$T/near.yaml" --generator "$url" --out "$T/near" >"$T/near.json" || bad "near, allowed"
[ "$(get "$T/near.json" kept)" = 80 ] || bad "near, allowed: $(cat "$T/near.json")"

# A variant that begins to answer alike: its later pieces go to the other one, and neither the number in flight nor
# kills change what comes out. The server answers the same prompt the same way for as long as it lives.
serve 25 collapse
cat >"$T/two.yaml" <<'END'
name: two
purpose: two variants, of which one collapses
input: {unit: passage, max_words: 110, min_words: 50}
prompts:
  - {name: plain, user: "{text}\n\nSay it again."}
  - {name: system, system: You say things again., user: "{text}"}
sampling: {max_tok: 240}
limits: {min_words: 5}
collapse: {window: 16, action: rotate}
END
two() { "$MIXLAW" synth --quiet --recipe "$T/two.yaml" --generator "$url" "$@" "$T/pages.jsonl"; }
two --out "$T/two1" --in-flight 1 >"$T/two1.json" 2>"$T/two1.err" || bad "collapse: $(cat "$T/two1.err")"
grep -q "variant 'system' collapsed after 16 texts: same_opening 0.*limit 0.5; its pieces go to the others" "$T/two1.err" ||
    bad "collapse is not said: $(cat "$T/two1.err")"
py '
row, m = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))["counts"]
assert row["requests"] == 80 and row["stopped"] is None and len(row["collapse"]) == 1, row
assert m["diversity"]["variants"]["system"]["texts"] == 16, m["diversity"]["variants"]
assert m["diversity"]["variants"]["plain"]["texts"] == 64 == m["variants"]["plain"]["n"], m["variants"]
assert m["diversity"]["variants"]["system"]["worst"]["same_opening"] > 0.5 > m["diversity"]["variants"]["plain"]["worst"]["same_opening"]
' "$T/two1.json" "$T/two1/manifest.json" || bad "collapse: counts"
two --out "$T/two9" --in-flight 9 >"$T/two9.json" 2>/dev/null || bad "collapse, 9 in flight"
cmp -s <(docs "$T/two1") <(docs "$T/two9") || bad "what a collapse leaves depends on the concurrency"
for _ in $(seq 6); do
    "$MIXLAW" synth --quiet --recipe "$T/two.yaml" --generator "$url" --out "$T/twok" --in-flight 5 "$T/pages.jsonl" >/dev/null 2>&1 &
    pid=$!
    sleep "0.$((RANDOM % 20 + 5))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null && break
done
two --out "$T/twok" --in-flight 5 >"$T/twok.json" 2>/dev/null || bad "collapse, after kills"
cmp -s <(docs "$T/two1") <(docs "$T/twok") || bad "what a collapse leaves is changed by kills"
before=$(stat_of "$url" n)
two --out "$T/two9" >/dev/null 2>&1 || bad "collapse, again"
[ "$(stat_of "$url" n)" = "$before" ] || bad "a finished run with a collapse asks again"
sed -i 's/action: rotate/action: stop/' "$T/two.yaml"
two --out "$T/two9" >"$T/two9.json" 2>/dev/null || bad "collapse, stop"
[ "$(get "$T/two9.json" requests)" -lt 76 ] || bad "collapse, stop: $(cat "$T/two9.json")"
sed -i 's/action: stop/action: warn/' "$T/two.yaml"
two --out "$T/two9" >"$T/two9.json" 2>/dev/null || bad "collapse, warn"
[ "$(get "$T/two9.json" requests)" = 80 ] || bad "collapse, warn: $(cat "$T/two9.json")"
sed -i '/name: plain/d; s/action: warn/action: rotate/' "$T/two.yaml"
two --out "$T/one" --in-flight 3 >"$T/one.json" 2>"$T/one.err" || bad "collapse of the only variant"
[ "$(get "$T/one.json" stopped)" = collapse ] && [ "$(get "$T/one.json" requests)" -lt 40 ] ||
    bad "collapse of the only variant: $(cat "$T/one.json")"
before=$(stat_of "$url" n)
two --out "$T/one" >"$T/one2.json" 2>/dev/null || bad "collapse of the only variant, again"
[ "$(stat_of "$url" n)" = "$before" ] && cmp -s "$T/one.json" "$T/one2.json" || bad "a collapsed run is not finished"

# Answers without a text in them have no diversity.
echo '{"prompt":"*","text":" "}' >"$T/blank.jsonl"
synth --generator "record:$T/blank.jsonl" --out "$T/blank" >"$T/blank.json" 2>"$T/err" || bad "blank answers: $(cat "$T/err")"
[ "$(get "$T/blank.json" diversity)" = None ] && [ "$(get "$T/blank.json" kept)" = 0 ] || bad "blank answers: $(cat "$T/blank.json")"

# Outputs that share 13 words with an evaluation document are dropped.
docs "$T/a" | head -3 >"$T/domain.jsonl"
synth --decontaminate "$T/domain.jsonl" --generator "$good" --out "$T/a" >"$T/c.json" || bad "decontaminate"
[ "$(py 'print(json.load(open(sys.argv[1]))["dropped"].get("contaminated"))' "$T/c.json")" = 3 ] || bad "contaminated: $(cat "$T/c.json")"

# Every prompt for every piece of a page, one document a page: its passages, then what was kept of all answers.
joined() { "$MIXLAW" synth --quiet --recipe megadoc --idle 60s --generator "$good" --out "$T/$1" "${@:2}" "$T/pages.jsonl"; }
joined mega >"$T/mega.json" 2>"$T/err" || bad "megadoc: $(cat "$T/err")"
asked=$(stat_of "$good" n)
rm "$T/mega/manifest.json"
joined mega >"$T/mega2.json" || bad "megadoc again"
[ "$(stat_of "$good" n)" = "$asked" ] || bad "megadoc asks again"
py '
run, pages, docs = json.load(open(sys.argv[1])), {}, [json.loads(l) for l in open(sys.argv[3])]
for line in open(sys.argv[2]):
    page = json.loads(line)
    pages[page["id"]] = page["text"]
assert run["docs_out"] == len(docs) == len({d["id"] for d in docs}) > 60, run
assert run["kept"] == sum(len(d["meta"]["variants"]) for d in docs) > 3 * len(docs), run
for d in docs:
    meta = d["meta"]
    raw, spans = d["text"].encode(), meta["spans"]
    assert spans[0]["from"] == 0 and spans[-1]["to"] == len(raw) and all(a["to"] == b["from"] for a, b in zip(spans, spans[1:])), d
    part = [(s["provenance"], raw[s["from"] : s["to"]].decode(), s) for s in spans]
    assert all(t.strip() in pages[meta["source_id"]] for p, t, s in part if p == "natural"), d
    made = [(s["piece"], s["variant"]) for p, t, s in part if p == "synthetic" and "In short, " in t]
    assert made == list(zip(meta["pieces"], meta["variants"])) and len(made) + len(set(meta["pieces"])) <= len(spans), d
    natural = "".join(t for p, t, s in part if p == "natural")
    passages = natural.split("\n\n")[:-1]
    assert passages and all(p in pages[meta["source_id"]] for p in passages), d
    assert meta["provenance"] == "mixed" and len(meta["pieces"]) == len(meta["variants"]), d
    assert d["text"].count("In short, ") == len(meta["pieces"]), d
    order = [["reference", "easy", "teacher"].index(v) for v in meta["variants"]]
    assert order == sorted(order), d
' "$T/mega.json" "$T/pages.jsonl" <(docs "$T/mega") || bad "megadoc"
joined few --max-docs 20 >"$T/few.json" || bad "megadoc, fewer pages"
[ -z "$(comm -23 <(docs "$T/few" | sort) <(docs "$T/mega" | sort))" ] || bad "megadoc: fewer pages are other documents"
"$MIXLAW" synth --quiet --recipe copy --like "$T/few" --out "$T/few-copy" "$T/pages.jsonl" >"$T/few-copy.json" || bad "copy of a megadoc"
[ "$(get "$T/few-copy.json" docs_out)" = "$(docs "$T/few" | py 'print(len({(d["meta"]["source_id"], p) for d in map(json.loads, sys.stdin) for p in d["meta"]["pieces"]}))')" ] ||
    bad "copy of a megadoc: $(cat "$T/few-copy.json")"

# synth try shows what a run would get, and writes nothing.
try() { (cd "$T/nothing" && "$MIXLAW" synth try --quiet --idle 60s "$@"); }
mkdir "$T/nothing"
try --recipe hq --generator "$good" --docs 100 "$T/pages.jsonl" >"$T/try.jsonl" 2>"$T/err" || bad "try: $(cat "$T/err")"
py '
rows = [json.loads(l) for l in open(sys.argv[1])]
kept = {"hq:%s:%d" % (r["doc"], r["piece"]): r["document"] for r in rows if r["verdict"] == "kept"}
made = {d["id"]: d["text"] for d in map(json.loads, open(sys.argv[2]))}
assert len(rows) == 80 and kept == made, (len(rows), len(kept), len(made))
for r in rows:
    assert r["source"] in r["prompt"]["user"] and r["finish"] in ("stop", "length"), r
    assert r["measures"]["verdict"] == r["verdict"], r
' "$T/try.jsonl" <(docs "$T/k") || bad "try is not what a run gets"
try --recipe megadoc --doc d7 "$T/pages.jsonl" >"$T/try.jsonl" 2>"$T/err" || bad "try without a generator"
py 'rows = [json.loads(l) for l in open(sys.argv[1])]; assert len(rows) % 3 == 0 and all(r["doc"] == "d7" and r["raw"] is None and r["verdict"] is None and r["source"] in r["prompt"]["user"] for r in rows), rows' "$T/try.jsonl" ||
    bad "prompts of one document: $(cat "$T/try.jsonl")"
echo '{"prompt": "*", "raw": "- It burned rapeseed oil until 1931.\n* Oxley asked for it in 1851."}' >"$T/answer.jsonl"
cat >"$T/own.yaml" <<'END'
name: own
purpose: a recipe of one's own
input: {unit: page, min_words: 5}
prompts:
  - {name: a, user: "{text} List it.", prefill: "-"}
parse: {form: lines}
limits: {min_words: 5, max_loop: 1}
END
echo "The lighthouse burned rapeseed oil until 1931 and <|im_end|> was asked for by Oxley in 1851." >"$T/mark.txt"
try --recipe "$T/own.yaml" --doc "$T/mark.txt" --generator "record:$T/answer.jsonl" >"$T/try.jsonl" 2>"$T/err" || bad "own recipe: $(cat "$T/err")"
py 'r = json.load(open(sys.argv[1])); assert r["verdict"] == "kept" and r["measures"]["lines"] == 2, r; assert r["document"] == "- It burned rapeseed oil until 1931.\n- Oxley asked for it in 1851.", r; assert "<|im_end|>" in r["prompt"]["user"]' "$T/try.jsonl" ||
    bad "own recipe"
[ "$(wc -l <"$T/err")" = 1 ] && grep -q "chat mark '<|im_end|>'" "$T/err" || bad "chat marks: $(cat "$T/err")"
try --recipe shuffle "$T/mark.txt" 2>&1 >/dev/null | grep -q "no piece of 50 to 110 words\|none of 1 documents has a piece" || bad "try shuffle of a short page"
try --recipe shuffle --doc d7 "$T/pages.jsonl" | py 'r = json.loads(sys.stdin.readline()); assert sorted(r["document"].split()) == sorted(r["source"].split()) and "prompt" not in r' || bad "try shuffle"
py 'import pty; pty.spawn(sys.argv[1:])' "$MIXLAW" synth try --recipe "$T/own.yaml" --generator "record:$T/answer.jsonl" "$T/mark.txt" >"$T/seen" 2>&1
for text in "=== document 'mark.txt', piece 0, prompt 'a'" "--- user" "List it." "--- raw answer (stop" "--- verdict: kept" "source_kept"; do
    grep -qF -- "$text" "$T/seen" || bad "for people: '$text' is missing in $(cat "$T/seen")"
done
: >"$T/empty.txt"
while IFS='|' read -r want args; do
    # shellcheck disable=SC2086
    try $args >"$T/try.jsonl" 2>"$T/err" && bad "try $args: no failure"
    [ "$(wc -l <"$T/err")" = 1 ] && [ ! -s "$T/try.jsonl" ] && grep -qF -- "$want" "$T/err" || bad "try $args: $(cat "$T/err" "$T/try.jsonl")"
done <<END
no recipe is called 'nope'|--recipe nope $T/pages.jsonl
want at least one INPUT|--recipe hq
no file or folder '$T/none.txt'|--recipe hq --doc $T/none.txt
no document with text|--recipe hq $T/empty.txt
document 'menu' has no piece of 50 to 110 words|--recipe hq --doc menu $T/pages.jsonl
none of 81 documents has the id 'nobody'|--recipe hq --doc nobody $T/pages.jsonl
no such file; want a GGUF file|--recipe hq --generator $T/none.gguf $T/pages.jsonl
END
[ -z "$(ls -A "$T/nothing")" ] || bad "try wrote $(ls "$T/nothing")"

# A full disk: a clear message, and it goes on after room was made.
mkdir "$T/disk"
if mount -t tmpfs -o size=24k tmpfs "$T/disk" 2>/dev/null; then
    synth --generator "$good" --out "$T/disk/a" >/dev/null 2>"$T/err" && bad "full disk: no failure"
    grep -qi "no space\|room" "$T/err" || bad "full disk: $(cat "$T/err")"
    mount -o remount,size=4m "$T/disk"
    synth --generator "$good" --out "$T/disk/a" >/dev/null 2>"$T/err" || bad "after a full disk: $(cat "$T/err")"
    cmp -s <(docs "$T/disk/a") <(docs "$T/k") || bad "after a full disk: other documents"
    umount "$T/disk"
else
    echo "skipped: no small disk to fill, mounting a tmpfs needs root"
fi
[ $n_bad = 0 ] && echo "synth runs: all passed"
exit $((n_bad > 0))
