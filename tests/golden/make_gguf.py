"""Records a small quantised Llama as GGUF and what others read in it, for tests/generate; --compare recomputes and compares.

usage: make_gguf.py [--compare] [--out tests/golden/gguf]

tiny.gguf     2 layers of 64, 4 heads, 2 key-value heads, byte-level tokenizer with ChatML marks; every tensor type we read
rows.f32      for each quantised tensor, in the order of TENSORS: rows 0 and 1 as the `gguf` package dequantises them
tokens.u32    a text's bytes as tokens
logits.f32    transformers' LlamaForCausalLM in fp32 on the dequantised weights, after each token
Made with gguf 0.19.0, torch 2.15.0, transformers 5.23.0, numpy 2.4.6; other versions may differ in the last digits.
"""
import argparse
import pathlib
import sys
import tempfile

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from transformers import LlamaConfig, LlamaForCausalLM

T = gguf.GGMLQuantizationType
LAYERS, D, HEADS, KV, FF = 2, 64, 4, 2, 96
TYPES = {"attn_q": T.Q4_1, "attn_k": T.Q8_0, "attn_v": T.Q5_0, "attn_output": T.Q5_1, "ffn_gate": T.Q4_0, "ffn_up": T.F16, "ffn_down": T.BF16}
SHAPES = {"attn_q": (D, D), "attn_k": (D // 2, D), "attn_v": (D // 2, D), "attn_output": (D, D), "ffn_gate": (FF, D), "ffn_up": (FF, D), "ffn_down": (D, FF)}
HF = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
      "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TENSORS = ["token_embd"] + [f"blk.0.{n}" for n in TYPES]
TEMPLATE = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are tiny.<|im_end|>\n' }}{% endif %}"
            "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
TEXT = b"The sea was calm that morning, and 12 boats lay on the sand: nobody spoke."


def byte_chars():
    """GPT-2's printable stand-ins for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in chars:
            chars[b], n = chr(256 + n), n + 1
    return [chars[b] for b in range(256)]


def hf_order(rows, heads):
    """Undoes the order that llama.cpp's converter gives the rows of attn_q and attn_k."""
    n, cols = rows.shape
    return rows.reshape(heads, n // heads // 2, 2, cols).swapaxes(1, 2).reshape(n, cols)


def build(out):
    rng = np.random.default_rng(7)
    bytes_ = byte_chars()
    merges = [(" ", "t"), ("h", "e"), (" t", "he"), ("a", "n"), ("an", "d")]
    merges = [tuple("".join(bytes_[ord(c)] for c in part) for part in m) for m in merges]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *bytes_, *("".join(m) for m in merges)]
    w = gguf.GGUFWriter(str(out / "tiny.gguf"), "llama")
    w.add_name("tiny")
    w.add_block_count(LAYERS), w.add_context_length(256), w.add_embedding_length(D), w.add_feed_forward_length(FF)
    w.add_head_count(HEADS), w.add_head_count_kv(KV), w.add_rope_freq_base(10000.0), w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(D // HEADS), w.add_vocab_size(len(tokens))
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("smollm"), w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3))
    w.add_token_merges([" ".join(m) for m in merges])
    w.add_bos_token_id(1), w.add_eos_token_id(2), w.add_add_bos_token(False), w.add_chat_template(TEMPLATE)
    floats = {}

    def add(name, shape, type_, scale):
        x = (rng.standard_normal(shape) * scale + (1 if len(shape) == 1 else 0)).astype(np.float32)
        raw = x if type_ == T.F32 else quantize(x, type_)
        floats[name] = x if type_ == T.F32 else dequantize(raw, type_).astype(np.float32)
        w.add_tensor(name + ".weight", raw, raw_dtype=type_)

    add("token_embd", (len(tokens), D), T.Q8_0, 1.0)
    for layer in range(LAYERS):
        for name, type_ in TYPES.items():
            add(f"blk.{layer}.{name}", SHAPES[name], type_, 0.25)
        add(f"blk.{layer}.attn_norm", (D,), T.F32, 0.2)
        add(f"blk.{layer}.ffn_norm", (D,), T.F32, 0.2)
    add("output_norm", (D,), T.F32, 0.2)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return tokens, floats


def logits(tokens, floats, ids):
    config = LlamaConfig(hidden_size=D, intermediate_size=FF, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV,
                         vocab_size=len(tokens), tie_word_embeddings=True, max_position_embeddings=256, rms_norm_eps=1e-5,
                         rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attn_implementation="eager")
    state = {"model.embed_tokens.weight": floats["token_embd"], "lm_head.weight": floats["token_embd"], "model.norm.weight": floats["output_norm"]}
    for layer in range(LAYERS):
        for name, hf in HF.items():
            x = floats[f"blk.{layer}.{name}"]
            if name in ("attn_q", "attn_k"):
                x = hf_order(x, HEADS if name == "attn_q" else KV)
            state[f"model.layers.{layer}.{hf}.weight"] = x
    model = LlamaForCausalLM(config).float().eval()
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids.astype(np.int64)])).logits[0].numpy()


def record(out):
    out.mkdir(parents=True, exist_ok=True)
    tokens, floats = build(out)
    ids = np.frombuffer(TEXT, np.uint8).astype(np.uint32) + 3
    ids.astype("<u4").tofile(out / "tokens.u32")
    logits(tokens, floats, ids).astype("<f4").tofile(out / "logits.f32")
    np.concatenate([floats[n][:2].ravel() for n in TENSORS]).astype("<f4").tofile(out / "rows.f32")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--compare", action="store_true")
    a.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "gguf")
    args = a.parse_args()
    if not args.compare:
        return record(args.out)
    with tempfile.TemporaryDirectory() as tmp:
        new = pathlib.Path(tmp)
        record(new)
        same = (new / "tiny.gguf").read_bytes() == (args.out / "tiny.gguf").read_bytes()
        worst = {f: float(np.abs(np.fromfile(new / f, "<f4") - np.fromfile(args.out / f, "<f4")).max()) for f in ("rows.f32", "logits.f32")}
        print(f"tiny.gguf {'the same' if same else 'DIFFERS'}, largest difference {worst}")
        if not same or worst["rows.f32"] > 0 or worst["logits.f32"] > 1e-4:
            sys.exit(1)


if __name__ == "__main__":
    main()
