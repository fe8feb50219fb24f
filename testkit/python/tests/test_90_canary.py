"""After all that: where is a secret's value, in any form? Nowhere but where it has to be.

Searched are every log and data directory of the mesh, the databases, the sandboxes' disks, the templates, and the memory of
every process of the mesh and of every VMM. Sandboxes with live placeholders run meanwhile.
"""

import os
import secrets as random
import subprocess
import warnings
from pathlib import Path

import pytest
from conftest import BOUND

from cofferdam.v1 import secret_pb2
from cofferdam_e2e import database
from cofferdam_e2e import host as machine
from cofferdam_e2e.http import curl
from cofferdam_e2e.memory import search_bytes, search_file, search_process, search_tree, summary
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

IDLE_SECONDS = 60

# They hold values for a purpose, and are searched on their own once idle.
TRUSTED = ("vault-broker", "egress-gateway")


@pytest.fixture(scope="module")
def patterns(canary):
    return canary.patterns()


@pytest.fixture(scope="module")
def busy(tenant, canary, upstream):
    """A sandbox that has just used its secret in every way, and lives; with the canary's value, as all that ran before it."""
    name, value = f"key-{random.token_hex(6)}", canary.value()
    binding = secret_pb2.SecretBinding(hosts=[BOUND])
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
    )
    sandbox = Sandbox.create(tenant, secrets=[(name, "API_KEY")], egress=policy(BOUND))
    upstream.mark()
    for path in ("/headers", "/gzip", "/chunked?split=3", "/encoded?form=base64", "/error?status=500", "/trailers"):
        assert curl(sandbox, f"https://{BOUND}{path}", "--compressed", "-H", "Authorization: Bearer $API_KEY").status
    curl(sandbox, f"https://{BOUND}/headers", "-u", "user:$API_KEY")
    assert value in upstream.raw().decode(), "without a use there is nothing to find"
    yield sandbox
    sandbox.delete()
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


@pytest.fixture(scope="module")
def idle(busy):
    """From here on nobody uses a secret."""
    busy.delete()


def mesh_namespaces(mesh) -> dict[int, str]:
    """Those of the stage's host side, the gate and the slots. The uplink is the outside world: it knows the value."""
    inodes = {}
    for name in machine.namespaces(f"{mesh.stage}-"):
        if name != f"{mesh.stage}-uplink":
            inodes[(Path("/run/netns") / name).stat().st_ino] = name
    return inodes


def mesh_processes(mesh) -> dict[int, str]:
    """Every process in a namespace of the mesh, but those of this test run."""
    ours = set(_ancestors()) | {int(pid) for pid in _descendants()}
    spaces = mesh_namespaces(mesh)
    found = {}
    for pid in machine.processes():
        try:
            space = Path(f"/proc/{pid}/ns/net").stat().st_ino
        except OSError:
            continue
        if pid not in ours and space in spaces:
            found[pid] = machine.command_line(pid)[:100] or Path(f"/proc/{pid}/comm").read_text().strip()
    return found


def _ancestors():
    pid = os.getpid()
    while pid > 1:
        yield pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _descendants():
    done = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True)
    return done.stdout.split()


def test_the_search_finds_what_is_there(canary, patterns, tmp_path, new_sandbox):
    """A search that finds nothing proves nothing unless it can find: in a file, in a process, in a guest's RAM."""
    value = canary.value()
    file = tmp_path / "planted"
    file.write_bytes(b"x" * (20 << 20) + value.encode())
    assert {hit.pattern for hit in search_file(file, patterns)} == {"raw head", "raw tail"}
    file.unlink()
    holder = subprocess.Popen(
        ["python3", "-c", "import sys; v = sys.stdin.readline().strip(); print('held', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    try:
        holder.stdin.write(value + "\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "held\n"
        assert list(search_process(holder.pid, "holder", patterns))
    finally:
        holder.communicate()
    # In the guest a marker of its own is planted: the canary itself must not be in there.
    marker = random.token_hex(20).encode()
    sandbox = new_sandbox()
    sandbox.write("/dev/shm/planted", marker)
    vmms = machine.with_command(sandbox.id) or machine.with_open(sandbox.tenant.mesh.state / "node" / "sandboxes" / sandbox.id)
    assert any(list(search_process(pid, "vmm", {"marker": marker})) for pid in vmms), f"not found in {vmms}"


def test_no_file_holds_the_value(mesh, busy, patterns):
    hits = list(search_tree(mesh.state, patterns))
    cache = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam"))
    for directory in ("templates", "images", "log"):
        hits += search_tree(cache / directory, patterns)
    for directory in (Path("/var/log"), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run")):
        hits += search_tree(directory, patterns, skip=[mesh.state, mesh.upstream, *_test_files()])
    assert not hits, summary(hits)


@pytest.mark.parametrize("role", database.ROLES)
def test_no_database_dump_holds_the_value(mesh, busy, patterns, role):
    """In PostgreSQL's own files a long value may lie compressed; a dump shows it as it is."""
    dumped = database.dump(mesh, role)
    assert any(busy.id.encode() in text for text in dumped.values()), f"the sandbox is in none of {list(dumped)}"
    hits = [hit for table, text in dumped.items() for hit in search_bytes(f"{role}'s {table}", text, 0, patterns)]
    assert not hits, summary(hits)


def _test_files():
    return [Path(path) for path in os.environ.get("COFFERDAM_TEST_FILES", "").split(":") if path]


def test_no_process_outside_broker_and_gateway_holds_the_value(mesh, host, busy, patterns):
    trusted = {host.pid(process) for process in TRUSTED}
    searched = mesh_processes(mesh)
    for process in ("scheduler-svc", "node-agent", "edge-gateway", "node-helper", "postgres", "launcher"):
        assert host.pid(process) in searched, f"{process} must be among those searched"
    assert any("qemu" in name or "cloud-hypervisor" in name for name in searched.values()), "no VMM was found"
    hits = [
        hit
        for pid, name in searched.items()
        if pid not in trusted
        for hit in search_process(pid, name, patterns)
    ]
    if hits:
        pytest.fail(summary(hits))


@pytest.mark.parametrize("process", TRUSTED)
def test_broker_and_gateway_keep_no_copy_once_idle(host, idle, patterns, process, record_property):
    """Our own code keeps none: what is in the Java heap fails the test. What lies in native memory was left by a library, as
    our own segments there are zeroed; it is reported with its count and place."""
    hits = []

    def clean() -> bool:
        # Cached values have a time to live, and what a collector has not reused yet it will.
        hits[:] = search_process(host.pid(process), process, patterns)
        return not hits

    try:
        eventually(clean, "no copy left", IDLE_SECONDS)
    except AssertionError:
        own = [hit for hit in hits if hit.in_java_heap]
        record_property("copies_in_heap", len(own))
        record_property("copies_in_libraries", len(hits) - len(own))
        if own:
            pytest.fail(f"copies in the heap of {process}: {summary(own)}")
        warnings.warn(f"copies left by libraries in {process}: {summary(hits)}", stacklevel=1)
