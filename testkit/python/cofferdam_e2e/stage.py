"""The world around the mesh, which counts what reaches it: deploy/stage/stage."""

import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "stage" / "stage"


class Stage:
    def __init__(self, name: str):
        self.name = name

    def counters(self) -> dict:
        done = subprocess.run([SCRIPT, "counters", self.name], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def allow(self, address: str, port: int) -> None:
        """From now on TCP of the gateway's to there is expected."""
        subprocess.run([SCRIPT, "allow", self.name, address, str(port)], check=True)

    def unexpected(self) -> int:
        """Packets that reached the uplink and were not the gateway's to a host that policy allows."""
        return self.counters()["unexpected"]

    def expected(self) -> int:
        return self.counters()["expected"]

    def describe(self) -> str:
        return str(self.counters())
