"""What the outside world received: the record of testkit/upstream."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Upstream:
    directory: Path
    _seen: int = field(default=0)

    @property
    def _file(self) -> Path:
        return self.directory / "requests.jsonl"

    def mark(self) -> None:
        """Forgets what has come so far."""
        self._seen = self._file.stat().st_size

    def received(self) -> list[dict]:
        """Every request since the mark, in the order of arrival."""
        with self._file.open("rb") as file:
            file.seek(self._seen)
            return [json.loads(line) for line in file.read().splitlines()]

    def raw(self) -> bytes:
        """The record since the mark as bytes, to look for what should not be in it at all."""
        return self._file.read_bytes()[self._seen :]
