#!/usr/bin/env python3
"""Verifies an audit log by docs/audit.md alone, without stepfn: verify_audit.py DIRECTORY"""
import hashlib
import pathlib
import re
import sys

TAIL = re.compile(rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}$')
sequence, last, n_bad = None, None, 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("audit-*.jsonl")):
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        found = TAIL.search(line)
        start = re.match(rb'{"seq":(\d+),', line)
        if not (found and start):
            n_bad += 1
            print(f"{path.name}:{number}: no record")
            continue
        body = line[: line.rindex(b',"hash":')] + b"}"
        is_true = hashlib.sha256(body).hexdigest().encode() == found[2]
        is_next = last is None or (found[1] == last and int(start[1]) == sequence + 1)
        if not (is_true and is_next):
            n_bad += 1
            print(f"{path.name}:{number}: {'edited' if not is_true else 'does not follow'}")
        sequence, last = int(start[1]), found[2]
print(f"last record {sequence}, {n_bad} findings")
sys.exit(n_bad != 0)
