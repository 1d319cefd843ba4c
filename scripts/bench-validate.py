#!/usr/bin/env python3
"""Measures `stepfn validate` over copies of definitions: PROGRAM DIRECTORY [RUNS=3]. Prints a table."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

program = os.path.abspath(sys.argv[1])
directory = pathlib.Path(sys.argv[2])
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
names = ("*.asl.json", "*.asl.yaml", "*.asl.yml")
texts = [(path.suffix, path.read_bytes()) for name in names for path in sorted(directory.rglob(name))]
if not texts:
    sys.exit(f"error: there is no definition in {directory}")
mean = sum(len(text) for _, text in texts) / len(texts)

print(f"{len(texts)} definitions of {mean / 1024:.1f} KiB on average, copied.\n")
print("| `stepfn validate` | wall | definitions/s | max RSS |")
print("|---|---:|---:|---:|")
with tempfile.TemporaryDirectory() as scratch:
    files = []
    for number in range(20_000):
        suffix, text = texts[number % len(texts)]
        name = f"{number}{suffix}"
        pathlib.Path(scratch, name).write_bytes(text)
        files.append(name)
    for count, form in [(2_000, "sarif"), (20_000, "sarif"), (20_000, "human")]:
        walls, rss = [], 0
        for _ in range(runs):
            begin = time.perf_counter()
            process = subprocess.Popen(
                [program, "validate", "--format", form, *files[:count]],
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            walls.append(time.perf_counter() - begin)
            rss = max(rss, usage.ru_maxrss)
            # Published definitions may have findings; more than that is wrong.
            if os.waitstatus_to_exitcode(status) not in (0, 1):
                sys.exit(f"error: the run ended with {os.waitstatus_to_exitcode(status)}")
        wall = statistics.median(walls)
        print(f"| {count:,} definitions, {form} | {wall:.2f} s | {count / wall:,.0f} | {rss / 1024:.1f} MiB |")
