"""Secrets that can be found again, wherever and in whatever form a copy of them lies.

All values of a run begin and end with the same two random markers, so that one search finds every value, also a copy
whose one end was overwritten. The markers hold characters that percent-encoding changes.
"""

import base64
import os
import secrets
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Canary:
    head: str
    tail: str

    @staticmethod
    def of_this_run() -> "Canary":
        """From the environment where the whole run shares one, as testkit/run.sh makes it."""
        text = os.environ.get("COFFERDAM_CANARY", "") or Canary.fresh()
        head, separator, tail = text.partition(":")
        assert separator and len(head) >= 16 and len(tail) >= 16, f"COFFERDAM_CANARY is {text!r}, expected HEAD:TAIL"
        return Canary(head, tail)

    @staticmethod
    def fresh() -> str:
        return f"sk+{secrets.token_hex(8)}/:/{secrets.token_hex(8)}=="

    def value(self) -> str:
        """A new secret value."""
        return f"{self.head}{secrets.token_hex(8)}{self.tail}"

    def patterns(self) -> dict[str, bytes]:
        found = {}
        for end, marker in (("head", self.head), ("tail", self.tail)):
            plain = marker.encode()
            found[f"raw {end}"] = plain
            found[f"utf-16 {end}"] = marker.encode("utf-16-le")
            found[f"hex {end}"] = plain.hex().encode()
            found[f"HEX {end}"] = plain.hex().upper().encode()
            found[f"percent {end}"] = quote(marker, safe="-._~").encode()
            for shift in range(3):
                found[f"base64 {end}, alignment {shift}"] = aligned_base64(plain, shift)
        return found


def aligned_base64(plain: bytes, shift: int) -> bytes:
    """What plain looks like within the base64 of a text in which it starts at an offset of `shift` modulo 3: only the
    characters that depend on nothing around it."""
    encoded = base64.b64encode(b"\0" * shift + plain + b"\0" * (-(shift + len(plain)) % 3))
    bits = 8 * shift, 8 * (shift + len(plain))
    return encoded[-(-bits[0] // 6) : bits[1] // 6]
