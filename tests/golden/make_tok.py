"""Recorded vectors of Hugging Face tokenizers 0.23.3 for tests/tok: run from the source root.

usage: make_tok.py [--compare]      writes tests/golden/tok/, or says what differs from it

hf.json       a byte-level BPE trained there on LICENSE and the texts below, saved there
vectors.json  texts, and their ids by that vocabulary behind each splitter that mixlaw knows; others that NFC changes,
              their NFC, and their ids behind that and Qwen2's splitter
nfc.json      checksums of the NFC of every code point alone and beside marks, by blocks of 4096
classes.json  runs of letters, numbers and spaces among all code points, by its pre-tokenizers
"""
import json
import os
import random
import sys
import zlib

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tok")
VOCAB = 700
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def splitters():
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return {
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2]),
        "gpt2": gpt2,
        "llama3": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), bytes_only]),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), bytes_only]),
    }


def texts():
    """Strings that splitters disagree about, then 150 made of such parts by chance."""
    out = [
        "", " ", "  ", "a", " a", "a ", "a  ", "\n", "\n\n", "a\n", "a\n\n", "a \n b", "\t\ta", " \t a", "a\r\nb", "x\n  y", "x \n\n  y  ",
        "1", "12", "123", "1234", " 1", "  1", "a 1", "a  1", "a   12 b", "1 2", "1a2", "3.14", "v1.2.3", "x=  7;", "\n1", "\n 1", "1\n",
        "it's", "it'S", "IT'S", "we'll've", "'s", "''s", " 's", "'tis", "don't", "I'm", "I'd", "they're", "'\u017f", "'\u212a", "'re're", "a'", "'", "' ",
        "Hello, world!", "(a)[b]{c}", "...", "a...b", "!?", " !", "  !", "--help", "a_b", "$100", "50%", "<|endoftext|>", "<|im_start|>user", "<|", "a<|endoftext|>b",
        "\u00e9", "e\u0301", "\u00a0", "a\u00a0b", "a\u00a0\u00a0b", "\u2003x", "\u3000\u4e2d\u6587", "\u0085a", "\u2028a", "\u200ba", "\ufeffa", "\u180ea",
        "\u4e2d\u6587 12", "\u0663\u0664", "\u0968 \u0969", "\u00bd\u00b2", "\u2167", "\u216b1", "x\u00b2y", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0646\u0645\u0648\u0646\u0647 \u06f1\u06f2",
        "\U0001f642", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "a\U0001f642b", "\u2764\ufe0f", "\U00013460!\U000140b5's", "\U00011de0 \U00016ff4a", "\U0002ebf0",
        "\x00", "a\x00b", "\x01\x02", "\x7f", "\ud7ff\ue000", "\ufffd", "\U0010ffff", "if (x == 0) {\n\treturn\t1;\n}\n", "    four", "\r\n\r\n", "a\r", "e.g. U.S.A.", "x" * 45, "ab" * 60, "=" * 100, "\u00e9" * 40, " " * 70,
    ]
    rng = random.Random(3)
    parts = list(" \t\n\r'.,!-_<|>0123456789") + ["  ", "\n\n", "'s", "'ll", "'RE", "the", "The", "License", " of", "\u00a0", "\u3000", "\u00e9", "\u4e2d", "\u0663", "\u00bd", "\U0001f642", "\u0301", "\x1b", "<|endoftext|>"]
    return out + ["".join(rng.choice(parts) for _ in range(rng.randrange(2, 40))) for _ in range(150)]


MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0311\u0313\u0314\u0323\u0327\u0328\u0331\u0338\u0342\u0345\u0653\u093c\u09be\u102e\u3099\u1161\u11a8"


def unnormal():
    """Texts that NFC composes, takes apart, reorders, or (marks and letters after Unicode 9.0) leaves alone here."""
    out = [
        "", "e\u0301", "cafe\u0301 12", "\u0301", "\u0301a", "\n\u0301", "1\u0338", ">\u0338", "<|endoftext|>\u0338", "<|endoftext|>e\u0301", "e<|endoftext|>\u0301", "'\u212as", "I\u0307'll", "\u212b\u2126\u212a", "\u0958\u0959", "\ufb2c", "\U0001d160",
        "\u1100\u1161\u11a8", "\u1100\u1161 \u11a8", "\uac00\u11a8", "\uac01\u11a8", "\u1100\uac00", "\u304b\u3099", "\uff76\uff9e", "\uf900\U0002f800", "\u0344", "\u0f73\u0f75", "\u0f71\u0f72\u0f74", "q\u0307\u0323", "d\u0307\u0323", "a\u0315\u0300\u05ae\u0300b",
        "\u09c7\u09be", "\u0b47\u0300\u0b3e", "\u0dd9\u0dcf\u0dca", "\u1025\u102e", "\U00011131\U00011127", "\u0387\u037e\u2000\u2001", "\u2adc", "\u1e9b\u0323", "\u03b1\u0345\u0313\u0301", "\U00011935\U00011930", "\U000105d2\u0307\u0323", "a\u0898\u0301", "a\u1df6\u0323", "\U00010d24\u0334", "\U0001e130\u0323",
        "e\u0301" * 60, "a" + "\u0301\u0323" * 40, "\u1100\u1161\u11a8" * 20, "\U0001d160" * 9,
    ]
    rng = random.Random(7)
    parts = list(MARKS) + list("aeiouAEsdK'1 \n") + ["\u0e38", "\u05b0", "\u0334", "\u0345", "\u09c7", "\u1100", "\uac00", "\u212b", "\u0958", "\u4e2d", "\u00e9", "\u01d5", "\u1ed9", "\u03c9", "\u0415", "\u0627", "<|endoftext|>", "\U0001f642", "\u0316", "\u035c"]
    return out + ["".join(rng.choice(parts) for _ in range(rng.randrange(2, 25))) for _ in range(90)]


def trained():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = splitters()["smollm"]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tok.train_from_iterator([open("LICENSE", encoding="utf-8").read()] + texts(), trainer)
    return tok


def vectors(tok):
    out = {"tokenizers": tokenizers.__version__, "texts": texts(), "ids": {}, "special": []}
    for name, splitter in splitters().items():
        tok.pre_tokenizer = splitter
        tok.encode_special_tokens = True  # their spellings are ordinary text
        out["ids"][name] = [tok.encode(t).ids for t in texts()]
    tok.normalizer, tok.pre_tokenizer = normalizers.NFC(), splitters()["qwen2"]
    out["nfc"] = {"texts": unnormal(), "normal": [tok.normalizer.normalize_str(t) for t in unnormal()], "ids": [tok.encode(t).ids for t in unnormal()]}
    tok.encode_special_tokens = False
    out["nfc"]["special"] = [tok.encode(t).ids for t in unnormal()]
    tok.normalizer, tok.pre_tokenizer = None, splitters()["smollm"]
    out["special"] = [tok.encode(t).ids for t in texts()]
    return out


def class_of(c, regex, digits):
    """One class for code point c: in the pattern, and N too where Digits splits it off."""
    def alone(around):
        return [piece[1] for piece in regex.pre_tokenize_str(around + c + around)]

    if len(alone("a")) == 1:
        return "L"
    if len(digits.pre_tokenize_str("a" + c + "a")) == 3:
        return "N"
    return None if len(alone("!")) == 1 else "S"


def classes():
    regex, digits = pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(individual_digits=True)
    runs = {"L": [], "N": [], "S": []}
    for c in range(1, 0x110000):
        kind = None if 0xD800 <= c < 0xE000 else class_of(chr(c), regex, digits)
        if kind and runs[kind] and runs[kind][-1][1] == c - 1:
            runs[kind][-1][1] = c
        elif kind:
            runs[kind].append([c, c])
    return runs


def contexts(c):
    """Code point c beside marks of the lowest and highest class, and, where letters with compositions are, before all of MARKS."""
    s = chr(c)
    marks = MARKS if c < 0x3200 or 0x10000 <= c < 0x12000 else "\u11a8"
    return "\n".join([s, "a" + s + "\u0334", "a\u0345" + s] + [s + m for m in marks])


def nfc():
    normal, blocks = normalizers.NFC().normalize_str, []
    for first in range(0, 0x110000, 0x1000):
        crc = 0
        for c in range(first, first + 0x1000):
            if not 0xD800 <= c < 0xE000:
                crc = zlib.crc32(normal(contexts(c)).encode(), crc)
        blocks.append(crc)
    return {"marks": MARKS, "blocks": blocks}


def write(name, text, compare):
    path = os.path.join(OUT, name)
    if not compare:
        os.makedirs(OUT, exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    elif open(path, encoding="utf-8").read() != text:
        print(f"{path} differs from what tokenizers {tokenizers.__version__} gives")
        return 1
    return 0


def main():
    compare = "--compare" in sys.argv
    tok = trained()
    bad = write("hf.json", tok.to_str() + "\n", compare)
    bad += write("vectors.json", json.dumps(vectors(tok), separators=(",", ":")) + "\n", compare)
    bad += write("nfc.json", json.dumps(nfc(), separators=(",", ":")) + "\n", compare)
    bad += write("classes.json", json.dumps(classes(), separators=(",", ":")) + "\n", compare)
    sys.exit(bad > 0)


main()
