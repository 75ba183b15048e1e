"""Training speed of the same small Llamas in PyTorch: one JSON line a burst of steps.

usage: train_torch.py SIZE BATCH THREADS SECONDS|- [fp32|bf16|compile|compile-bf16]

With - each line on standard input holds the seconds of one burst, as for train_bench. A careful user's loop: fused attention, fused AdamW, clipping, gradients set to None. Run it with
MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184, as bench/train.sh does, or glibc hands
every large block back to the kernel at each step.
"""
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZES = {  # width, layers, feed-forward, vocabulary, sequence length
    "tiny": (128, 2, 352, 4096, 256),
    "0.6M": (128, 3, 352, 4096, 256),
    "1M": (128, 5, 352, 8192, 512),
    "2M": (192, 5, 512, 8192, 512),
    "4M": (256, 5, 704, 8192, 512),
    "5M": (256, 6, 704, 8192, 512),
    "20M": (512, 6, 1408, 8192, 512),
    "100M": (768, 14, 2048, 32000, 512),
}
HEAD = 64


class Layer(nn.Module):
    def __init__(self, d, ff):
        super().__init__()
        self.n_head = d // HEAD
        self.norm1, self.norm2 = nn.RMSNorm(d, eps=1e-5), nn.RMSNorm(d, eps=1e-5)
        self.qkv, self.o = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.gate_up, self.down = nn.Linear(d, 2 * ff, bias=False), nn.Linear(ff, d, bias=False)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.n_head, HEAD).permute(2, 0, 3, 1, 4)

        def turn(y):
            y1, y2 = y.chunk(2, -1)
            return torch.cat((y1 * cos - y2 * sin, y2 * cos + y1 * sin), -1).to(v.dtype)

        a = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, d))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, d, n_layer, ff, vocab, seq_len):
        super().__init__()
        self.embed, self.norm = nn.Embedding(vocab, d), nn.RMSNorm(d, eps=1e-5)
        self.layers = nn.ModuleList(Layer(d, ff) for _ in range(n_layer))
        self.head = nn.Linear(d, vocab, bias=False)
        angle = torch.outer(torch.arange(seq_len), 10000.0 ** (-torch.arange(0, HEAD, 2) / HEAD))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, tok):
        x = self.embed(tok[:, :-1])
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = self.head(self.norm(x)).float()
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), tok[:, 1:].reshape(-1))


def main():
    size, batch, threads, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    mode = sys.argv[5] if len(sys.argv) > 5 else "fp32"
    d, n_layer, ff, vocab, seq_len = SIZES[size]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = Llama(d, n_layer, ff, vocab, seq_len)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    loss_of = torch.compile(model) if mode.startswith("compile") else model
    tok = torch.randint(vocab, (batch, seq_len + 1))

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in mode):
            loss = loss_of(tok)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        loss.item()

    def burst(seconds):
        wall, cpu, start = [], [], time.perf_counter()
        while not wall or time.perf_counter() - start < seconds:
            t, c = time.perf_counter(), time.process_time()
            step()
            wall.append(time.perf_counter() - t)
            cpu.append(time.process_time() - c)
        n = batch * seq_len
        print(json.dumps({"name": f"torch {torch.__version__}", "size": size, "mode": mode, "n_thread": threads, "batch_tokens": n,
                          "tok_per_s": n / statistics.median(wall), "tok_per_s_best": n / min(wall),
                          "tok_per_cpu_s": n / statistics.median(cpu), "tok_per_cpu_s_best": n / min(cpu),
                          "first_step_s": first_s, "n_step": len(wall),
                          "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)

    start = time.perf_counter()
    step()  # the first allocates, and compiles
    first_s = time.perf_counter() - start
    if seconds != "-":
        burst(float(seconds))
        return
    print("ready", flush=True)
    for line in sys.stdin:
        burst(float(line))


if __name__ == "__main__":
    main()
