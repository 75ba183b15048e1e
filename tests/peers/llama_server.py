#!/usr/bin/env python3
"""Serves a GGUF file with llama.cpp's server (wheel xllamacpp) on loopback. Prints its address, serves
until its standard input closes. usage: llama_server.py MODEL.gguf [SLOTS] [THREADS] [CONTEXT_PER_SLOT]"""
import socket
import sys

import xllamacpp

slots = int(sys.argv[2]) if len(sys.argv) > 2 else 4
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
with socket.socket() as s:  # a free port; a few milliseconds later it is ours again
    s.bind(("127.0.0.1", 0))
    params.port = s.getsockname()[1]
params.n_parallel = slots
params.n_ctx = slots * (int(sys.argv[4]) if len(sys.argv) > 4 else 1024)
params.kv_unified = False
params.endpoint_slots = True
params.endpoint_props = True
params.n_gpu_layers = 0
if len(sys.argv) > 3:
    params.cpuparams.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
