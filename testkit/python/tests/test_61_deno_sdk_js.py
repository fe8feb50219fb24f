"""The JavaScript SDK of Deno Sandbox, as its registry has it, against the edge: testkit/javascript/deno_sdk.mjs."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ALLOWED, BOUND

SDK = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam")) / "tools" / "deno-sdk"
PROGRAM = Path(__file__).parents[2] / "javascript" / "deno_sdk.mjs"
CHECKS = re.findall(r"^  async (\w+)\(\) \{", PROGRAM.read_text(), re.MULTILINE)


def run(check: str, **environment: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name.startswith("DENO_") or name == "PATH"}
    done = subprocess.run(
        [SDK / "node/bin/node", PROGRAM, check], env=variables | environment | {"DENO_SDK": str(SDK)}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0 and done.stdout.endswith(f"ok {check}\n"), f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("check", [name for name in CHECKS if name != "secret"])
def test_check(check):
    run(check)


def test_secret(canary, upstream):
    upstream.mark()
    value = canary.value()
    run("secret", SECRET_VALUE=value, BOUND=BOUND, OTHER=ALLOWED)
    assert value in upstream.raw().decode()
