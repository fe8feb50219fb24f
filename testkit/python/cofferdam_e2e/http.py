"""HTTP requests from inside a sandbox, with curl, as a guest's program would send them."""

import json
import shlex
from dataclasses import dataclass

from cofferdam_e2e.sandbox import Sandbox

# What curl says when it got no answer at all.
NO_ANSWER = 0


@dataclass(frozen=True)
class Answer:
    """`status` is NO_ANSWER where the connection failed; then `curl` is curl's own exit code."""

    status: int
    headers: dict[str, str]
    body: bytes
    curl: int
    # All headers as they came, trailers included.
    head: bytes = b""

    @property
    def reason(self) -> str:
        """Why the gateway refused, as its answer's header says; empty where it did not."""
        return self.headers.get("cofferdam-reason", "")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def curl(sandbox: Sandbox, url: str, *options: str) -> Answer:
    """Options may use the guest's environment: "$API_KEY" in them is expanded by the guest's shell."""
    words = " ".join(f'"{_escaped(option)}"' for option in options)
    script = (
        "d=$(mktemp -d) && cd $d && "
        f"curl -sS --max-time 30 -D headers -o body {words} {shlex.quote(url)}; code=$?; "
        "touch headers body; printf '%s\\n' $code; wc -c <headers; cat headers body; cd / && rm -r $d"
    )
    done = sandbox.sh(script)
    assert done.exit_code == 0, f"curl could not be run: {done}"
    code, size, rest = done.stdout.split(b"\n", 2)
    head, body = rest[: int(size)], rest[int(size) :]
    # The last block counts: earlier ones are 100 Continue or redirects.
    blocks = [block for block in head.decode().replace("\r\n", "\n").split("\n\n") if block.startswith("HTTP/")]
    if not blocks:
        return Answer(NO_ANSWER, {}, body, int(code), head)
    status, *lines = blocks[-1].splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, body, int(code), head)


def _escaped(option: str) -> str:
    """For double quotes of the shell, with variables left alone."""
    return option.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")
