"""Waiting for what other processes do in their own time. It bounds a run and asserts nothing about speed."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 60
STEP_SECONDS = 0.1


def eventually(probe: Callable[[], T], what: str | Callable[[], str], seconds: float = DEADLINE_SECONDS) -> T:
    """The first true value of probe. What was waited for may be a question, asked only once it did not come."""
    ends = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > ends:
            told = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:.0f} s: {told}; last seen: {value!r}")
        pause.wait(STEP_SECONDS)
