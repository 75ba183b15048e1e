"""Given text scored: multiple choice and rolling loss, ours and lm-evaluation-harness's in turns. JSON lines.

usage: given.py MIXLAW MODEL.gguf TEXT.txt [QUESTIONS [ROUNDS [DTYPE,DTYPE...]]]        (bench/given.sh)

Questions are in HellaSwag's form: 600 characters of the text, its next 80 and three other pieces of 80 as endings. Ours is the whole
program, `mixlaw eval`, started anew each round and its loading counted, by default as well as in fp32; the harness runs in this process, its
loading not counted, in fp32 and bf16 or what is named (the faster one of a round is what the ratio is to). Pages are half as many as questions,
at most 8.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from lm_eval import __version__ as version
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from train_pairs import lower_bound

CONTEXT, ENDING, PAGE = 600, 80, 3000


def questions(text, n):
    r = random.Random(1)
    for i in range(n):
        at = r.randrange(len(text) - CONTEXT - ENDING)
        cut = lambda start: " ".join(text[start:start + ENDING].split())
        endings = [cut(at + CONTEXT)] + [cut(r.randrange(len(text) - ENDING)) for _ in range(3)]
        context = " ".join(text[at:at + CONTEXT].split())
        yield {"ind": i, "activity_label": "Text", "ctx_a": context, "ctx_b": "", "ctx": context, "endings": endings, "label": "0", "split": "val", "source_id": str(i)}


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(mixlaw, model, precision, *args):
    subprocess.run([mixlaw, "eval", "--quiet", "--json", "--model", model, "--precision", precision, *args], check=True, stdout=subprocess.DEVNULL)


def harness(model, kind):
    folder, name = os.path.split(os.path.abspath(model))
    tok = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    net = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=getattr(torch, kind)).eval()
    return HFLM(pretrained=net, tokenizer=tok, batch_size=16, device="cpu", max_length=1024)


def report(what, unit, n, rounds, peers, **more):
    row = {"what": what, "unit": unit, "n": n, "peer": f"lm-eval {version}, transformers {transformers.__version__}", "n_round": len(rounds), **more}
    for side in rounds[0]:
        row[side] = n / statistics.median(r[side] for r in rounds)
    for side in (s for s in rounds[0] if s not in peers):
        ratios = [min(r[p] for p in peers) / r[side] for r in rounds]
        row[f"ratio_{side}"], row[f"ratio_{side}_low"] = statistics.median(ratios), lower_bound(ratios)
    print(json.dumps(row), flush=True)


def main():
    mixlaw, model, path = sys.argv[1:4]
    n, n_round = int(sys.argv[4]) if len(sys.argv) > 4 else 50, int(sys.argv[5]) if len(sys.argv) > 5 else 7
    kinds = sys.argv[6].split(",") if len(sys.argv) > 6 else ["float32", "bfloat16"]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    text = open(path, encoding="utf-8").read()
    asked = list(questions(text, n))
    pages = [text[i:i + PAGE] for i in range(0, min(len(text), min(8, (n + 1) // 2) * PAGE), PAGE)]
    peers = {kind: harness(model, kind) for kind in kinds}
    choice = [Instance("loglikelihood", {}, (q["ctx"], " " + e), i) for q in asked for i, e in enumerate(q["endings"])]
    rolling = [Instance("loglikelihood_rolling", {}, (p,), i) for i, p in enumerate(pages)]
    with tempfile.TemporaryDirectory() as folder:
        tasks, docs = os.path.join(folder, "hellaswag.jsonl"), os.path.join(folder, "pages.jsonl")
        with open(tasks, "w") as f:
            f.writelines(json.dumps(q) + "\n" for q in asked)
        with open(docs, "w") as f:
            f.writelines(json.dumps({"text": p}) + "\n" for p in pages)
        for what, unit, count, args, work in (
                ("multiple choice, 600 characters and 4 endings of 80", "questions/s", n, ("--tasks", tasks),
                 lambda lm: lm.loglikelihood(choice, disable_tqdm=True)),
                ("loss of pages of 3,000 characters", "pages/s", len(pages), ("--domains", f"pages={docs}"),
                 lambda lm: lm.loglikelihood_rolling(rolling, disable_tqdm=True))):
            rounds = []
            for _ in range(n_round):
                r = {f"mixlaw_{p}": timed(lambda: ours(mixlaw, model, p, *args)) for p in ("auto", "fp32")}
                r.update({kind: timed(lambda: work(lm)) for kind, lm in peers.items()})
                rounds.append(r)
            report(what, unit, count, rounds, list(peers))


if __name__ == "__main__":
    main()
