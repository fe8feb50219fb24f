"""The client as its user types it: the command in a shell, its standard streams, its exit code."""

import contextlib
import os
import queue
import re
import secrets as random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ALLOWED, BOUND
from test_70_metrics import page
from test_81_survive import counted

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.host import namespaces
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.waiting import eventually

COMMAND = Path(os.environ["COFFERDAM_ROOT"]) / "cofferdam"


def cofferdam(*words: str, stdin: bytes | str = b"", env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    return subprocess.run([COMMAND, *words], input=data, env=os.environ | (env or {}), capture_output=True, timeout=5 * CALL_SECONDS)


def output(*words: str, **more) -> str:
    """Of a command that must succeed and has nothing to complain about."""
    done = cofferdam(*words, **more)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout.decode()


@pytest.fixture
def kept() -> Iterator[str]:
    sandbox = output("sandbox", "create", "--label", "made-by=cli").strip()
    yield sandbox
    output("sandbox", "rm", sandbox)


@contextlib.contextmanager
def following(*words: str):
    """A command that stays. Gives a function that waits for a line of its output."""
    process = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()

    def until(pattern: str) -> str:
        while True:
            line = lines.get(timeout=CALL_SECONDS)
            if re.search(pattern, line):
                return line

    try:
        yield process, until
    finally:
        process.terminate()
        process.communicate(timeout=CALL_SECONDS)


def test_the_main_job_in_three_commands(tenant, canary, upstream):
    name, value = f"cli-{random.token_hex(4)}", canary.value()
    assert output("secret", "put", name, "--host", BOUND, stdin=value + "\n") == f"{name} version 1\n"
    assert re.search(rf"^{name} ", output("secret", "ls"), re.MULTILINE)
    fetch = f'echo "$API_KEY" >&2; curl -sS -o /dev/null -w "%{{http_code}}" -H "Authorization: Bearer $API_KEY" https://{BOUND}/headers; exit 7'
    upstream.mark()
    done = cofferdam("run", "--allow-net", BOUND, "--secret", f"{name}=API_KEY", "--", "sh", "-c", fetch)
    assert (done.returncode, done.stdout) == (7, b"200"), done
    assert value.encode() not in done.stderr and len(done.stderr.strip()) >= 16
    assert f"Bearer {value}" in upstream.raw().decode()

    fresh = canary.value()
    assert output("secret", "rotate", name, stdin=fresh) == f"{name} version 2\n"
    upstream.mark()
    assert output("run", "--allow-net", BOUND, "--secret", f"{name}=API_KEY", "--", "sh", "-c", fetch.replace("exit 7", "exit 0").replace('echo "$API_KEY" >&2; ', "")) == "200"
    assert f"Bearer {fresh}" in upstream.raw().decode()
    output("secret", "rm", name)
    assert name not in output("secret", "ls")
    gone = cofferdam("run", "--secret", name, "--", "true")
    assert gone.returncode != 0 and b"SECRET_NOT_FOUND" in gone.stderr and gone.stderr.count(b"\n") == 1, gone


def test_run_leaves_nothing_unless_told_to(tenant):
    def listed():
        page = tenant.sandboxes.ListSandboxes(sandbox_pb2.ListSandboxesRequest(page_size=1000), timeout=CALL_SECONDS)
        return {sandbox.id for sandbox in page.sandboxes}

    before = listed()
    assert output("run", "--", "sh", "-c", "cat; echo $0", stdin="from here\n") == "from here\nsh\n"
    assert listed() == before
    done = cofferdam("run", "--keep", "--", "true")
    kept = done.stderr.decode().strip()
    assert done.returncode == 0 and listed() - before == {kept}
    output("sandbox", "rm", kept)
    assert listed() == before


def test_a_sandbox_by_hand(kept, tmp_path):
    assert re.search(rf"^{kept} ", output("sandbox", "ls"), re.MULTILINE)
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $1 >/tmp/result; cat /tmp/result\n")
    script.chmod(0o750)
    output("sandbox", "cp", str(script), f"{kept}:/tmp/script")
    assert output("sandbox", "exec", kept, "--", "/tmp/script", "a b") == "a b\n"
    output("sandbox", "cp", f"{kept}:/tmp/result", str(tmp_path / "result"))
    assert (tmp_path / "result").read_text() == "a b\n"
    output("sandbox", "cp", f"{kept}:/tmp/script", str(tmp_path / "back"))
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o750, "a program stays one"
    killed = cofferdam("sandbox", "exec", kept, "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 128 + signal.SIGKILL


def test_a_token_is_seen_once_and_ends_at_once(kept):
    token = output("token", "create", "--scope", "sandboxes:read").strip()
    identifier = "tk-" + token.split("_")[1].removeprefix("tk-")
    env = {"COFFERDAM_TOKEN": token}
    assert kept in output("sandbox", "ls", env=env)
    narrow = cofferdam("sandbox", "exec", kept, "--", "true", env=env)
    assert narrow.returncode != 0 and b"SCOPE_MISSING" in narrow.stderr, narrow
    listing = output("token", "ls")
    assert identifier in listing and token not in listing
    output("token", "rm", identifier)
    gone = cofferdam("sandbox", "ls", env=env)
    assert gone.returncode != 0 and b"TOKEN_INVALID" in gone.stderr, gone


def test_events_come_as_they_happen(kept):
    with following("events", "--follow", "--sandbox", kept) as (process, until):
        assert kept in until(r" running$|running")
        output("sandbox", "exec", kept, "--", "sh", "-c", "getent ahostsv4 probe.echo.test || true")
        line = until("probe.echo.test")
        assert "denied" in line and "protocol=dns" in line
        assert process.poll() is None
    assert "probe.echo.test" in output("events", "--sandbox", kept)
    denied = output("events", "--denied", "--sandbox", kept).splitlines()
    assert any("probe.echo.test" in line for line in denied) and all(" denied " in line for line in denied), denied


def test_it_sleeps_and_wakes(kept):
    for step, state in (("pause", "paused"), ("resume", "running"), ("suspend", "suspended")):
        assert output("sandbox", step, kept) == ""
        line = next(line for line in output("sandbox", "ls").splitlines() if line.startswith(kept))
        assert line.split()[1] == state and " ms " in line, line
    assert output("sandbox", "exec", kept, "--", "echo", "awake") == "awake\n"


def test_it_is_copied_and_put_back(kept):
    snapshot = output("snapshot", "create", kept).strip()
    try:
        assert snapshot in output("snapshot", "ls", "--sandbox", kept)
        output("sandbox", "exec", kept, "--", "touch", "/root/later")
        output("sandbox", "rollback", kept, snapshot)
        assert output("sandbox", "exec", kept, "--", "ls", "/root") == ""
        copies = output("sandbox", "fork", "-n", "2", kept).split()
        assert len(copies) == 2 and kept not in copies
        output("sandbox", "rm", *copies)
        assert output("run", "--snapshot", snapshot, "--", "echo", "again") == "again\n"
    finally:
        output("snapshot", "rm", snapshot)


def test_a_drained_node_takes_nothing_new_and_keeps_what_it_has(mesh, kept):
    [name] = [line.split()[0] for line in output("node", "ls").splitlines()[1:]]
    pooled = re.compile(r'^cofferdam_node_pool_depth\{[^}]*\} (.*)$', re.MULTILINE)

    def state() -> list[str]:
        return output("node", "ls").splitlines()[1].split()[1].split(",")

    def in_pool() -> float:
        return sum(map(float, pooled.findall(page(mesh, "node-agent"))))

    def slots() -> set[str]:
        return {name for name in namespaces(f"{mesh.stage}-s") if re.fullmatch(rf"{mesh.stage}-s\d+", name)}

    output("node", "drain", name)
    try:
        assert "draining" in state()
        refused = cofferdam("sandbox", "create")
        assert refused.returncode != 0 and b"NO_CAPACITY" in refused.stderr, refused
        assert output("sandbox", "exec", kept, "--", "echo", "goes on") == "goes on\n"
        eventually(lambda: in_pool() == 0, "the end of the pool")
        # What is left of its network are the slots of what runs: no spare one.
        eventually(lambda: len(slots()) == counted(mesh, 'cofferdam_node_slots{use="used"}') >= 1, "the end of the spare slots")
        busy = slots()
    finally:
        output("node", "undrain", name)
    assert "draining" not in state()
    assert output("run", "--", "echo", "again") == "again\n"
    eventually(lambda: in_pool() > 0 and len(slots()) > len(busy), "a pool and spare slots again")
    nobody = cofferdam("node", "drain", "nobody")
    assert nobody.returncode != 0 and b"INVALID_ARGUMENT" in nobody.stderr and nobody.stderr.count(b"\n") == 1, nobody


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--allow-net", "*.com", "--", "true"), b"HOST_PATTERN_INVALID"),
        (("run", "--allow-net", f"{ALLOWED}:https", "--", "true"), b"is no port"),
        (("sandbox", "exec", "sb-aaaaaaaaaaaaaaaaaaaa", "--", "true"), b"SANDBOX_NOT_FOUND"),
        (("sandbox", "create", "--lifetime", "soon"), b"lifetime"),
        (("secret", "put", "weak", "--host", BOUND), b"SECRET_VALUE_INVALID"),
        (("token", "create", "--scope", "everything"), b"everything"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_clear_line(words, told):
    done = cofferdam(*words, stdin="short")
    assert done.returncode != 0 and told in done.stderr, done
    assert done.stderr.count(b"\n") == 1 and b"Exception" not in done.stderr, done


def test_what_the_machine_has():
    done = cofferdam("doctor")
    assert done.returncode == 0, done
    assert b"driver: qemu" in done.stdout and b"why:" in done.stdout and done.stdout.endswith(b"the mesh can run here\n")
    bare = cofferdam("doctor", env={"PATH": "/usr/bin:/bin", "JAVA_HOME": "/nonexistent"})
    assert b" JDK " in bare.stdout, bare


@pytest.mark.parametrize(
    ("hide", "told"),
    [
        ("exec setpriv --reuid nobody --clear-groups", "root"),
        ("mount -t tmpfs none /usr/lib/jvm; export JAVA_HOME= PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec", "no JDK 25"),
        ("mount -t tmpfs none /etc/alternatives; export PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec", "Maven is missing"),
        ("mount -t tmpfs none /var/lib/dpkg; echo ID=another >$empty/os; mount --bind $empty/os /etc/os-release; exec", "not Debian"),
    ],
    ids=["no root", "no JDK", "no Maven", "another distribution"],
)
def test_what_it_cannot_install_is_one_clear_line(tmp_path, hide, told):
    """Seen by a process of its own view of the machine; the machine itself stays as it is."""
    script = f'empty={tmp_path}; mount --make-rprivate /; {hide} "$0" provision'
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script, COMMAND], capture_output=True, text=True, timeout=CALL_SECONDS)
    assert done.returncode == 1 and told in done.stderr and done.stderr.count("\n") == 1, done
