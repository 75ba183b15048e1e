#!/bin/bash
# What people and machines do to `corpus`, `tokenize` and `synth`: odd folders, names and files, a full disk,
# two commands in one folder, kills. Each case names what must be said and what must be left behind.
set -euo pipefail
: "${MIXLAW:?}"
dir=$(mktemp -d)
disk=
trap '[ -z "$disk" ] || umount "$disk"; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
golden=$PWD/tests/golden/corpus
export MIXLAW_CACHE=$dir/cache
cd "$dir"
expect() { # exit code, words of the message, arguments
    local want=$1 say=$2 rc=0
    shift 2
    timeout 600 "$MIXLAW" "$@" >row 2>said </dev/null || rc=$?
    [ "$rc" = "$want" ] || fail "$*: exit $rc, want $want: $(cat said)"
    [ -z "$say" ] || grep -qF -- "$say" said || fail "$*: said $(cat said), want $say"
}
docs() { timeout 600 "$MIXLAW" corpus cat "$@" 2>said | wc -l; }

# A name that is no UTF-8; a link back up; a pipe that nobody writes to.
mkdir -p odd/below
cp "$golden/notes.txt" odd/$'caf\xe9.txt'
ln -s .. odd/below/up
mkfifo odd/pipe
expect 0 "leads back to a folder it lies in" corpus --min-bytes 1 --out o1 odd
grep -qF "'odd/pipe' is no plain file" said || fail "$(cat said)"
grep -q '"docs_in":1' row || fail "$(cat row)"
grep -qF 'caf\\xE9.txt": "' o1/manifest.json || fail "the manifest lost the name"

# Inputs in the folder that is written would be cleared away; other people's files there stay.
mkdir own
cp "$golden/lines.jsonl" own/docs-2020.jsonl
cp o1/docs-00000.jsonl.zst own/
expect 2 "lies in the folder 'own'" corpus --min-bytes 1 --out own own/docs-00000.jsonl.zst
expect 2 "lies in the folder 'own'" corpus --min-bytes 1 --out own --decontaminate own/docs-00000.jsonl.zst -- odd
expect 2 "lies in the folder 'own'" synth --recipe copy --out own own/docs-00000.jsonl.zst
expect 2 "lies in the folder 'own'" synth --recipe copy --out own --decontaminate own/docs-00000.jsonl.zst -- odd
[ -s own/docs-00000.jsonl.zst ] || fail "the input is gone"
rm own/docs-00000.jsonl.zst
expect 0 "" corpus --min-bytes 1 --out own odd
[ -s own/docs-2020.jsonl ] || fail "a file that is not ours is gone"

# JSON that is not JSONL; a byte order mark before JSONL.
printf '[{"text":"a"},\n{"text":"b"}]\n' >array.json
printf '{\n  "text": "a"\n}\n' >pretty.json
printf '\xef\xbb\xbf{"text":"a"}\n{"text":"b"}\n' >bom.jsonl
expect 2 "not one object a line" corpus cat array.json
expect 2 "not one object a line" corpus cat pretty.json
[ "$(docs bom.jsonl)" = 2 ] || fail "a byte order mark: $(cat said)"

# Of a finished folder the documents are read, and nothing that a kill left there.
cp o1/docs-00000.jsonl.zst o1/docs-00001.jsonl.zst.tmp-1234
[ "$(docs o1)" = 1 ] || fail "read beside the documents: $(cat said)"
expect 0 "" tokenize train --vocab-size 260 --out new/folder/tok.json o1
expect 0 "" tokenize encode --tokenizer new/folder/tok.json --out t/x o1
grep -q '"docs":1' row || fail "$(cat row)"
expect 0 "" tokenize convert --to llmc --out other/folder/x t/x

# Token files of others: ids that no vocabulary has, ids beyond what the manifest promises, the same file by another name.
python3 - <<'END'
import struct
def llmc(path, ids):
    open(path, "wb").write(struct.pack("<256i", 20240801, 7, len(ids), *[0] * 253) + struct.pack("<%dI" % len(ids), *ids))
llmc("huge.bin", [1, 2**32 - 1])
llmc("wide.bin", [128000, 1, 2])
END
expect 1 "holds the token 4294967295" tokenize convert --to megatron --out other/huge huge.bin
expect 1 "holds the token 4294967295" tokenize convert --to datatrove --out other/huge huge.bin
expect 0 "" tokenize convert --to megatron --out other/wide wide.bin
sed -i 's/"vocab_size": 128001/"vocab_size": 300/; s/"eod": 128000/"eod": -1/' other/wide.json
expect 1 "is 128000, want below 300" tokenize convert --to datatrove --out other/narrow other/wide
[ ! -e other/narrow.ds ] || fail "ids that were cut to 16 bits"
cp t/x.bin alone.bin
cp t/x.idx alone.idx
expect 2 "written over itself" tokenize convert --to llmc --out ./alone alone

# Lengths that lie, once a record, and line ends without end: neither time nor memory may follow them.
python3 - <<'END'
head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
open("lie.warc", "wb").write(head % 20000000 * 250000)
open("ends.warc", "wb").write(head % 2 + b"ok" + b"\r\n" * 20000000 + head % 2 + b"hi\r\n\r\n")
open("deep.jsonl", "wb").write(b'{"text":"ok"}\n{"text":"x","meta":' + b"[" * 100000 + b"]" * 100000 + b"}\n")
END
(ulimit -t 60; [ "$(docs lie.warc)" = 0 ]) || fail "lie.warc: $(tail -n 3 said)"
[ "$(docs ends.warc)" = 2 ] || fail "ends.warc: $(cat said)"
[ "$(docs deep.jsonl)" = 1 ] && grep -q 'record 2 .*maximum parsing depth' said || fail "deep.jsonl: $(cat said)"

# What can be read only once is read once.
expect 0 "" corpus --min-bytes 1 --out piped <(cat "$golden/notes.txt")
grep -q '"docs_in":1' row || fail "a pipe by name: $(cat row)"
expect 0 "" tokenize encode --tokenizer new/folder/tok.json --out t/piped <(cat "$golden/notes.txt")
grep -q '"docs":1' row || fail "a pipe by name: $(cat row)"
expect 2 "read several times" synth --recipe copy --out piped-kind <(cat "$golden/notes.txt")

# Names that a terminal would obey.
expect 1 "no?[2Jfile'" corpus cat $'no\e[2Jfile'

# Waiting for more of a pipe and asked to stop, also where what came is whole; results that cannot be written.
mkfifo input-pipe
for sends in true "cat $golden/members.wet.gz" "gzip -c $golden/lines.jsonl" "cat $golden/lines.jsonl"; do
    rm -f sent
    { $sends; touch sent; exec sleep 600; } >input-pipe &
    sender=$!
    "$MIXLAW" corpus cat - <input-pipe >/dev/null 2>said &
    reader=$!
    # Until all is in the pipe and the reader listens to SIGINT.
    until [ -e sent ] && grep -q '^SigCgt:.*[2367abef]$' /proc/$reader/status; do
        kill -0 $reader || fail "the reader has ended: $(cat said)"
        sleep 0.05
    done
    kill -INT $reader
    rc=0; wait $reader || rc=$?
    kill $sender
    [ $rc = 130 ] && grep -q "stopped" said || fail "interrupted after '$sends': exit $rc: $(cat said)"
done
for command in "corpus cat $golden/lines.jsonl" "tokenize cat t/x" "synth recipes hq"; do
    rc=0; "$MIXLAW" $command >/dev/full 2>said || rc=$?
    [ $rc = 1 ] && grep -q "No space left" said || fail "$command: exit $rc: $(cat said)"
done

# Two commands in one folder: one works, the other says so.
for _ in $(seq 3000); do cat "$golden/plain.wet"; done >many.wet
mkdir busy
exec 9>busy/.lock
flock 9
printf 4711 >busy/.lock
expect 1 "process 4711" corpus --min-bytes 1 --out busy many.wet
expect 1 "process 4711" corpus --min-bytes 1 --hold-out 0.1 --held busy --out free many.wet
expect 1 "process 4711" synth --recipe copy --out busy many.wet
exec 9>&-

# A kill while a finished synth folder is made again never leaves one that looks finished.
for i in $(seq 400); do
    printf '{"id":"%d","text":"%s"}\n' "$i" "$(for k in $(seq 8); do printf 'Page %d says in sentence %d that mills grind corn for the bakers of the town. ' "$i" "$k"; done)"
done >pages.jsonl
expect 0 "" synth --recipe copy --max-docs 100 --out kind pages.jsonl
cp kind/docs-00000.jsonl.zst kind/docs-00000.jsonl.zst.tmp-99
for pause in 0.02 0.05 0.1 0.2; do
    "$MIXLAW" synth --recipe copy --out kind pages.jsonl >/dev/null 2>&1 &
    victim=$!
    sleep $pause
    kill -9 $victim 2>/dev/null || true
    wait $victim 2>/dev/null || true
    [ ! -e kind/manifest.json ] || [ -e kind/docs-00000.jsonl.zst ] || fail "finished without documents"
done
expect 0 "" synth --recipe copy --out kind pages.jsonl
[ -z "$(find kind -name '*.tmp-*')" ] || fail "half-written files stayed"
expect 0 "" synth --recipe copy --out whole pages.jsonl
cmp kind/docs-00000.jsonl.zst whole/docs-00000.jsonl.zst || fail "other documents after kills"

# Every output on a full disk: said, and nothing under a finished name.
mkdir small
if mount -t tmpfs -o size=20k tmpfs small 2>/dev/null; then
    disk=$dir/small
    "$MIXLAW" tokenize train --vocab-size 300 --out tok.json many.wet >/dev/null 2>&1
    expect 1 "No space left" corpus --min-bytes 1 --dedup none --out small/c pages.jsonl --hold-out 0.5 --held small/h
    head -c 18000 /dev/zero >small/fill || true
    expect 1 "No space left" tokenize train --vocab-size 400 --out small/tok.json pages.jsonl
    rm small/fill
    expect 1 "No space left" tokenize encode --tokenizer tok.json --out small/t pages.jsonl
    expect 0 "" tokenize encode --tokenizer tok.json --out t/pages pages.jsonl
    for to in megatron llmc datatrove; do
        expect 1 "No space left" tokenize convert --to $to --out small/z t/pages
    done
    expect 1 "No space left" synth --recipe shuffle --out small/kind pages.jsonl
    left=$(find small -type f ! -path "small/c/docs-*" ! -path "small/h/docs-*" ! -name ".*lock")
    [ -z "$left" ] || fail "left on the full disk: $left"
else
    echo "skipped: no small disk to fill, mounting a tmpfs needs root"
fi
echo "hostile: all passed"
