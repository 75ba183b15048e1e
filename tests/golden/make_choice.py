"""Invented questions in the formats of HellaSwag, ARC and PIQA, and what lm-evaluation-harness says to them; --compare recomputes and compares.

usage: make_choice.py [--compare] [--out tests/golden/choice]
       make_choice.py --model MODEL.gguf                     the harness's numbers for another model, as JSON lines

The model is tests/golden/gguf/tiny.gguf, dequantised, in fp32. expected.json: for each file the shares acc and acc_norm and,
for each question, the choices' log-likelihoods, all as the harness's own tasks hellaswag, arc_easy and piqa compute
them. Made with lm-eval 0.4.13, transformers 5.23.0, torch 2.15.0; other versions may differ in the last digits.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
import lm_eval
import lm_eval.tasks
import torch
import transformers
from lm_eval.models.huggingface import HFLM

HERE = pathlib.Path(__file__).resolve().parent
TASKS = {"hellaswag": "hellaswag/hellaswag.yaml", "arc": "arc/arc_easy.yaml", "piqa": "piqa/piqa.yaml"}
THINGS = ["the kettle", "a rope", "the old boat", "her bicycle", "some flour", "the lamp", "two eggs", "a wet coat", "the door", "seven nails"]
DEEDS = ["put it on the shelf", "wait until it is cold", "tie a knot", "turn the key twice", "ask the neighbour", "pour the water out", "sand the edge", "count to ten", "hang it up", "begin again"]


def hellaswag(r, i):
    steps = [f"[{r.choice(['header', 'step'])}] How to mend {r.choice(THINGS)} [title] {r.choice(DEEDS).capitalize()}. ", ""]
    ctx_a = r.choice(steps) + f"A man looks at {r.choice(THINGS)}."
    ctx_b = r.choice(["he", "then THE Man", "", "a woman who stands by"])
    endings = [f"{r.choice(['will', 'does not', 'begins to'])} {r.choice(DEEDS)}{r.choice(['.', ' [substeps] with  both hands.', ' and smiles  .'])}" for _ in range(4)]
    return {"ind": i, "activity_label": r.choice(["Mending", "Home and Garden"]), "ctx_a": ctx_a, "ctx_b": ctx_b, "ctx": f"{ctx_a} {ctx_b}".strip(), "endings": endings,
            "split": "val", "source_id": f"invented~{i}", "label": r.choice([i % 4, str(i % 4)])}


def arc(r, i):
    names = ["A", "B", "C", "D", "E"] if i % 3 else ["1", "2", "3", "4"]
    n = r.choice([3, 4, len(names)])
    names = names[:n]
    long = " ".join(f"{t} was there, and somebody said: {d}." for t, d in zip(THINGS, DEEDS)) if i % 11 == 5 else ""  # beyond the context of 256
    return {"id": f"invented_{i}", "question": f"{long} What should one do with {r.choice(THINGS)} at {r.randint(2, 99)} °C?".strip(),
            "choices": {"text": [r.choice(DEEDS) + r.choice(["", " twice", " – slowly"]) for _ in names], "label": names}, "answerKey": r.choice(names)}


def piqa(r, i):
    return {"goal": f"To keep {r.choice(THINGS)} dry{r.choice(['', ',', ' '])}", "sol1": r.choice(DEEDS) + ".", "sol2": f"{r.choice(DEEDS)} and {r.choice(DEEDS)}.", "label": r.randint(0, 1)}


def write_questions(out):
    for name, make in (("hellaswag", hellaswag), ("arc", arc), ("piqa", piqa)):
        r = random.Random(f"choice {name}")
        rows = [make(r, i) for i in range(24)]
        if name == "hellaswag":  # one type a column, or the loader of data sets refuses
            rows = [{**row, "label": str(row["label"])} for row in rows]
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def harness(model, files):
    folder, name = os.path.split(os.path.abspath(model))
    tok = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    net = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    lm = HFLM(pretrained=net, tokenizer=tok, batch_size=8, device="cpu")
    installed = pathlib.Path(lm_eval.__file__).parent / "tasks"
    result = {}
    with tempfile.TemporaryDirectory() as tmp:
        for task, where in TASKS.items():
            conf = (f"include: {installed / where}\ntask: mini_{task}\ntag: null\ndataset_path: json\ndataset_name: null\n"
                    f"dataset_kwargs: {{data_files: {{validation: {files / (task + '.jsonl')}}}}}\n"
                    "training_split: null\nvalidation_split: validation\ntest_split: null\n")
            pathlib.Path(tmp, f"{task}.yaml").write_text(conf)
        manager = lm_eval.tasks.TaskManager(include_path=tmp)
        for task in TASKS:
            got = lm_eval.simple_evaluate(model=lm, tasks=[f"mini_{task}"], task_manager=manager, log_samples=True, bootstrap_iters=0)
            scores, samples = got["results"][f"mini_{task}"], sorted(got["samples"][f"mini_{task}"], key=lambda s: s["doc_id"])
            result[task] = {"acc": scores["acc,none"], "acc_norm": scores["acc_norm,none"], "n": len(samples),
                            "scores": [[float(f"{r[0][0] if isinstance(r[0], (list, tuple)) else r[0]:.6g}") for r in s["resps"]] for s in samples]}
    return result


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=str(HERE / "choice"))
    p.add_argument("--compare", action="store_true")
    p.add_argument("--model")
    a = p.parse_args()
    out = pathlib.Path(a.out)
    if a.model:
        for task, r in harness(a.model, out).items():
            print(json.dumps({"task": task, **r}))
        return
    if not a.compare:
        out.mkdir(parents=True, exist_ok=True)
        write_questions(out)
    got = harness(HERE / "gguf" / "tiny.gguf", out)
    if not a.compare:
        (out / "expected.json").write_text(json.dumps(got) + "\n")
        return
    want = json.loads((out / "expected.json").read_text())
    worst = max(abs(x - y) for t in want for u, v in zip(want[t]["scores"], got[t]["scores"]) for x, y in zip(u, v))
    print(f"largest difference of a log-likelihood: {worst:.2g}")
    sys.exit(worst > 1e-3 or any(want[t][k] != got[t][k] for t in want for k in ("acc", "acc_norm", "n")))


if __name__ == "__main__":
    main()
