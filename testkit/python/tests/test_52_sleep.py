"""Sleep: a sandbox that stands still, or is on disk alone, is afterwards the one that it was."""

import os
import time

import grpc
import pytest
from test_20_bad_input import refused
from test_51_lifecycle import get
from test_80_kill import created

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.events import DROP, Events
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.waiting import eventually

RUNNING = sandbox_pb2.SANDBOX_STATE_RUNNING
PAUSED = sandbox_pb2.SANDBOX_STATE_PAUSED
SUSPENDED = sandbox_pb2.SANDBOX_STATE_SUSPENDED

LONG = os.environ.get("COFFERDAM_TEST_LONG") == "1"
PAUSES, SLEEPS = (200, 50) if LONG else (4, 3)

# Each line that it has written is whole and in order, and its sum is in a file beside it.
WRITER = """
import hashlib, os
sum = hashlib.sha256()
with open("/root/lines", "wb", buffering=0) as lines:
    n = 0
    while not os.path.exists("/root/stop"):
        line = b"%012d\\n" % n
        lines.write(line)
        sum.update(line)
        n += 1
        if n % 512 == 0:
            os.fsync(lines.fileno())
print(n, sum.hexdigest())
"""


def pause(sandbox) -> None:
    request = sandbox_pb2.PauseSandboxRequest(sandbox=sandbox.id)
    assert sandbox.tenant.sandboxes.PauseSandbox(request, timeout=2 * CALL_SECONDS).state == PAUSED


def resume(sandbox) -> None:
    request = sandbox_pb2.ResumeSandboxRequest(sandbox=sandbox.id)
    assert sandbox.tenant.sandboxes.ResumeSandbox(request, timeout=2 * CALL_SECONDS).state == RUNNING


def suspend(sandbox) -> None:
    request = sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id)
    assert sandbox.tenant.sandboxes.SuspendSandbox(request, timeout=2 * CALL_SECONDS).state == SUSPENDED


def state(sandbox) -> int:
    """0 while nobody answers."""
    try:
        return get(sandbox).state
    except grpc.RpcError:
        return 0


def vmms(sandbox) -> list[str]:
    """The processes of this host that have the sandbox's directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as mounts:
                if any(f"/{sandbox.id} /sandbox " in line for line in mounts):
                    found.append(pid)
        except OSError:
            continue
    return found


def test_what_a_sandbox_tried_at_last_is_on_record_though_it_falls_asleep_or_ends_at_once(new_sandbox):
    sandbox = new_sandbox()
    events = Events(sandbox.tenant, sandbox.id)
    steps = {9001: lambda: suspend(sandbox), 9002: lambda: suspend(sandbox), 9003: sandbox.delete}
    for port, step in steps.items():
        sandbox.run("bash", "-c", f"echo x >/dev/udp/203.0.113.66/{port}")
        step()
    for port in steps:
        assert events.expect(f"the packet to port {port}", type=DROP, port=port).host == "203.0.113.66"


def test_a_paused_sandbox_answers_nobody_and_goes_on(new_sandbox):
    sandbox = new_sandbox()
    process = sandbox.start("sleep", "100000")
    next(process.events())
    pause(sandbox)
    pause(sandbox)
    assert get(sandbox).state == PAUSED
    with refused("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING"):
        sandbox.sh("true")
    resume(sandbox)
    assert sandbox.sh(f"kill -0 {process.pid}").exit_code == 0
    before = time.time()
    assert before - 2 < float(sandbox.output("date +%s.%N")) < time.time() + 2, "the clock was not put right"


def test_a_call_wakes_a_suspended_sandbox_with_all_that_it_was(new_sandbox):
    sandbox = new_sandbox()
    process = sandbox.start("sh", "-c", "while :; do sleep 1; done")
    next(process.events())
    sandbox.write("/dev/shm/in-memory", b"kept")
    identity = sandbox.output("cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname")
    assert len(vmms(sandbox)) >= 1
    suspend(sandbox)
    suspend(sandbox)
    assert vmms(sandbox) == [], "a VMM of it still runs"
    assert get(sandbox).state == SUSPENDED

    assert sandbox.read("/dev/shm/in-memory") == b"kept"
    assert sandbox.sh(f"kill -0 {process.pid}").exit_code == 0, "the process is gone"
    assert sandbox.output("cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname") == identity
    eventually(lambda: get(sandbox).state == RUNNING, "the record says that it runs")
    before = time.time()
    assert before - 2 < float(sandbox.output("date +%s.%N")) < time.time() + 2, "the clock was not put right"


def test_what_it_wrote_while_nobody_listened_is_there(new_sandbox):
    sandbox = new_sandbox()
    stream = sandbox.start("sh", "-c", "n=0; while [ $n -lt 40 ]; do echo line $n; n=$((n+1)); sleep 0.1; done", process="counting")
    stream.until(b"line 3\n")
    suspend(sandbox)
    done = sandbox.attach("counting", stdout_offset=stream.stdout_offset).wait()
    assert bytes(stream.stdout) + done.stdout == "".join(f"line {n}\n" for n in range(40)).encode()


@pytest.mark.parametrize("process", ["node-agent", "scheduler-svc"])
def test_a_suspended_sandbox_survives_the_death_of(process, host, new_sandbox):
    sandbox = new_sandbox()
    sandbox.write("/dev/shm/in-memory", b"kept")
    suspend(sandbox)
    old = host.kill(process)
    host.await_restart(process, old)
    assert eventually(lambda: state(sandbox), "the scheduler answers") == SUSPENDED
    eventually(sandbox.lives, f"a call after the death of {process}")
    assert sandbox.read("/dev/shm/in-memory") == b"kept"
    created(new_sandbox)


def test_no_byte_is_lost_over_pauses_and_sleeps(new_sandbox):
    sandbox = new_sandbox()
    sandbox.write("/root/writer.py", WRITER.encode())
    sandbox.start("python3", "/root/writer.py", process="writer")
    written = 0
    for cycle in range(PAUSES + SLEEPS):
        grown = eventually(lambda: int(sandbox.output("stat -c %s /root/lines 2>/dev/null || echo 0")), "the writer writes")
        assert grown >= written, f"bytes were lost in cycle {cycle}"
        written = grown
        if cycle < PAUSES:
            pause(sandbox)
            resume(sandbox)
        else:
            suspend(sandbox)
    sandbox.write("/root/stop", b"")
    lines, digest = sandbox.attach("writer").wait().text.split()
    assert sandbox.output("sha256sum /root/lines | cut -d' ' -f1") == digest
    assert sandbox.output("stat -c %s /root/lines") == str(13 * int(lines))
