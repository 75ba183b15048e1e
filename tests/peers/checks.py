"""What the comparisons with peers share: a line a check, and mixlaw's own answer."""
import subprocess

n_bad = 0


def check(ok, what):
    global n_bad
    n_bad += not ok
    print("ok  " if ok else "BAD ", what, flush=True)


def mixlaw(program, *args):
    return subprocess.run([program, *map(str, args), "--quiet"], check=True, capture_output=True, text=True).stdout
