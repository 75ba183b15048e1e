"""Loads each folder that test_model exported in transformers and compares its logits with ours.

usage: load_export.py FOLDER      FOLDER/NAME: config.json, model.safetensors, logits.f32 of the tokens 0..31
"""
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM


def main():
    worst, seen = 0.0, 0
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        problems = {k: v for k, v in info.items() if v}
        if problems:
            sys.exit(f"{folder.name}: {problems}")
        with torch.no_grad():
            want = model(input_ids=torch.arange(32)[None]).logits[0].double()
        got = torch.frombuffer(bytearray((folder / "logits.f32").read_bytes()), dtype=torch.float32).reshape(want.shape).double()
        difference = ((got - want).norm() / want.norm()).item()
        print(f"{folder.name}: logits differ by {difference:.1e} of their norm")
        worst, seen = max(worst, difference), seen + 1
    if seen == 0 or not worst < 1e-4:
        sys.exit("our export and transformers disagree")


if __name__ == "__main__":
    main()
