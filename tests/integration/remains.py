"""What a process still has in its memory, that which it has given back included."""

import re

CHUNK = 16 << 20
RESERVED = 1 << 30  # bytes: more are a sanitizer's


def regions(pid):
    """(first, behind) of what it can write and has used."""
    with open(f"/proc/{pid}/smaps", encoding="ascii") as maps:
        for line in maps:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line):
                first, behind, mode = int(found[1], 16), int(found[2], 16), found[3]
            elif line.startswith("Rss:") and mode.startswith("rw") and int(line.split()[1]):
                if behind - first < RESERVED:
                    yield first, behind


def remains_of(segue, *secrets):
    """How often the proxy's memory holds each of them."""
    counts = [0] * len(secrets)
    overlap = max(map(len, secrets)) - 1
    with open(f"/proc/{segue.process.pid}/mem", "rb", buffering=0) as memory:
        for first, behind in regions(segue.process.pid):
            memory.seek(first)
            tail = b""
            while first < behind:
                data = memory.read(min(CHUNK, behind - first))
                first += len(data)
                for i, secret in enumerate(secrets):
                    counts[i] += (tail + data).count(secret) - tail.count(secret)
                tail = (tail + data)[-overlap:]
    return counts
