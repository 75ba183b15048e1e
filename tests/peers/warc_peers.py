#!/usr/bin/env python3
"""Compares `mixlaw corpus cat` on web archives with warcio and FastWARC: the same records, the same text.

Usage: warc_peers.py MIXLAW FILE...   Pinned: warcio 1.8.1, FastWARC 2.0.1 (others are named and tried).

A record is a document when it is a conversion of text/plain, or an answer with status 200 of HTML or
plain text, or such a resource. For conversions the text must be the same, byte for byte but for repaired
UTF-8 and NUL; for pages the list of record ids must be, except pages from which no text is left.
"""
import json
import subprocess
import sys
from importlib.metadata import version


def page(media):
    media = (media or "").strip().lower()
    return media.startswith(("text/html", "text/plain", "application/xhtml")) or not media


def clean(data):
    return data.decode("utf-8", "replace").replace("\0", "")


def by_warcio(path):
    from warcio.archiveiterator import ArchiveIterator

    out = []
    with open(path, "rb") as f:
        for r in ArchiveIterator(f):
            h = r.rec_headers
            media = h.get_header("Content-Type") or ""
            uri = (h.get_header("WARC-Target-URI") or "").strip("<>")
            ident = (h.get_header("WARC-Record-ID") or "").strip("<>")
            if r.rec_type == "conversion" and media.startswith("text/plain"):
                out.append((ident, uri, clean(r.raw_stream.read())))
            elif r.rec_type == "response" and r.http_headers:
                if r.http_headers.get_statuscode() == "200" and page(r.http_headers.get_header("Content-Type")):
                    out.append((ident, uri, None))
            elif r.rec_type == "resource" and media.startswith(("text/html", "text/plain")):
                out.append((ident, uri, None))
    return out


def by_fastwarc(path):
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    out = []
    for r in ArchiveIterator(path, record_types=WarcRecordType.any_type, fsspec_args=False):
        media = r.headers.get("Content-Type") or ""
        uri = (r.headers.get("WARC-Target-URI") or "").strip("<>")
        ident = r.record_id.strip("<>")
        if r.record_type == WarcRecordType.conversion and media.startswith("text/plain"):
            out.append((ident, uri, clean(r.reader.read())))
        elif r.record_type == WarcRecordType.response and r.is_http and r.http_headers is not None:
            if r.http_headers.status_code == 200 and page(r.http_headers.get("Content-Type")):
                out.append((ident, uri, None))
        elif r.record_type == WarcRecordType.resource and media.startswith(("text/html", "text/plain")):
            out.append((ident, uri, None))
    return out


def by_mixlaw(program, path):
    run = subprocess.run([program, "corpus", "cat", path], capture_output=True, check=True)
    docs = [json.loads(line) for line in run.stdout.decode().split("\n") if line]
    return [(d["id"], d["meta"].get("url", ""), d["text"]) for d in docs], run.stderr.decode()


def compare(name, want, got):
    """Every document of ours is one of theirs, in order; theirs that are missing hold no text."""
    bad, missing, at = [], 0, 0
    for ident, uri, text in got:
        while at < len(want) and want[at][0] != ident:
            if want[at][2] is not None:
                bad.append(f"{name}: text of {want[at][0]} is missing")
            missing += 1
            at += 1
        if at == len(want):
            bad.append(f"{name}: {ident} is not a document there, or out of order")
            break
        if want[at][1] != uri:
            bad.append(f"{name}: {ident} has address {uri!r}, want {want[at][1]!r}")
        if want[at][2] is not None and want[at][2] != text:
            bad.append(f"{name}: text of {ident} differs")
        at += 1
    return bad, missing + len(want) - at


def main():
    program, paths = sys.argv[1], sys.argv[2:]
    print(f"warcio {version('warcio')}, FastWARC {version('fastwarc')}")
    failed = 0
    for path in paths:
        got, said = by_mixlaw(program, path)
        for name, read in (("warcio", by_warcio), ("fastwarc", by_fastwarc)):
            want = read(path)
            bad, missing = compare(name, want, got)
            print(f"{path.rsplit('/', 1)[-1]}: {len(got)} documents, {name} {len(want)}, {missing} without text, {len(bad)} differences")
            for line in bad[:5]:
                print("   ", line)
            failed += bool(bad)
            if missing > max(2, len(want) // 3) and len(got) > 0:
                print("    too many pages gave no text")
                failed += 1
        if said:
            print("    said:", said.strip().splitlines()[0])
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
