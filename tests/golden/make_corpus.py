#!/usr/bin/env python3
"""Makes tests/golden/corpus/: one small file a format and, beside it, the documents that it must give.

The wanted documents are written out here by hand. Usage: make_corpus.py [--check]
--check compares what is there instead of writing. Python's standard library only.
"""
import json
import os
import sys
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
FILES = {}


def member(data):
    """One gzip member with a fixed time, the same bytes on every machine."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = c.compress(data) + c.flush()
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + body + zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")


def record(kind, body, uri=None, media="text/plain", number=1):
    lines = [f"WARC-Type: {kind}", f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012d}>"]
    if uri:
        lines.append(f"WARC-Target-URI: {uri}")
    lines += ["WARC-Date: 2024-01-01T00:00:00Z", f"Content-Type: {media}", f"Content-Length: {len(body)}"]
    return b"WARC/1.0\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def doc(id, text, offset, source, **meta):
    m = {"source": source}
    for key in ("url", "title"):
        if key in meta:
            m[key] = meta.pop(key)
    m["offset"] = offset
    m.update(meta)
    return {"id": id, "text": text, "meta": m}


def put(name, data, docs):
    FILES[name] = data if isinstance(data, bytes) else data.encode()
    lines = [json.dumps(d, ensure_ascii=False, separators=(",", ":")) + "\n" for d in docs]
    FILES[name + ".want"] = "".join(lines).encode()


def uuid(number):
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


# WET, plain and with one gzip member a record.
wet = [
    record("warcinfo", b"format: WARC File Format 1.0\r\ndescription: plain text\r\n", media="application/warc-fields", number=1),
    record("conversion", "First page.\nCafé, naïve.\n".encode(), "http://a.example/1", number=2),
    record("conversion", b"bad \xff byte, nul \x00 gone", "http://a.example/2", number=3),
    record("conversion", b"WARC/1.0 in the text\r\n\r\nWARC/1.0\r\n\r\nstill the text", "http://a.example/3", number=4),
]
texts = ["First page.\nCafé, naïve.\n", "bad \ufffd byte, nul  gone", "WARC/1.0 in the text\r\n\r\nWARC/1.0\r\n\r\nstill the text"]


def wet_docs(offsets, source):
    return [doc(uuid(i + 2), t, offsets[i + 1], source, url=f"http://a.example/{i + 1}") for i, t in enumerate(texts)]


def starts(parts):
    out, at = [], 0
    for p in parts:
        out.append(at)
        at += len(p)
    return out


put("plain.wet", b"".join(wet), wet_docs(starts(wet), "plain.wet"))
packed = [member(r) for r in wet]
put("members.wet.gz", b"".join(packed), wet_docs(starts(packed), "members.wet.gz"))
put("one-member.wet.gz", member(b"".join(wet)), wet_docs([0] * 4, "one-member.wet.gz"))


# WARC: what servers send.
def response(status, headers, body):
    return f"HTTP/1.1 {status}\r\n".encode() + "".join(f"{h}\r\n" for h in headers).encode() + b"\r\n" + body


page = b"<html><head><title>A &amp; B</title></head><body><p>Hello &lt;world&gt;.</p></body></html>"
latin = "<html><body><p>Gr\u00fc\u00dfe \u2013 caf\u00e9</p></body></html>".encode("cp1252")
meta = '<html><head><meta charset="koi8-r"></head><body><p>\u041f\u0440\u0438\u0432\u0435\u0442</p></body></html>'.encode("koi8-r")
chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (20, page[:20], len(page) - 20, page[20:])
http = "application/http; msgtype=response"
warc = [
    record("request", b"GET / HTTP/1.1\r\n\r\n", "http://b.example/", "application/http; msgtype=request", 1),
    record("response", response("200 OK", ["Content-Type: text/html; charset=utf-8"], page), "http://b.example/1", http, 2),
    record("response", response("200 OK", ["Content-Type: text/html; charset=ISO-8859-1"], latin), "http://b.example/2", http, 3),
    record("response", response("200 OK", ["Content-Type: text/html"], meta), "http://b.example/3", http, 4),
    record("response", response("200 OK", ["content-type: text/html", "Transfer-Encoding: chunked"], chunks), "http://b.example/4", http, 5),
    record("response", response("200 OK", ["Content-Type: text/html", "Content-Encoding: gzip"], member(page)), "<http://b.example/5>", http, 6),
    record("response", response("404 Not Found", ["Content-Type: text/html"], page), "http://b.example/6", http, 7),
    record("response", response("200 OK", ["Content-Type: image/png"], b"\x89PNG"), "http://b.example/7", http, 8),
    record("response", response("200 OK", ["Content-Type: text/plain"], b"just text\r\n"), "http://b.example/8", http, 9),
    record("resource", page, "file:///x.html", "text/html", 10),
]
hello = "Hello <world>."
at = starts(warc)
put(
    "pages.warc",
    b"".join(warc),
    [
        doc(uuid(2), hello, at[1], "pages.warc", url="http://b.example/1", title="A & B"),
        doc(uuid(3), "Gr\u00fc\u00dfe \u2013 caf\u00e9", at[2], "pages.warc", url="http://b.example/2"),
        doc(uuid(4), "\u041f\u0440\u0438\u0432\u0435\u0442", at[3], "pages.warc", url="http://b.example/3"),
        doc(uuid(5), hello, at[4], "pages.warc", url="http://b.example/4", title="A & B"),
        doc(uuid(6), hello, at[5], "pages.warc", url="http://b.example/5", title="A & B"),
        doc(uuid(9), "just text\r\n", at[8], "pages.warc", url="http://b.example/8"),
        doc(uuid(10), hello, at[9], "pages.warc", url="file:///x.html", title="A & B"),
    ],
)

# JSONL in the shapes people have.
lines = [
    b'{"id":"a","text":"one\\n\\u00e9","meta":{"source":"s","url":"u","lang":"en","n":[1,2]}}',
    b'{"text":"two","metadata":{"score":0.5}}',
    b'',
    b'{"id":7,"text":"nul\\u0000gone","source":"top","url":"http://x"}',
    b'{"text":"\xff damaged"}',
    '{"text":"\U0001f600 caf\u00e9 \\ud83d\\ude00","meta":{"offset":99}}'.encode(),
]
off = starts([line + b"\n" for line in lines])
jdocs = [
    doc("a", "one\n\u00e9", off[0], "s", url="u", lang="en", n=[1, 2]),
    doc("lines.jsonl#2", "two", off[1], "lines.jsonl", score=0.5),
    doc("7", "nulgone", off[3], "top", url="http://x"),
    doc("lines.jsonl#5", "\ufffd damaged", off[4], "lines.jsonl"),
    doc("lines.jsonl#6", "\U0001f600 caf\u00e9 \U0001f600", 99, "lines.jsonl"),
]
put("lines.jsonl", b"\n".join(lines), jdocs)

# HTML: what is text and what is furniture.
html = """<!DOCTYPE html>
<html><head><title> Bread:
 how to </title><style>p { color: red }</style><script>alert("head")</script></head>
<body>
<header><a href="/">Site</a> <b>The best site</b></header>
<nav><ul><li><a href="/a">Alpha</a></li><li><a href="/b">Beta</a></li></ul></nav>
<div class="sidebar">Buy now</div>
<h1>How to bake   bread</h1>
<p>Mix <b>flour</b>, <i>water</i> and&nbsp;salt &mdash; 500&#160;g of flour.<br>Wait an hour.</p>
<p hidden>Secret.</p>
<script>document.write("<p>never</p>")</script>
<ul><li>One bowl</li><li>Two spoons<ul><li>wooden</li></ul></li></ul>
<ol><li><p>Knead.</p></li><li>Rest.</li></ol>
<pre>
  oven = 230
    minutes = 40
</pre>
<table><tr><th>Flour</th><th>Water</th></tr><tr><td>500 g</td><td>350 ml</td></tr></table>
<div><div>Inner one</div><div>Inner two</div></div>
<p>See <a href="x">the other page</a> for rye, which takes a good deal longer.</p>
<div><a href="1">Previous</a> <a href="2">Next</a></div>
<svg><text>label</text></svg>
<form><label>Name</label><input value="x"><button>Send</button></form>
<footer>Copyright</footer>
</body></html>
"""
put(
    "page.html",
    html,
    [
        doc(
            "page.html",
            "How to bake bread\n\n"
            "Mix flour, water and salt \u2014 500 g of flour.\nWait an hour.\n\n"
            "- One bowl\n- Two spoons\n  - wooden\n\n"
            "1. Knead.\n2. Rest.\n\n"
            "  oven = 230\n    minutes = 40\n\n"
            "Flour | Water\n500 g | 350 ml\n\n"
            "Inner one\n\nInner two\n\n"
            "See the other page for rye, which takes a good deal longer.",
            0,
            "page.html",
            title="Bread: how to",
        )
    ],
)
main = (
    "<html><body><div>Menu and much more of it</div><main><header><h1>Title</h1></header><p>"
    + "Main words. " * 20
    + "</p></main><div>After</div></body></html>"
)
put("main.html", main, [doc("main.html", "Title\n\n" + ("Main words. " * 20).strip(), 0, "main.html")])

pod = """=encoding utf8

=head1 NAME X<name>

tool - does B<bold> things with C<< a->b >> and
L<other(1)|the other> S<no break>

  verbatim  text
    kept

=over 4

=item *

First E<lt>item

=item -v

Verbose

=back

=begin html

<b>no</b>

=end html

=head2 MORE

Last.

=cut

sub code { }

=pod

After code.
"""
put(
    "tool.pod",
    pod,
    [
        doc(
            "tool.pod",
            "NAME\n\ntool - does bold things with a->b and other(1) no break\n\n  verbatim  text\n    kept\n\n"
            "- First <item\n\n-v\n\nVerbose\n\nMORE\n\nLast.\n\nAfter code.",
            0,
            "tool.pod",
        )
    ],
)

entry = "word%d\n   A {meaning}\n   in two lines.\n\n   More.\n\n"
dictionary = "00-database-short\n     A small dictionary\n00-database-url\n     none\n\n" + "".join(entry % i for i in range(200))
flat = ["word%d\nA meaning in two lines.\nMore." % i for i in range(200)]
# A document ends before the entry that would begin behind 4096 bytes.
out, parts, size = [], [], 0
for e in flat:
    if size >= 4096:
        out.append("\n\n".join(parts))
        parts, size = [], 0
    size += len(e) + (2 if parts else 0)
    parts.append(e)
out.append("\n\n".join(parts))
seen, offs = 0, []
head = dictionary.index("word0")
for i, text in enumerate(out):
    offs.append(0 if i == 0 else dictionary.index("word%d\n" % seen))
    seen += text.count("word")
put("small.dict.dz", member(dictionary.encode()), [doc(f"small.dict.dz#{i + 1}", t, offs[i], "small.dict.dz") for i, t in enumerate(out)])

put("notes.txt", "\ufeffOne line.\r\nNext caf\u00e9.\r\n", [doc("notes.txt", "One line.\nNext caf\u00e9.\n", 0, "notes.txt")])
put("latin.txt", b"Caf\xe9 \x93quoted\x94\n", [doc("latin.txt", "Caf\u00e9 \u201cquoted\u201d\n", 0, "latin.txt")])
put("wide.txt", "Gr\u00fc\u00dfe \U0001f600\n".encode("utf-16"), [doc("wide.txt", "Gr\u00fc\u00dfe \U0001f600\n", 0, "wide.txt")])
put("empty.txt", b"", [])


def main_():
    check = sys.argv[1:] == ["--check"]
    os.makedirs(HERE, exist_ok=True)
    bad = 0
    for name, data in sorted(FILES.items()):
        path = os.path.join(HERE, name)
        if not check:
            with open(path, "wb") as f:
                f.write(data)
        elif open(path, "rb").read() != data:
            print(f"{path} differs", file=sys.stderr)
            bad = 1
    sys.exit(bad)


main_()
