"""A search of files and of the memory of processes for patterns."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cofferdam_e2e.host import alive
from cofferdam_e2e.waiting import eventually

WINDOW = 16 << 20
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)\s*(.*)$")


@dataclass(frozen=True)
class Hit:
    """`where` is a file, or a process with the kind of the mapping: [heap], [stack], a file, or anonymous."""

    where: str
    pattern: str
    offset: int
    # What lies around it, for whoever has to find out whose it is.
    around: str

    @property
    def in_java_heap(self) -> bool:
        """A heap of less than 4 GiB ends at 4 GiB: there a compressed pointer is the address."""
        return self.where.endswith("-100000000")

    def __str__(self) -> str:
        return f"{self.where} at {self.offset:#x}: {self.pattern}: {self.around}"


def search_bytes(where: str, data: bytes, base: int, patterns: dict[str, bytes], least: int = 0) -> Iterator[Hit]:
    """Hits that end after `least`: those before it were found in the window before."""
    for name, pattern in patterns.items():
        at = data.find(pattern)
        while at >= 0:
            if at + len(pattern) > least:
                around = data[max(0, at - 48) : at + len(pattern) + 48]
                shown = "".join(chr(b) if 32 <= b < 127 else "." for b in around)
                yield Hit(where, name, base + at, shown)
            at = data.find(pattern, at + 1)


def _search(where: str, read, start: int, end: int, patterns: dict[str, bytes]) -> Iterator[Hit]:
    overlap = max(map(len, patterns.values())) - 1
    kept = b""
    at = start
    while at < end:
        fresh = read(at, min(WINDOW, end - at))
        if not fresh:
            return
        # A window of zeroes is common and holds nothing.
        if fresh.count(0) != len(fresh):
            yield from search_bytes(where, kept + fresh, at - len(kept), patterns, len(kept))
        at += len(fresh)
        kept = fresh[-overlap:]


def search_file(file: Path, patterns: dict[str, bytes]) -> Iterator[Hit]:
    """Holes of a sparse file are skipped."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        for start, end in _extents(descriptor, os.fstat(descriptor).st_size):
            yield from _search(str(file), lambda at, size: os.pread(descriptor, size, at), start, end, patterns)
    finally:
        os.close(descriptor)


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            at = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError:
            return
        yield start, at


def search_tree(directory: Path, patterns: dict[str, bytes], skip: Iterable[Path] = ()) -> Iterator[Hit]:
    skipped = {str(path) for path in skip}
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if os.path.join(parent, name) not in skipped]
        for name in files:
            path = os.path.join(parent, name)
            if path not in skipped and os.path.isfile(path) and not os.path.islink(path):
                yield from search_file(Path(path), patterns)


def search_process(pid: int, name: str, patterns: dict[str, bytes]) -> Iterator[Hit]:
    """Everything readable that is not a file mapped for its own sake: code and jars hold no secrets.

    A process that has ended holds nothing; one that lives and cannot be read is an error, never a clean bill."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError as error:
        _require_ended(pid, error)
        return
    try:
        for line in maps:
            start, end, access, _, label = MAPPING.match(line).groups()
            # Shared anonymous memory is mapped from /dev/zero: PostgreSQL's buffers are.
            device = label.startswith("/dev/") and not label.startswith(("/dev/zero", "/dev/shm"))
            if "r" not in access or device or label.startswith(("[vvar", "[vsyscall")):
                continue
            if label.startswith("/") and "w" not in access:
                continue
            where = f"{name} (pid {pid}), {label or 'anonymous'} {start}-{end}"
            yield from _search(where, _reader(memory), int(start, 16), int(end, 16), patterns)
        for file in ("environ", "cmdline"):
            yield from search_bytes(f"{name} (pid {pid}), {file}", Path(f"/proc/{pid}/{file}").read_bytes(), 0, patterns)
    except OSError as error:
        _require_ended(pid, error)
    finally:
        os.close(memory)


def _require_ended(pid: int, error: OSError) -> None:
    if isinstance(error, ProcessLookupError):
        # Its memory has gone already, and it is about to: a large one takes a moment to end.
        eventually(lambda: not alive(pid), f"the end of pid {pid}, which has no memory")
    elif alive(pid):
        raise error


def _reader(memory: int):
    def read(at: int, size: int) -> bytes:
        try:
            return os.pread(memory, size, at)
        except (OSError, OverflowError):
            return b""

    return read


def summary(hits: list[Hit], samples: int = 3) -> str:
    """By place, with a few samples of each: a leak in a buffer pool comes in hundreds."""
    by_place: dict[str, list[Hit]] = {}
    for hit in hits:
        by_place.setdefault(hit.where, []).append(hit)
    lines = [f"{len(hits)} hits in {len(by_place)} places"]
    for place, found in sorted(by_place.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(found):5d} in {place}")
        # One of each pattern tells more than many of one.
        different = {hit.pattern: hit for hit in found}
        lines += [f"        {hit.offset:#x} {hit.pattern}: {hit.around}" for hit in list(different.values())[:samples]]
    return "\n".join(lines)
