#!/bin/bash
# The commands `corpus` and `corpus cat` as people use them: keys, exit codes, messages, pipes, URLs.
set -euo pipefail
: "${MIXLAW:?}"
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
golden=tests/golden/corpus
export MIXLAW_CACHE=$dir/cache

# Every key of the manual, as one line of JSON.
"$MIXLAW" corpus --min-bytes 1 --dedup exact --out "$dir/out" "$golden/plain.wet" "$golden/pages.warc" >"$dir/row" 2>/dev/null
for key in docs_in docs_out bytes_in bytes_out skipped_records dropped wall_s; do
    grep -q "\"$key\":" "$dir/row" || fail "no $key in $(cat "$dir/row")"
done
grep -q '"docs_in":10,"docs_out":7,.*"skipped_records":0,"dropped":{"duplicate":3}' "$dir/row" || fail "$(cat "$dir/row")"
"$MIXLAW" corpus cat "$dir/out/docs-00000.jsonl.zst" >"$dir/docs"
[ "$(wc -l <"$dir/docs")" = 7 ] || fail "documents read again"
"$MIXLAW" corpus cat "$dir/out/dropped.jsonl.zst" >/dev/null 2>"$dir/said"
grep -q 'record 1 at byte 0 skipped: there is no "text"' "$dir/said" || fail "$(cat "$dir/said")"

# Again: nothing to do. Other settings: refused.
"$MIXLAW" corpus --min-bytes 1 --dedup exact --out "$dir/out" "$golden/plain.wet" "$golden/pages.warc" >"$dir/row2" 2>"$dir/said"
grep -q 'up to date' "$dir/said" || fail "not up to date: $(cat "$dir/said")"
cmp -s "$dir/row" "$dir/row2" || fail "other counts the second time"
rc=0; "$MIXLAW" corpus --out "$dir/out" "$golden/plain.wet" >/dev/null 2>"$dir/said" || rc=$?
{ [ $rc = 2 ] && grep -q 'other settings' "$dir/said"; } || fail "exit $rc: $(cat "$dir/said")"

# Exit codes.
expect() { # code, words of the message, arguments
    local want=$1 say=$2 rc=0
    shift 2
    "$MIXLAW" "$@" >/dev/null 2>"$dir/said" </dev/null || rc=$?
    [ "$rc" = "$want" ] || fail "$*: exit $rc, want $want: $(cat "$dir/said")"
    grep -q -- "$say" "$dir/said" || fail "$*: said $(cat "$dir/said")"
}
expect 2 'INPUT' corpus --out "$dir/x"
expect 2 'out' corpus "$golden/plain.wet"
expect 2 'max_similar\|max-similar' corpus --dedup minhash --max-similar 0.2 --out "$dir/x" "$golden/plain.wet"
expect 2 'unsupported' corpus --lang en --out "$dir/x" "$golden/plain.wet"
expect 1 'no file or folder' corpus --out "$dir/x" "$dir/nothing"
expect 1 'no file in' corpus cat "$dir/none*"
head -c 600 "$golden/members.wet.gz" >"$dir/cut.wet.gz"
expect 0 "cut.wet.gz' record 4 at byte 580 skipped" corpus cat "$dir/cut.wet.gz"
expect 1 "cut.wet.gz' record 4 at byte 580" corpus cat --strict "$dir/cut.wet.gz"

# Standard input; a reader of ours that has seen enough.
"$MIXLAW" corpus cat - <"$golden/members.wet.gz" >"$dir/docs"
[ "$(wc -l <"$dir/docs")" = 3 ] || fail "standard input"
for _ in $(seq 2000); do cat "$golden/plain.wet"; done >"$dir/many.wet"
"$MIXLAW" corpus cat "$dir/many.wet" 2>"$dir/said" | head -n 1 >/dev/null || fail "| head: $(cat "$dir/said")"

# The same document three times over: ids stay unique.
cp "$golden/lines.jsonl" "$dir/a.jsonl"
"$MIXLAW" corpus --min-bytes 1 --out "$dir/ids" "$dir/a.jsonl" "$dir/a.jsonl" "$golden/lines.jsonl" >/dev/null 2>&1
"$MIXLAW" corpus cat "$dir/ids" 2>/dev/null | sed 's/,"text".*//' | sort | uniq -d >"$dir/twice"
[ ! -s "$dir/twice" ] || fail "ids twice: $(cat "$dir/twice")"

# A folder with a picture and a broken link is read around them.
mkdir "$dir/mixed"
cp "$golden/notes.txt" "$dir/mixed"
printf '\x89PNG\r\n\x1a\n\0\0\0\0' >"$dir/mixed/picture.png"
ln -s nowhere "$dir/mixed/link.txt"
"$MIXLAW" corpus --min-bytes 1 --out "$dir/mix" "$dir/mixed" >"$dir/row" 2>"$dir/said"
grep -q '"docs_out":1,.*"skipped_records":2' "$dir/row" || fail "$(cat "$dir/row" "$dir/said")"

# Killed in the middle: nothing that looks finished; the same command then ends.
for _ in 1 2 3 4 5 6; do cat "$dir/many.wet"; done >"$dir/big.wet"
"$MIXLAW" corpus --min-bytes 1 --out "$dir/killed" "$dir/big.wet" >/dev/null 2>&1 &
victim=$!
sleep 0.2
kill -9 $victim 2>/dev/null || true
wait $victim 2>/dev/null || true
if [ -e "$dir/killed/manifest.json" ]; then echo "(it was faster than the kill)"; else
    if [ -e "$dir/killed/docs-00000.jsonl.zst" ]; then # finished, but for the manifest
        [ "$("$MIXLAW" corpus cat "$dir/killed/docs-00000.jsonl.zst" 2>&1 | tail -n 1 | cut -c1-6)" = '{"id":' ] ||
            fail "half a shard under its name"
    fi
fi
"$MIXLAW" corpus --min-bytes 1 --out "$dir/killed" "$dir/big.wet" >/dev/null 2>&1
"$MIXLAW" corpus --min-bytes 1 --out "$dir/whole" "$dir/big.wet" >/dev/null 2>&1
cmp "$dir/killed/docs-00000.jsonl.zst" "$dir/whole/docs-00000.jsonl.zst" || fail "other bytes after a kill"
[ -z "$(find "$dir/killed" -name '*.tmp-*')" ] || fail "temporary files stayed"

# A URL, through the cache.
if command -v python3 >/dev/null; then
    python3 -u -m http.server --bind 127.0.0.1 --directory "$golden" 0 >"$dir/http" 2>&1 &
    server=$!
    for _ in $(seq 600); do grep -q 'port [0-9]' "$dir/http" && break; sleep 0.1; done
    port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$dir/http")
    "$MIXLAW" corpus cat "http://127.0.0.1:$port/members.wet.gz" >"$dir/docs" 2>"$dir/said" || fail "$(cat "$dir/said")"
    cmp -s "$dir/docs" "$golden/members.wet.gz.want" || fail "a URL gave $(cat "$dir/docs")"
    path=$("$MIXLAW" cache get "http://127.0.0.1:$port/members.wet.gz") || fail "cache get"
    [ "$("$MIXLAW" cache)" = "{\"path\":\"$path\",\"bytes\":$(stat -c %s "$golden/members.wet.gz")}" ] ||
        fail "cache lists '$("$MIXLAW" cache)', got $path"
    "$MIXLAW" cache clean --quiet
    [ -z "$("$MIXLAW" cache)" ] || fail "cleaned, but $("$MIXLAW" cache)"
    expect 1 '404' corpus cat "http://127.0.0.1:$port/nothing.wet.gz"
else
    echo "no python3: URLs not tried"
fi

# The same bytes with any number of threads.
for threads in 1 2 5; do
    "$MIXLAW" corpus --threads $threads --min-bytes 1 --dedup minhash --max-similar 0.6 --hold-out 0.2 --held "$dir/th$threads" \
        --decontaminate "$golden/notes.txt" --out "$dir/t$threads" -- "$golden" "$dir/many.wet" >/dev/null 2>&1
    for file in docs-00000.jsonl.zst dropped.jsonl.zst; do
        cmp "$dir/t1/$file" "$dir/t$threads/$file" || fail "other bytes with $threads threads"
    done
    cmp "$dir/th1/docs-00000.jsonl.zst" "$dir/th$threads/docs-00000.jsonl.zst" || fail "held apart with $threads threads"
done
echo passed
