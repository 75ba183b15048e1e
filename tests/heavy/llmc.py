"""Reads a checkpoint that `model convert --to llmc` wrote into llm.c's own model and compares logits with transformers'.

usage: llmc.py CHECKPOINT TRAIN_LLAMA3_PY FOLDER      llm.c's train_llama3.py; the folder the checkpoint was made from
"""
import importlib.util
import sys
import types

import numpy as np
import torch
from transformers import AutoModelForCausalLM


def main(path, source, folder):
    for name in ("tiktoken", "tiktoken.load", "blobfile"):  # of its tokenizer, which is not used
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["tiktoken.load"].load_tiktoken_bpe = None
    spec = importlib.util.spec_from_file_location("train_llama3", source)
    llmc = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(llmc)
    data = open(path, "rb").read()
    i, f = np.frombuffer(data[:1024], "<i4"), np.frombuffer(data[1024:2048], "<f4")
    assert i[0] == 20240803 and i[1] == 3
    config = llmc.LlamaConfig(block_size=int(i[2]), vocab_size=int(i[3]), n_layer=int(i[4]), n_head=int(i[5]), n_kv_head=int(i[6]), n_embd=int(i[7]),
                              multiple_of=int(i[8]), use_scaled_rope=bool(i[9]), ffn_dim_multiplier=float(f[0]), norm_eps=float(f[1]),
                              rope_theta=float(f[2]), use_kv=False)
    model = llmc.LLaMA(config).float()
    params, kinds = dict(model.named_parameters()), ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_fc2", "mlp.c_proj")
    order = ["transformer.wte", *(f"transformer.h.{layer}.{kind}" for kind in kinds for layer in range(config.n_layer)), "transformer.ln_f", "lm_head"]
    at = 2048
    with torch.no_grad():  # the order of its write_tensors
        for name in order:
            p = params[name + ".weight"]
            p.copy_(torch.from_numpy(np.frombuffer(data[at : at + 4 * p.numel()], "<f4").copy()).view_as(p))
            at += 4 * p.numel()
        tokens = torch.arange(30)[None] % config.vocab_size
        got = model(tokens, targets=tokens)[0][0]
        want = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")(input_ids=tokens).logits[0]
    off = ((got - want).norm() / want.norm()).item()
    print(f"llm.c's model of our checkpoint: logits differ by {off:.1e} of their norm")
    if at != len(data) or not off < 1e-4:
        sys.exit("FAILED: llm.c computes something else")


if __name__ == "__main__":
    main(*sys.argv[1:])
