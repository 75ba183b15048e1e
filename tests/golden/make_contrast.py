"""Records contrastive decoding and token editing as torch computes them, for tests/generate; --compare recomputes and compares.

usage: make_contrast.py [--compare] [--out tests/golden/contrast]

expert/, amateur/   two small Llamas of 2 and 1 layers with one byte-level tokenizer, as transformers writes them, in bfloat16
golden.json         "greedy": continuations of prompts by the highest log p_expert - lambda log p_amateur among the tokens with
                    p_expert >= alpha max p_expert, the whole text read anew for each token; "first": the probabilities
                    softmax(score / temperature) of the first token; "texts": log p of every token given those before it, for
                    texts that the expert likes (drawn from it at a low temperature)
All in fp32, but keys and values rounded to halves, as ours are kept. Only cases where no step is a near tie are taken.
Made with torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3; other versions may differ in the last digits.
"""
import argparse
import copy
import json
import math
import pathlib
import sys
import tempfile

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig

SHAPE = dict(hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
             max_position_embeddings=256, rms_norm_eps=1e-5, rope_parameters=dict(rope_type="default", rope_theta=10000.0))
END, MERGES = "<|endoftext|>", [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("a", "n"), ("an", "d"), ("Ġ", "s")]
PROMPTS = ["The sea was calm that morning", "12 boats lay on the sand", "Ask the keeper of the light", "when the snow came", "and",
           "A long winter is over, and they sail", "One hand for the ship", "Who said that?", "The end of the story", "salt, tar and rope"]
SETTINGS = [dict(alpha=0.1, amount=1.0), dict(alpha=0.02, amount=0.5), dict(alpha=0.3, amount=2.0), dict(alpha=0.1, amount=0.0)]
NEW, MARGIN, TEXT_LEN, TEXTS = 20, 0.02, 120, 4


def tokenizer():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in chars:
            chars[b], n = chr(256 + n), n + 1
    vocab = {t: i for i, t in enumerate([END, *(chars[b] for b in range(256)), *("".join(m) for m in MERGES)])}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [dict(id=0, content=END, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True},
                          {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": [list(m) for m in MERGES]},
    }


def build(seed, layers, vocab):
    torch.manual_seed(seed)
    config = LlamaConfig(num_hidden_layers=layers, vocab_size=vocab, bos_token_id=None, eos_token_id=0, **SHAPE)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * (1.1 if "embed" in name else 0.35) if p.dim() == 2 else 1 + 0.1 * torch.randn(p.shape))
            p.copy_(p.to(torch.bfloat16))
            if "embed" in name:
                p[0] = 0.0  # the end is never the likeliest
    return model.eval()


class Halves(DynamicCache):
    def update(self, key, value, *args, **kwargs):
        return super().update(key.half().float(), value.half().float(), *args, **kwargs)


@torch.no_grad()
def log_probs(model, ids):
    return torch.log_softmax(model(input_ids=torch.tensor([ids]), past_key_values=Halves(), use_cache=True).logits[0], -1)


def scores(expert, amateur, ids, alpha, amount):
    """Scores of the next token, -inf where it is not plausible; and how near it was that another would be plausible or best."""
    e, a = log_probs(expert, ids)[-1], log_probs(amateur, ids)[-1]
    least = e.max() + math.log(alpha)
    s = torch.where(e >= least, e - amount * a, -math.inf)
    top = torch.topk(s, 2).values
    return s, min((top[0] - top[1]).item(), (e - least).abs().min().item())


def greedy(expert, amateur, tok, prompt, setting):
    ids, near = list(tok.encode(prompt).ids), math.inf
    n = len(ids)
    for _ in range(NEW):
        s, gap = scores(expert, amateur, ids, **setting)
        near = min(near, gap)
        ids.append(int(s.argmax()))
    if near < MARGIN or 0 in ids[n:]:
        return None
    return dict(prompt=prompt, **setting, tokens=ids[n:])


def first(expert, amateur, tok, prompt, setting, temperature):
    s, gap = scores(expert, amateur, list(tok.encode(prompt).ids), **setting)
    p = torch.softmax(s / temperature, -1)
    if gap < MARGIN or (p > 0.004).sum() < 3:
        return None
    return dict(prompt=prompt, **setting, temperature=temperature, p=[[i, round(v, 7)] for i, v in enumerate(p.tolist()) if v > 0])


@torch.no_grad()
def text(expert, seed):
    """A text that the expert finds likely in part, as tokens, and what it makes of each."""
    g = torch.Generator().manual_seed(seed)
    ids = [40 + seed]
    while len(ids) < TEXT_LEN:
        p = torch.softmax(log_probs(expert, ids)[-1] / (0.3 if seed % 2 else 0.8), -1)
        p[0] = 0
        ids.append(int(torch.multinomial(p, 1, generator=g)))
    logp = log_probs(expert, ids)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return dict(tokens=ids, logp=[round(v, 6) for v in logp.tolist()])


def record(folder):
    config = tokenizer()
    tok = Tokenizer.from_str(json.dumps(config))
    models = []
    for name, seed, layers in ("expert", 11, 2), ("amateur", 12, 1):
        model = build(seed, layers, len(config["model"]["vocab"]))
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder / name)  # model.to() would round the rotations for good
        (folder / name / "generation_config.json").unlink(missing_ok=True)
        (folder / name / "tokenizer.json").write_text(json.dumps(config, ensure_ascii=False))
        models.append(model)
    cases = [greedy(*models, tok, p, s) for s in SETTINGS for p in PROMPTS]
    draws = [first(*models, tok, p, s, t) for s, t in zip(SETTINGS, (1.0, 0.7, 1.5, 1.0)) for p in PROMPTS]
    out = dict(greedy=[c for c in cases if c], first=[d for d in draws if d], texts=[text(models[0], i) for i in range(TEXTS)])
    (folder / "golden.json").write_text(json.dumps(out) + "\n")
    print(json.dumps({k: len(v) for k, v in out.items()}))


def close(a, b):
    if isinstance(a, (list, dict)) and isinstance(a, type(b)) and len(a) == len(b):
        return all(close(a[k], b[k]) for k in (a if isinstance(a, dict) else range(len(a))))
    return abs(a - b) < 1e-4 if isinstance(a, float) and isinstance(b, float) else a == b


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--compare", action="store_true")
    p.add_argument("--out", default="tests/golden/contrast")
    args = p.parse_args()
    out = pathlib.Path(args.out)
    torch.set_num_threads(1)
    if not args.compare:
        out.mkdir(parents=True, exist_ok=True)
        return record(out)
    with tempfile.TemporaryDirectory() as tmp:
        record(pathlib.Path(tmp))
        same = all(close(*(json.loads((d / f).read_text()) for d in (out, pathlib.Path(tmp)))) for f in ("golden.json", "expert/config.json", "amateur/config.json"))
        weights = all((out / m / "model.safetensors").read_bytes() == (pathlib.Path(tmp) / m / "model.safetensors").read_bytes() for m in ("expert", "amateur"))
        print(json.dumps({"same": same, "same_weights": weights}))
        sys.exit(not (same and weights))


if __name__ == "__main__":
    main()
