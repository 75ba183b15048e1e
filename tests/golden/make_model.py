"""Records what transformers' LlamaForCausalLM computes, for tests/model; --compare recomputes and compares.

usage: make_model.py [--compare] [--out tests/golden/model]

Each case is a folder: config.json and model.safetensors as transformers writes them, and golden.safetensors with
the tokens (int32), logits, loss, every gradient in fp32, and the losses of 50 AdamW steps. Made with torch 2.15.0,
transformers 5.23.0, safetensors 0.8.0; other versions may differ in the last digits.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

CASES = {
    "mha_untied": dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=2, vocab_size=64, tie_word_embeddings=False, rope_theta=10000.0),
    "gqa_tied": dict(hidden_size=28, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=12, vocab_size=61, tie_word_embeddings=True, rope_theta=500.0),
}
BATCH, SEQ_LEN, STEPS = 2, 33, 50
ADAMW = dict(lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
WEIGHT_DECAY, GRAD_CLIP = 0.1, 1.0


def build(name):
    torch.manual_seed(1234)
    shape = dict(CASES[name])
    rope = {"rope_type": "default", "rope_theta": shape.pop("rope_theta")}
    config = LlamaConfig(max_position_embeddings=64, rms_norm_eps=1e-5, rope_parameters=rope, attn_implementation="eager",
                         bos_token_id=None, eos_token_id=None, **shape)
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():  # larger than the usual start, so that every part matters
        for p in model.parameters():
            p.add_(0.08 * torch.randn_like(p))
    return model


def tokens(step):
    """Batches that can be learnt: a walk with small steps around the vocabulary."""
    g = torch.Generator().manual_seed(100 + step)
    start = torch.randint(0, 60, (BATCH, 1), generator=g)
    return ((start + torch.cumsum(torch.randint(0, 4, (BATCH, SEQ_LEN + 1), generator=g), 1)) % 60).int()


def loss_of(model, tok):
    logits = model(input_ids=tok[:, :-1].long(), use_cache=False).logits
    return logits, torch.nn.functional.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), tok[:, 1:].reshape(-1).long())


def record(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = build(name)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    all_tokens = torch.stack([tokens(s) for s in range(STEPS)])
    logits, loss = loss_of(model, all_tokens[0])
    loss.backward()
    out = {"tokens": all_tokens, "logits": logits.detach().contiguous(), "loss": loss.detach().reshape(1)}
    for key, p in model.named_parameters():
        out["grad." + key] = p.grad.clone()
    model.zero_grad()
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed_tokens" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed_tokens" in n]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}], **ADAMW)
    losses, norms = [], []
    for s in range(STEPS):
        loss = loss_of(model, all_tokens[s])[1]
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP).item())
        opt.step()
        opt.zero_grad()
        losses.append(loss.item())
    out["losses"] = torch.tensor(losses)
    out["grad_norms"] = torch.tensor(norms)
    save_file(out, folder / "golden.safetensors")


def compare(name, old, new):
    a, b = load_file(old / "golden.safetensors"), load_file(new / "golden.safetensors")
    a.update(load_file(old / "model.safetensors"))
    b.update(load_file(new / "model.safetensors"))
    worst = 0.0
    for key in sorted(a.keys() | b.keys()):
        if key not in a or key not in b:
            sys.exit(f"{name}: {key} is only in one of them")
        x, y = a[key].double(), b[key].double()
        worst = max(worst, ((x - y).norm() / (y.norm() + 1e-30)).item())
    print(json.dumps({"case": name, "worst_relative_difference": worst}))
    return worst < 1e-4


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--compare", action="store_true")
    p.add_argument("--out", default="tests/golden/model")
    args = p.parse_args()
    out = pathlib.Path(args.out)
    torch.set_num_threads(1)
    if not args.compare:
        for name in CASES:
            record(name, out / name)
        return
    with tempfile.TemporaryDirectory() as tmp:
        ok = True
        for name in CASES:
            record(name, pathlib.Path(tmp) / name)
            ok = compare(name, out / name, pathlib.Path(tmp) / name) and ok
        sys.exit(not ok)


if __name__ == "__main__":
    main()
