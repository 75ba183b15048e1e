"""Next-token distributions of the same GGUF by llama.cpp (xllamacpp's server on loopback) and by transformers.

usage: llamacpp.py compare MODEL.gguf TEST_GENERATE [POSITIONS]    compares our logits; exit 1 when they differ
       llamacpp.py record MODEL.gguf OUT.json                      what tests/generate compares with (MIXLAW_MODEL)

llama.cpp multiplies Q4_1 weights by activations rounded to 8 bits, which moves its own distributions by more than the
bound asked of us. So it is asked twice: with the file as it is, which is reported, and with the same weights unpacked to
F32 (by the `gguf` package, exactly), which must agree: mean KL < 1e-3 nats, likeliest token the same in 99 %.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import gguf
import numpy as np

N_TOP = 40
TEXT = """The harbour was quiet. Old Marten pulled the last of the nets over the rail, looked at the sky, and said that it would rain before noon. Nobody answered him; the others had been up since three.

def mean(values):
    total = 0.0
    for v in values:
        total += v
    return total / len(values) if values else float("nan")

In 1869 the first shipment of 1,250 barrels left for Hamburg at a price of $4.75 each, i.e. about 6,000 dollars in all. Water boils at 100 degrees Celsius (212 °F) at sea level; at 3,000 m it boils near 90 °C.

Q: Which planets of the solar system have rings?
A: All four giant planets: Jupiter, Saturn, Uranus and Neptune. Saturn's are by far the brightest.

"You can't be serious," she laughed. "Three weeks? By bicycle?" But he was already packing: two shirts, a map, the blue teapot.
"""


def ask(port, body, path="/completion"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def serve(model, port, n):
    """In a process of its own: the server in the wheel cannot be stopped. Prints ids of TEXT, then a line a position."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path, p.n_parallel, p.n_ctx, p.port, p.verbosity, p.fit_params, p.cache_ram_mib = model, 1, 1024, port, 0, False, 0
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(p)  # kept alive by the name
    ids = ask(port, {"content": TEXT}, "/tokenize")["tokens"][:n]
    print(json.dumps(ids), flush=True)
    for i in range(1, len(ids) + 1):
        # The answer is a word we choose, since half a character shows no probabilities; the bias moves the choice, not the probabilities shown.
        r = ask(port, {"prompt": ids[:i], "n_predict": 1, "logit_bias": [[ids[0], 1000]], "n_probs": N_TOP, "cache_prompt": True})
        print(json.dumps([[e["id"], e["logprob"]] for e in r["completion_probabilities"][0]["top_logprobs"]]), flush=True)
    del server
    os._exit(0)


def llama(model, port, n):
    done = subprocess.run([sys.executable, __file__, "serve", model, str(port), str(n)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("[")]
    return lines[0], lines[1:]


def unpack(model, out):
    """The same model with every tensor as F32."""
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(out, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for t in reader.tensors:
        writer.add_tensor(t.name, gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32))
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def differ(theirs, ours):
    """Mean KL in nats (the listed tokens one by one, the rest as one) and how often the likeliest token is the same."""
    kl, same = [], 0
    for top, log_q in zip(theirs, ours):
        at, log_p = [e[0] for e in top], np.array([e[1] for e in top])
        p, q = np.exp(log_p), np.exp(log_q[at])
        rest_p, rest_q = max(1 - p.sum(), 1e-12), max(1 - q.sum(), 1e-12)
        kl.append((p * (log_p - log_q[at])).sum() + rest_p * np.log(rest_p / rest_q))
        same += at[0] == log_q.argmax()
    return float(np.mean(kl)), same / len(theirs)


def compare(model, test_generate, n):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        unpack(model, str(tmp / "f32.gguf"))
        ids, exact = llama(str(tmp / "f32.gguf"), 18192, n)
        _, shipped = llama(model, 18193, min(n, 150))
        np.array(ids, "<u4").tofile(tmp / "ids.u32")
        def logits(precision):
            subprocess.run([test_generate, "logits", model, str(tmp / "ids.u32"), str(tmp / "logits.f32"), precision], check=True)
            return log_softmax(np.fromfile(tmp / "logits.f32", "<f4").reshape(len(ids), -1))

        ours, rounded = logits("fp32"), logits("int8")
    kl, same = differ(exact, ours)
    kl_theirs, _ = differ(shipped, ours)
    kl_rounded, same_rounded = differ(exact[: len(shipped)], rounded)
    print(f"8-bit activations here, against weights as F32: mean KL {kl_rounded:.2g} nats, likeliest token the same in {100 * same_rounded:.2f} %")
    for name, theirs in (("weights as F32", exact), ("file as shipped, 8-bit activations there", shipped)):
        k, s = differ(theirs, ours)
        print(f"llama.cpp, {name}: {len(theirs)} positions, mean KL {k:.2g} nats, likeliest token the same in {100 * s:.2f} %")
    if len(exact) != len(ids) or len(ids) < min(n, 200) or not (kl < 1e-3 and same >= 0.99):
        sys.exit("FAILED: want mean KL < 1e-3 and the same likeliest token in 99 %")
    if not (kl_rounded < 1.25 * kl_theirs and same_rounded >= 0.98):
        sys.exit("FAILED: 8-bit activations lose more here than in llama.cpp")


def rows(log_p, k):
    return [[x for i in np.argsort(-r, kind="stable")[:k] for x in (int(i), round(float(r[i]), 5))] for r in log_p]


def record(model, out):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = os.path.split(os.path.abspath(model))
    ids = AutoTokenizer.from_pretrained(folder, gguf_file=name)(TEXT)["input_ids"]
    net = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    with torch.no_grad():
        log_p = log_softmax(net(torch.tensor([ids])).logits[0].numpy())
    with tempfile.TemporaryDirectory() as tmp:
        unpack(model, tmp + "/f32.gguf")
        same_ids, exact = llama(tmp + "/f32.gguf", 18192, 1000)
        _, shipped = llama(model, 18193, 100)
    if ids != same_ids:
        sys.exit("llama.cpp and transformers tokenize differently")
    k = 10
    flat = lambda theirs: [[x for e in top[:k] for x in (e[0], round(e[1], 5))] for top in theirs]
    with open(out, "w") as f:
        json.dump({"made_by": "tests/peers/llamacpp.py record", "text": TEXT, "tokens": ids,
                   "by": {"transformers_fp32": rows(log_p, k), "llamacpp_fp32": flat(exact), "llamacpp_q4_1": flat(shipped)}},
                  f, separators=(",", ":"))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "record":
        record(sys.argv[2], sys.argv[3])
    else:
        compare(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 300)
