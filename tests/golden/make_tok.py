"""Recorded vectors of Hugging Face tokenizers 0.23.3 for tests/tok: run from the source root.

usage: make_tok.py [--compare]      writes tests/golden/tok/, or says what differs from it

hf.json       a byte-level BPE trained there on LICENSE and the texts below, saved there
vectors.json  texts, and their ids by that vocabulary behind each splitter that mixlaw knows
classes.json  runs of letters, numbers and spaces among all code points, by its pre-tokenizers
"""
import json
import os
import random
import sys

import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tok")
VOCAB = 700
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def splitters():
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return {
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2]),
        "gpt2": gpt2,
        "llama3": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), bytes_only]),
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
    tok.pre_tokenizer = splitters()["smollm"]
    tok.encode_special_tokens = False
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
    bad += write("classes.json", json.dumps(classes(), separators=(",", ":")) + "\n", compare)
    sys.exit(bad > 0)


main()
