"""Lines of docs/fail-closed.md that only real processes show: what stands without the broker and without the databases, and
who gets at the memory of those that see values."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from conftest import ALLOWED, BOUND
from test_80_kill import created

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e import host as machine
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS, Refusal
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

BEARER = ("-H", "Authorization: Bearer $API_KEY")
# Those that see values.
TRUSTED = ("vault-broker", "egress-gateway")

# What a process does to read another of its user: its memory as a file, as a debugger, by one call, its first variables.
READER = r"""
import ctypes, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]

def opened(name):
    try:
        os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
        return True
    except PermissionError:
        return False

def read():
    # At an address where nothing is: who may read gets EFAULT, who may not EPERM.
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(8, 8)
    libc.process_vm_readv(pid, local, 1, remote, 1, 0)
    return ctypes.get_errno() != 1

SEIZE, DETACH = 0x4206, 17
traced = libc.ptrace(SEIZE, pid, None, None) == 0
for name, got in (("mem", opened("mem")), ("environ", opened("environ")), ("maps", opened("maps")), ("ptrace", traced), ("readv", read())):
    print(name, "yes" if got else "no")
"""
# Lets any process trace it where the kernel asks for that (Yama), so that nothing but the dumpable flag is compared.
HOLDER = r"""
import ctypes, sys
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
print("held", flush=True)
sys.stdin.read()
"""


def owner(pid: int) -> tuple[int, int]:
    """uid and gid, of which those of the files in /proc say nothing once the memory is shut."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1])


def as_user(pid: int, *command: str) -> list[str]:
    """The command as the user of that process, as what it or a library of it might start."""
    uid, gid = owner(pid)
    assert uid != 0 and gid != 0, f"pid {pid} is root's"
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--", *command]


def reads(pid: int, user: int) -> dict[str, str]:
    done = subprocess.run(as_user(user, sys.executable, "-c", READER, str(pid)), capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("process", machine.SERVICES[:4])
def test_nobody_of_the_same_user_reads_the_memory(host, process):
    pid = host.pid(process)
    holder = subprocess.Popen(as_user(pid, sys.executable, "-c", HOLDER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        assert holder.stdout.readline() == "held\n"
        assert set(reads(holder.pid, pid).values()) == {"yes"}, "another process of that user can be read"
        assert set(reads(pid, pid).values()) == {"no"}
    finally:
        holder.communicate()


def unlimited(*command: str) -> list[str]:
    return ["prlimit", "--core=unlimited:unlimited", *command]


@pytest.mark.parametrize("process", TRUSTED)
def test_an_abort_leaves_no_core(host, process, tmp_path):
    """Also with the limit taken off that alone would do for a file: a core into a pipe is not held by it."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    pid = host.pid(process)
    directory = Path(f"/proc/{pid}/cwd").resolve()
    if not pattern.startswith(("|", "/")):
        uid, gid = owner(pid)
        beside = tmp_path / "beside"
        beside.mkdir()
        os.chown(beside, uid, gid)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        aborted = subprocess.run(unlimited(*as_user(pid, sys.executable, "-c", "import os; os.abort()")), cwd=beside)
        assert aborted.returncode == -signal.SIGABRT and list(beside.iterdir()), "a core would be seen"
        shutil.rmtree(beside)
    before = set(directory.rglob("*"))
    # Where root may (CAP_SYS_RESOURCE); elsewhere both hold.
    subprocess.run(["prlimit", f"--pid={pid}", "--core=unlimited:unlimited"], capture_output=True)
    os.kill(pid, signal.SIGABRT)
    eventually(lambda: not machine.alive(pid), f"the end of {process}")
    left = [path for path in set(directory.rglob("*")) - before if "core" in path.name or path.name.startswith("hs_err")]
    assert not left
    host.await_restart(process, pid)


@pytest.mark.parametrize("process", TRUSTED)
def test_no_heap_dump_can_be_had(host, process, tmp_path):
    pid = host.pid(process)
    jcmd = Path(f"/proc/{pid}/exe").resolve().parent / "jcmd"
    assert jcmd.exists(), jcmd
    tmp_path.chmod(0o777)
    dump = tmp_path / "heap.hprof"
    for command in (as_user(pid, str(jcmd)), [str(jcmd)]):
        done = subprocess.run([*command, str(pid), "GC.heap_dump", str(dump)], capture_output=True, text=True, timeout=60, cwd="/")
        assert done.returncode != 0 and "Heap dump file created" not in done.stdout, done
    assert not dump.exists()
    assert machine.alive(pid) and host.pid(process) == pid


# Asks on and on, with the secret and without.
ASKING = f"""
ask() {{ curl -s -o /dev/null --max-time 30 -w "$1 %{{http_code}} %header{{cofferdam-reason}}\\n" -H "$2" "$3"; }}
while :; do ask secret "Authorization: Bearer $API_KEY" https://{BOUND}/headers; ask plain "X-Y: z" https://{ALLOWED}/headers; done
"""


def used(sandbox: Sandbox) -> bool:
    return curl(sandbox, f"https://{BOUND}/headers", *BEARER).status == 200


def failed(call) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return Refusal.of(caught.value)


def test_without_the_broker_nothing_is_created_and_no_policy_changes(host, tenant, new_secret, new_sandbox, upstream):
    name, _ = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    assert used(sandbox)
    narrower = sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=policy(BOUND))
    upstream.mark()
    with host.without("vault-broker"):
        assert failed(lambda: Sandbox.create(tenant, egress=policy(ALLOWED))).reason == "BROKER_UNAVAILABLE"
        assert failed(lambda: tenant.sandboxes.UpdateSandboxPolicy(narrower, timeout=CALL_SECONDS)).reason == "BROKER_UNAVAILABLE"
        assert curl(sandbox, f"https://{BOUND}/headers", *BEARER).reason == "broker_unavailable"
        assert curl(sandbox, f"https://{ALLOWED}/headers").status == 200, "the policy stays as it was"
    assert [request["host"] for request in upstream.received()] == [ALLOWED]
    eventually(lambda: used(sandbox), "a use with the broker back")
    created(new_sandbox)


def test_without_the_databases_only_what_needs_no_secret_passes(host, tenant, new_secret, new_sandbox, upstream):
    name, value = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    # From here on the broker has the value, and no use of it may go unrecorded.
    assert used(sandbox)
    # No new process is started without the scheduler's database; what runs has its stream.
    asking = sandbox.start("sh", "-c", ASKING)
    asking.until(b"secret 200 \nplain 200 \n")
    with host.without("postgres"):
        asking.until(b"secret 503 broker_unavailable\nplain 200 \n")
        upstream.mark()
        asking.until(b"secret 503 broker_unavailable\nplain 200 \n" * 2)
        assert failed(lambda: Sandbox.create(tenant, egress=policy(ALLOWED))).status == "UNAVAILABLE"
        assert value not in upstream.raw().decode()
    eventually(sandbox.lives, "a command with the databases back")
    eventually(lambda: used(sandbox), "a use with the databases back")
    created(new_sandbox)
