"""GGUF files that `model convert` writes, run by llama.cpp (xllamacpp's server on loopback) and by us: the same distributions.

usage: gguf_out.py MIXLAW TEST_GENERATE

Small random models of the family are made here as Hugging Face folders with the tokenizer of tests/golden/gguf/tiny.gguf
(Qwen2s with its splitter and NFC), converted to every type, and asked for the next token after each of 24 tokens. llama.cpp rounds activations to the weights'
type, and keeps keys and values as F16, so files of 16 and 8 bits are bounded loosely, and their weights are compared exactly through the gguf package.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

sys.path.insert(0, os.path.dirname(__file__))
from llamacpp import ask, log_softmax

D, HEADS, KV, D_HEAD, FF, LAYERS, VOCAB, N = 64, 4, 2, 16, 96, 2, 264, 24
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32, rope_theta=100.0)
CASES = {  # model_type, settings, biases, types: file and the most mean KL in nats
    "llama": ("llama", dict(tie_word_embeddings=False, rope_theta=10000.0), "", {"gguf-f32": 2e-5, "gguf-f16": 1e-4, "gguf-bf16": 1e-3, "gguf-q8_0": 5e-3}),
    "llama3": ("llama", dict(tie_word_embeddings=True, rope_parameters=LLAMA3), "", {"gguf-f32": 2e-5}),
    "bias": ("llama", dict(tie_word_embeddings=True, attention_bias=True, head_dim=24), "qkvo", {"gguf-f32": 2e-5}),
    "qwen2": ("qwen2", dict(tie_word_embeddings=False, rope_theta=1e6), "qkv", {"gguf-f32": 2e-5, "gguf-q8_0": 5e-3}),
    "qwen2-tied": ("qwen2", dict(tie_word_embeddings=True, rope_theta=1e6), "qkv", {"gguf-f32": 2e-5, "gguf-f16": 1e-4}),
    "mistral": ("mistral", dict(tie_word_embeddings=False, sliding_window=32), "", {"gguf-f32": 2e-5}),
}
# The server shows no probabilities beside the end of the text or a byte that is no whole character, so that its answer is always this one; the bias moves
# the choice, not the probabilities it shows.
ANSWER = 3 + ord("a")
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def as_qwen2(tokenizer):
    """The same vocabulary behind Qwen2's normalizer and pre-tokenizer."""
    split = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {**tokenizer, "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_only]}}


def make(folder, model_type, settings, biases):
    rng = np.random.default_rng(3)
    d_head = settings.get("head_dim", D_HEAD)
    config = dict(model_type=model_type, hidden_size=D, intermediate_size=FF, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV,
                  vocab_size=VOCAB, rms_norm_eps=1e-5, hidden_act="silu", **{"head_dim": d_head, "max_position_embeddings": 64, **settings})
    t = {"model.embed_tokens.weight": (VOCAB, D), "model.norm.weight": (D,)}
    if not settings["tie_word_embeddings"]:
        t["lm_head.weight"] = (VOCAB, D)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        t.update({p + "input_layernorm.weight": (D,), p + "post_attention_layernorm.weight": (D,)})
        for name, rows, cols in (("q", HEADS * d_head, D), ("k", KV * d_head, D), ("v", KV * d_head, D), ("o", D, HEADS * d_head)):
            t[p + f"self_attn.{name}_proj.weight"] = (rows, cols)
            if name in biases:
                t[p + f"self_attn.{name}_proj.bias"] = (rows,)
        t.update({p + "mlp.gate_proj.weight": (FF, D), p + "mlp.up_proj.weight": (FF, D), p + "mlp.down_proj.weight": (D, FF)})
    header, data, at = {}, [], 0
    for name, shape in t.items():
        x = rng.standard_normal(shape) * (0.2 if len(shape) == 2 else 0.3) + ("norm" in name)
        data.append(x.astype("<f4").tobytes())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def serve(model, port):
    """In a process of its own: the server in the wheel cannot be stopped."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path, p.n_parallel, p.n_ctx, p.port, p.verbosity, p.fit_params, p.cache_ram_mib = model, 1, 32, port, 0, False, 0
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(p)
    ids = tokens()
    for i in range(1, N + 1):
        r = ask(port, {"prompt": ids[:i], "n_predict": 1, "logit_bias": [[ANSWER, 1000]], "n_probs": VOCAB, "cache_prompt": False})
        print(json.dumps([[e["id"], e["logprob"]] for e in r["completion_probabilities"][0]["top_logprobs"]]), flush=True)
    del server
    os._exit(0)


def tokens():
    return [3 + b for b in b"The sea was calm, and 12 boats lay on the sand."][:N]


def llama(model, port):
    done = subprocess.run([sys.executable, __file__, "serve", str(model), str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("[")]
    out = np.full((len(rows), VOCAB), -30.0)
    for r, row in enumerate(rows):
        for i, log_p in row:
            out[r, i] = log_p
    return out


def ours(test_generate, model, tmp):
    np.array(tokens(), "<u4").tofile(tmp / "ids.u32")
    subprocess.run([test_generate, "logits", str(model), str(tmp / "ids.u32"), str(tmp / "logits.f32")], check=True)
    return log_softmax(np.fromfile(tmp / "logits.f32", "<f4").reshape(N, -1))


def weights(f32, other):
    """The tensors of a file against the package's own rounding of the F32 file's; True when all are the same."""
    plain = {t.name: t for t in gguf.GGUFReader(str(f32)).tensors}
    ok = True
    for t in gguf.GGUFReader(str(other)).tensors:
        want = np.asarray(plain[t.name].data, np.float32)
        if t.tensor_type != gguf.GGMLQuantizationType.F32:
            want = dequantize(quantize(want, t.tensor_type), t.tensor_type)
        ok = ok and np.array_equal(dequantize(t.data, t.tensor_type).reshape(want.shape).astype(np.float32), want.astype(np.float32))
    return ok


def main(mixlaw, test_generate):
    failed, port = [], 18300
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        run = lambda *a: subprocess.run([mixlaw, "model", "convert", "--quiet", *map(str, a)], check=True, stdout=subprocess.DEVNULL)
        run("tests/golden/gguf/tiny.gguf", "--to", "hf", tmp / "tiny")
        for name, (model_type, settings, biases, types) in CASES.items():
            make(tmp / name, model_type, settings, biases)
            tokenizer = json.loads((tmp / "tiny/tokenizer.json").read_text())
            (tmp / name / "tokenizer.json").write_text(json.dumps(as_qwen2(tokenizer) if model_type == "qwen2" else tokenizer))
            mine = ours(test_generate, tmp / name, tmp)
            for kind, bound in types.items():
                file = tmp / f"{name}-{kind}.gguf"
                run(tmp / name, "--to", kind, file)
                port += 1
                theirs, same_file = llama(file, port), ours(test_generate, file, tmp)
                kl = float(np.mean((np.exp(theirs) * (theirs - same_file)).sum(-1)))
                off = float(np.mean((np.exp(mine) * (mine - same_file)).sum(-1)))
                same = weights(tmp / f"{name}-gguf-f32.gguf", file)
                print(f"{name} {kind}: {len(theirs)} positions, mean KL of llama.cpp's to ours {kl:.1e} nats, of the folder's to the file's {off:.1e}, "
                      f"weights as the gguf package rounds them: {'yes' if same else 'NO'}")
                if len(theirs) != N or not abs(kl) < bound or not same:
                    failed.append(f"{name} {kind}")
    if failed:
        sys.exit("FAILED: " + ", ".join(failed))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1], sys.argv[2])
