"""What the mesh's services said, for whoever reads why a test failed on a machine that is gone by then."""

import json
from collections.abc import Iterator
from pathlib import Path

MOST = 40
WIDTH = 300


def warnings(directory: Path, since: float) -> list[str]:
    """Of all services in the order of time, the last ones; since is in seconds of Unix time."""
    return [line[:WIDTH] for _, line in sorted(entry for log in directory.glob("*.log") for entry in _entries(log, since))][-MOST:]


def _entries(log: Path, since: float) -> Iterator[tuple[float, str]]:
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
            time, level = entry["timestamp"] / 1000, entry["level"]
        except (ValueError, KeyError, TypeError):
            # Not of a service in Java.
            continue
        if level in ("WARN", "ERROR") and time >= since:
            details = " ".join(f"{key}={value}" for pair in entry.get("kvpList") or () for key, value in pair.items())
            yield time, f"{time:.3f} {log.stem} {entry['message']} {details}"
