"""The snippets of the README for the SDKs of Deno Sandbox, as they are printed but for the host's name."""

import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import BOUND
from deno_sandbox import DenoDeploy
from test_61_deno_sdk import JAVASCRIPT_SDK
from test_65_expose import ask

from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.waiting import eventually

README = (Path(__file__).parents[3] / "README.md").read_text()
SNIPPETS = re.findall(r"^```(python|js)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
FIRST, SECOND = SNIPPETS[:2], SNIPPETS[2:]


def test_each_sdk_has_both():
    assert [language for language, _ in SNIPPETS] == ["python", "js"] * 2


def start(directory: Path, language: str, snippet: str) -> subprocess.Popen:
    file = directory / {"python": "snippet.py", "js": "snippet.mjs"}[language]
    file.write_text(snippet.replace("api.example.com", BOUND))
    (directory / "node_modules").symlink_to(JAVASCRIPT_SDK / "node_modules")
    program = {"python": sys.executable, "js": JAVASCRIPT_SDK / "node/bin/node"}[language]
    variables = {name: value for name, value in os.environ.items() if name.startswith("DENO_") or name == "PATH"}
    return subprocess.Popen(
        [program, file.name], cwd=directory, env=variables | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


@pytest.mark.parametrize("language, snippet", FIRST)
def test_a_secret_that_is_used_and_never_held(tmp_path, canary, upstream, language, snippet):
    value = canary.value()
    (tmp_path / "key").write_text(value + "\n")
    upstream.mark()
    running = start(tmp_path, language, snippet)
    said = running.communicate(timeout=4 * CALL_SECONDS)[0]
    # Its user's own file, which the search for values would find.
    (tmp_path / "key").unlink()
    assert running.returncode == 0, said
    assert f"Bearer {value}" in upstream.raw().decode()
    assert value not in said


@pytest.mark.parametrize("language, snippet", SECOND)
def test_volume_snapshot_fetch_deno_and_a_name_for_a_port(tmp_path, language, snippet):
    slugs = {"python": ("site", "site-monday"), "js": ("pages", "pages-monday")}[language]
    running = start(tmp_path, language, snippet)
    lines: queue.Queue = queue.Queue()

    def read() -> None:
        said = ""
        for character in iter(lambda: running.stdout.read(1), ""):
            said += character
            lines.put(said)

    threading.Thread(target=read, daemon=True).start()
    said = ""
    # The last line has no end until Enter is pressed.
    while not (shown := re.search(r"(https://[a-z2-7]{12}-[a-z2-7]{20}\.localhost:[0-9]{4,5})", said)):
        said = lines.get(timeout=4 * CALL_SECONDS)
    assert re.match(r"\[\s*1, 4, 9\s*\]\n[0-9]{3}\n", said), said

    def page() -> bytes:
        answer = ask(shown[1])
        return answer.read() if answer.status == 200 else b""

    eventually(lambda: page() == b"hello", "a server that listens")
    running.communicate("\n", timeout=4 * CALL_SECONDS)
    assert running.returncode == 0
    deno = DenoDeploy()
    assert deno.snapshots.get(slugs[1])["slug"] == slugs[1]
    deno.snapshots.delete(slugs[1])

    def deleted() -> bool:
        try:
            deno.volumes.delete(slugs[0])
        except Exception:
            return False
        return True

    eventually(deleted, "the end of the sandbox that has the volume")
