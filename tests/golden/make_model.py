"""Records what transformers computes with small Llamas, Qwen2s and Mistrals, for tests/model; --compare recomputes and compares.

usage: make_model.py [--compare] [--out tests/golden/model] [NAME...]

Each case is a folder: config.json and weights as transformers writes them, and golden.safetensors with the tokens (int32),
logits, loss, every gradient in fp32 (of the weights as stored). The first two have the losses of 50 AdamW steps; "documents."
stands before what a mask between documents (ended by token 0) gives, "z_loss." before gradients with a z-loss of 0.01,
"muon_losses" are those of 20 steps with torch.optim.Muon on the layers' matrices, "mup_losses" of 20 with the parametrization of
the package mup, for a model twice as wide as its base (the head, or with a tied one the norm before it, begins twice as large, as mup
halves the logits instead). Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, mup 1.0.0; other versions may differ in
the last digits.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

CASES = {
    "mha_untied": dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=2, vocab_size=64, tie_word_embeddings=False, rope_theta=10000.0),
    "gqa_tied": dict(hidden_size=28, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=12, vocab_size=61, tie_word_embeddings=True, rope_theta=500.0),
}
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=24)
SMALL = dict(hidden_size=20, intermediate_size=28, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=48)
FAMILY = {  # class of the configuration, settings, type the weights are stored as, largest file
    "llama3": (LlamaConfig, dict(SMALL, head_dim=12, tie_word_embeddings=True, rope_parameters=dict(LLAMA3, rope_theta=100.0)), torch.float32, "1GB"),
    "llama_bias": (LlamaConfig, dict(SMALL, head_dim=6, attention_bias=True, tie_word_embeddings=False), torch.float16, "1GB"),
    "qwen2": (Qwen2Config, dict(SMALL, hidden_size=24, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.bfloat16, "1GB"),
    "qwen2_window": (Qwen2Config, dict(SMALL, hidden_size=24, num_hidden_layers=1, use_sliding_window=True, sliding_window=7, max_window_layers=0, tie_word_embeddings=True), torch.bfloat16, "1GB"),
    "mistral": (MistralConfig, dict(SMALL, head_dim=8, sliding_window=9, tie_word_embeddings=False), torch.bfloat16, "4KB"),
}
BATCH, SEQ_LEN, STEPS = 2, 33, 50
ADAMW = dict(lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
WEIGHT_DECAY, GRAD_CLIP, Z_LOSS, MUON_STEPS = 0.1, 1.0, 0.01, 20


def build(name):
    torch.manual_seed(1234)
    common = dict(max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=None, eos_token_id=None)
    if name in FAMILY:
        kind, shape, dtype, _ = FAMILY[name]
        config = kind(**common, **shape)
    else:
        shape = dict(CASES[name])
        rope = {"rope_type": "default", "rope_theta": shape.pop("rope_theta")}
        config, dtype = LlamaConfig(rope_parameters=rope, **common, **shape), torch.float32
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():  # larger than the usual start, so that every part matters; then what the stored type can hold
        for p in model.parameters():
            p.add_(0.08 * torch.randn_like(p))
            p.copy_(p.to(dtype).float())
    return model, dtype


def tokens(step):
    """Batches that can be learnt: a walk with small steps around the vocabulary."""
    g = torch.Generator().manual_seed(100 + step)
    start = torch.randint(0, 60, (BATCH, 1), generator=g)
    return ((start + torch.cumsum(torch.randint(0, 4, (BATCH, SEQ_LEN + 1), generator=g), 1)) % 60).int()


def loss_of(model, tok, mask=None):
    logits = model(input_ids=tok[:, :-1].long(), use_cache=False, attention_mask=mask).logits
    return logits, torch.nn.functional.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), tok[:, 1:].reshape(-1).long())


def gradients(model, loss, prefix):
    model.zero_grad()
    loss.backward()
    return {prefix + key: p.grad.clone() for key, p in model.named_parameters()}


def documents(model, tok):
    """Token 0 ends documents: a token sees those of its own document up to itself."""
    tok = tok.clone()
    tok[0, [5, 6, 20]] = 0
    tok[1, 31] = 0
    doc = torch.cumsum(torch.nn.functional.pad(tok[:, :-2] == 0, (1, 0)), 1)
    seen = (doc[:, :, None] == doc[:, None, :]) & torch.ones(SEQ_LEN, SEQ_LEN).tril().bool()
    logits, loss = loss_of(model, tok, torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None])
    out = gradients(model, loss, "documents.grad.")
    out.update({"documents.tokens": tok[None], "documents.logits": logits.detach().contiguous(), "documents.loss": loss.detach().reshape(1)})
    return out


def z_loss(model, tok):
    logits, loss = loss_of(model, tok)
    return gradients(model, loss + Z_LOSS * torch.logsumexp(logits, -1).square().mean(), "z_loss.grad.")


def muon(model, all_tokens):
    """torch.optim.Muon in fp32 (it rounds to bfloat16 inside) on the layers' matrices, AdamW on all else."""
    import types

    import torch.optim._muon as inside

    real, inside.torch = inside.torch, types.SimpleNamespace(**{**vars(torch), "bfloat16": torch.float32})
    layers = [p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." in n]
    head = [p for n, p in model.named_parameters() if n == "lm_head.weight"]
    rest = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed_tokens" in n]
    a = torch.optim.Muon(layers, lr=3e-3, weight_decay=WEIGHT_DECAY, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")
    b = torch.optim.AdamW([{"params": head, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}], **ADAMW)
    losses = []
    for s in range(MUON_STEPS):
        loss = loss_of(model, all_tokens[s])[1]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
        a.step(), b.step(), a.zero_grad(), b.zero_grad()
        losses.append(loss.item())
    inside.torch = real
    return {"muon_losses": torch.tensor(losses)}


def mup(name, all_tokens):
    """AdamW by Microsoft's package: logits over r, rates and decays by its own table of shapes."""
    import mup as package

    class Head(package.MuReadout):
        def forward(self, x):
            return torch.nn.functional.linear(x, self.weight) / self.width_mult()

    def with_head(model):
        head = Head(model.config.hidden_size, model.config.vocab_size, bias=False)
        head.weight = model.lm_head.weight  # tied: the embedding itself
        model.lm_head = head
        return model

    wide = with_head(build(name)[0])
    shape = dict(CASES[name], **{k: CASES[name][k] // 2 for k in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")})
    d_head = CASES[name].get("head_dim", CASES[name]["hidden_size"] // CASES[name]["num_attention_heads"])
    shape.update(head_dim=d_head, rope_parameters={"rope_type": "default", "rope_theta": shape.pop("rope_theta")})
    base = with_head(AutoModelForCausalLM.from_config(LlamaConfig(**shape)))
    package.set_base_shapes(wide, base, rescale_params=False)
    with torch.no_grad():
        (wide.model.norm.weight if CASES[name]["tie_word_embeddings"] else wide.lm_head.weight).mul_(2)
    decays = lambda n, p: p.dim() == 2 and "embed_tokens" not in n
    named = list(wide.named_parameters())
    groups = [{"params": [p for n, p in named if decays(n, p) == d], "weight_decay": WEIGHT_DECAY * d} for d in (True, False)]
    opt = package.MuAdamW(groups, **ADAMW)
    losses = []
    for s in range(MUON_STEPS):
        loss = loss_of(wide, all_tokens[s])[1]
        loss.backward()
        opt.step(), opt.zero_grad()
        losses.append(loss.item())
    return {"mup_losses": torch.tensor(losses)}


def record(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model, dtype = build(name)
    copy = build(name)[0].to(dtype)
    copy.save_pretrained(folder, max_shard_size=FAMILY[name][3] if name in FAMILY else "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    all_tokens = torch.stack([tokens(s) for s in range(STEPS if name in CASES else 1)]) % model.config.vocab_size
    logits, loss = loss_of(model, all_tokens[0])
    out = {"tokens": all_tokens, "logits": logits.detach().contiguous(), "loss": loss.detach().reshape(1)}
    out.update(gradients(model, loss, "grad."))
    if name == "llama3":
        out.update(documents(model, all_tokens[0]))
    if name == "llama_bias":
        out.update(z_loss(model, all_tokens[0]))
    if name in FAMILY:
        return save_file(out, folder / "golden.safetensors")
    out.update(muon(build(name)[0], all_tokens))
    out.update(mup(name, all_tokens))
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
    for values, folder in (a, old), (b, new):
        for file in folder.glob("model*.safetensors"):
            values.update(load_file(file))
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
    p.add_argument("name", nargs="*", default=[*CASES, *FAMILY])
    args = p.parse_args()
    out = pathlib.Path(args.out)
    torch.set_num_threads(1)
    if not args.compare:
        for name in args.name:
            record(name, out / name)
        return
    with tempfile.TemporaryDirectory() as tmp:
        ok = True
        for name in args.name:
            record(name, pathlib.Path(tmp) / name)
            ok = compare(name, out / name, pathlib.Path(tmp) / name) and ok
        sys.exit(not ok)


if __name__ == "__main__":
    main()
