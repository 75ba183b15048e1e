#!/usr/bin/env python3
"""Whether a folder made by `synth --recipe hq` is consistent: every page has exactly one state, nothing is twice
in the output, the totals are those of the parts. Prints the counts by verdict as JSON.
usage: check_folder.py DIR DOCS.jsonl N_PAGES [ROW.json]     DOCS: DIR's documents, unpacked; ROW: what synth printed"""
import collections
import ctypes
import ctypes.util
import json
import sys


def unzstd(path):
    """The library is there: mixlaw is linked with it. Python's own comes with 3.14 only."""
    z = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    for name in "ZSTD_DStreamInSize", "ZSTD_decompressStream":
        getattr(z, name).restype = ctypes.c_size_t
    z.ZSTD_createDStream.restype = ctypes.c_void_p

    class Buffer(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]

    data, room, out = open(path, "rb").read(), ctypes.create_string_buffer(1 << 20), b""
    source = ctypes.create_string_buffer(data, len(data))
    stream, src = ctypes.c_void_p(z.ZSTD_createDStream()), Buffer(ctypes.addressof(source), len(data), 0)
    while src.pos < src.size:
        dst = Buffer(ctypes.addressof(room), len(room), 0)
        rc = z.ZSTD_decompressStream(stream, ctypes.byref(dst), ctypes.byref(src))
        assert not z.ZSTD_isError(ctypes.c_size_t(rc)), path
        out += room.raw[: dst.pos]
    return out


folder, docs, n_pages = sys.argv[1], [json.loads(l) for l in open(sys.argv[2])], int(sys.argv[3])
verdicts = [json.loads(l) for l in unzstd(folder + "/verdicts.jsonl.zst").splitlines()]
answered = {json.loads(l)["key"] for l in open(folder + "/ledger.jsonl")}
count = collections.Counter(v["verdict"] for v in verdicts)

assert len(verdicts) == n_pages, "%d states for %d pages" % (len(verdicts), n_pages)
assert len({v["key"] for v in verdicts}) == len({v["id"] for v in verdicts}) == n_pages, "a page has two states"
kept = {"hq:%s:%d" % (v["id"], v["piece"]) for v in verdicts if v["verdict"] == "kept"}
assert len(docs) == len(kept) and {d["id"] for d in docs} == kept, "documents are not what was kept"
assert answered == {v["key"] for v in verdicts if v["verdict"] != "failed"}, "the ledger holds other answers"
assert sum(1 for l in open(folder + "/ledger.jsonl")) == len(answered), "an answer is twice in the ledger"
if len(sys.argv) > 4:
    row = json.load(open(sys.argv[4]))
    assert row["requests"] == n_pages == row["kept"] + sum(row["dropped"].values()), row
    assert row["docs_out"] == row["kept"] == len(docs) and row["pending"] == 0, row
    assert row["dropped"] == {k: n for k, n in count.items() if k != "kept"}, (row, count)
print(json.dumps(count))
