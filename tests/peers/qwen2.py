"""A tokenizer in the shape of Qwen2's, trained here, and a small random Qwen2 with it.

usage: qwen2.py MIXLAW TEST_TOK SCRATCH        run from the source root

Ids of thousands of texts must be Hugging Face's behind NFC, and llama.cpp's (which never normalizes) from the GGUF file;
the way to GGUF and back must give the same tokenizer; a conversation must be rendered as transformers renders it; a file
with the keys that llama.cpp's converter writes for Qwen2, and no others, must say what the folder says.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import urllib.request

import gguf
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

sys.path.insert(0, os.path.dirname(__file__))
import checks
import gguf_out
from checks import check, mixlaw

MIXLAW, TEST_TOK, SCRATCH = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = """{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'You are small and random.' }}{%- endif %}{{- "\\n\\n# Tools" }}{%- else %}
{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are small and random. You help.<|im_end|>\\n' }}{%- endif %}{%- endif %}
{%- for message in messages %}{%- if message.role == 'user' or message.role == 'assistant' %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c\u031b\u0323\u0327\u0328\u0331\u0338\u0345\u093c\u09be\u3099\u1161\u11a8"
PARTS = list(" \t\n\r\u00a0\u3000'.,!?-=_#<|>0123456789aeiouyAEnsK") + ["'s", "'LL", "<tool_call>", "<|im_start|>", "  ", "\n\n", " the", "can't", "\u4e2d\u6587", "\ud55c\uad6d", "\uac00", "\u1100", "\u304b", "\u0915", "\u09c7", "\U0001f642", "\u00bd", "\u0663", "\u1ed9", "\u212b"]


def ids(tokenizer, docs):
    path = SCRATCH / "docs.jsonl"
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in docs))
    out = subprocess.run([TEST_TOK, "ids", str(tokenizer), str(path)], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def texts(n, words):
    """Words, and parts with marks in any order; `anything` adds any characters."""
    rng = random.Random(17)

    def one(anything):
        r = rng.random()
        lo, hi = rng.choice([(0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x30000)])
        return chr(rng.randrange(lo, hi)) if r < 0.15 and anything else rng.choice(MARKS) if r < 0.4 else rng.choice(PARTS) if r < 0.8 else rng.choice(words)

    return [["".join(one(anything) for _ in range(rng.randrange(1, 60))) for _ in range(n)] for anything in (True, False)]


def trained(docs):
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(gguf_out.QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tok.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return tok


def folder(tok):
    """A random Qwen2 with this tokenizer, as Qwen2.5-Instruct's folder is laid out."""
    where = SCRATCH / "model"
    gguf_out.VOCAB = tok.get_vocab_size()
    gguf_out.make(where, "qwen2", dict(tie_word_embeddings=True, rope_theta=1e6, max_position_embeddings=512), "qkv")
    tok.save(str(where / "tokenizer.json"))
    (where / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": False, "chat_template": TEMPLATE}))
    (where / "generation_config.json").write_text(json.dumps({"eos_token_id": [tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")]}))
    return where


def differing(got, want, docs):
    wrong = [i for i, (g, w) in enumerate(zip(got, want)) if g != w]
    return f", {len(wrong)} differ, first {docs[wrong[0]]!r}" if wrong else "" if len(got) == len(want) else ", texts are missing"


def hugging_face(tok, where, docs):
    tok.encode_special_tokens = True
    want = [e.ids for e in tok.encode_batch_fast(docs, add_special_tokens=False)]
    wrong = differing(ids(where, docs), want, docs)
    check(not wrong, f"Hugging Face behind NFC: {len(docs)} texts, {sum(map(len, want))} tokens{wrong}")


def there_and_back(where, docs):
    mixlaw(MIXLAW, "model", "convert", where, "--to", "gguf-f32", SCRATCH / "qwen.gguf")
    mixlaw(MIXLAW, "model", "convert", SCRATCH / "qwen.gguf", "--to", "hf", SCRATCH / "back")
    was, back = (Tokenizer.from_file(str(f / "tokenizer.json")) for f in (where, SCRATCH / "back"))
    for t in (was, back):
        t.encode_special_tokens = True
    same = [[e.ids for e in t.encode_batch_fast(docs, add_special_tokens=False)] for t in (was, back)]
    check(same[0] == same[1] and was.get_vocab() == back.get_vocab(), "tokenizer.json to GGUF and back: the same for Hugging Face")
    return ids(SCRATCH / "qwen.gguf", docs) == ids(where, docs)


def llama_cpp(where, docs):
    import xllamacpp

    plain = SCRATCH / "plain.json"
    plain.write_text(json.dumps({**json.loads((where / "tokenizer.json").read_text()), "normalizer": None}))
    mixlaw(MIXLAW, "model", "convert", where, "--tokenizer", plain, "--to", "gguf-f32", SCRATCH / "plain.gguf")
    got = ids(SCRATCH / "plain.gguf", docs)
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.warmup, p.port, p.verbosity, p.fit_params = str(SCRATCH / "plain.gguf"), 64, False, 18390, 0, False
    p.cpuparams.n_threads = 1
    server = xllamacpp.Server(p)
    want = []
    for text in docs:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(server.listening_address + "/tokenize", data=body, headers={"Content-Type": "application/json"})
        want.append(json.load(urllib.request.urlopen(request, timeout=60))["tokens"])
    wrong = differing(got, want, docs)
    check(not wrong, f"llama.cpp from GGUF, pre qwen2: {len(docs)} texts, {sum(map(len, want))} tokens{wrong}")


def converted(where, tok):
    """The folder as llama.cpp's converter writes a Qwen2.5-Instruct, by the gguf package."""
    config, model = json.loads((where / "config.json").read_text()), json.loads(tok.to_str())["model"]
    file, added = SCRATCH / "converted.gguf", tok.get_added_tokens_decoder()
    w = gguf.GGUFWriter(str(file), "qwen2")
    w.add_block_count(config["num_hidden_layers"]), w.add_context_length(config["max_position_embeddings"]), w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(config["intermediate_size"]), w.add_head_count(config["num_attention_heads"]), w.add_head_count_kv(config["num_key_value_heads"])
    w.add_rope_freq_base(config["rope_theta"]), w.add_layer_norm_rms_eps(config["rms_norm_eps"]), w.add_file_type(gguf.LlamaFileType.ALL_F32)
    kind = lambda i: gguf.TokenType.NORMAL if i not in added else gguf.TokenType.CONTROL if added[i].special else gguf.TokenType.USER_DEFINED
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("qwen2"), w.add_token_list([tok.id_to_token(i) for i in range(tok.get_vocab_size())])
    w.add_token_types([kind(i) for i in range(tok.get_vocab_size())]), w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    w.add_eos_token_id(tok.token_to_id("<|im_end|>")), w.add_pad_token_id(tok.token_to_id("<|endoftext|>")), w.add_bos_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_add_bos_token(False), w.add_chat_template(TEMPLATE)
    raw = (where / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, t in json.loads(raw[8:start]).items():
        first, last = t["data_offsets"]
        w.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), np.frombuffer(raw[start + first:start + last], "<f4").reshape(t["shape"]))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    said = [json.loads(mixlaw(MIXLAW, "model", "sample", m, "--temperature", "0", "--max-tokens", "24", "--precision", "fp32", "--json", "--prompt", "What's 12 + 3?"))["text"] for m in (where, file)]
    check(said[0] == said[1] and len(said[0]) > 0, "a file by the gguf package says what the folder says" + ("" if said[0] == said[1] else f": {said}"))


def conversation(where):
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError:
        print("*** conversations were not compared: no transformers ***")
        return
    tok = PreTrainedTokenizerFast.from_pretrained(where)
    for system in (None, "Be brief: e\u0301!"):
        for user in ("hi", "What's 12 + 3? Re\u0301sume\u0301\n"):
            messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": user}]
            raw = tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            settings = ["--temperature", "0", "--max-tokens", "24", "--json"]
            rows = [json.loads(mixlaw(MIXLAW, "model", "sample", where, *settings, *how)) for how in (["--raw", "--prompt", raw], ["--prompt", user] + (["--system", system] if system else []))]
            same = [(r["text"], r["tokens_prompt"], r["tokens_out"]) for r in rows]
            check(same[0] == same[1], f"conversation {messages!r} as transformers renders it" + ("" if same[0] == same[1] else f": {same}"))


def main():
    words = [w + " " for w in open("LICENSE", encoding="utf-8").read().split()]
    anything, known = texts(3000, words)
    tok = trained([" ".join(words)] + known)
    where = folder(tok)
    hugging_face(tok, where, anything + known)
    check(there_and_back(where, known), "the GGUF file that says NFC gives the folder's ids")
    llama_cpp(where, known[:1000])
    converted(where, tok)
    conversation(where)
    sys.exit(checks.n_bad > 0)


main()
