"""Two restores of one snapshot share nothing that ought to be random."""

import secrets as random
import time
from concurrent import futures

import pytest

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually


# What the kernel gives each program for its stack protector and pointer guard (AT_RANDOM, getauxval(3)). Where its stack lies says
# nothing here: emulated guests place programs where they were (ADR 19).
SEED_OF_PROTECTORS = """python3 -c 'import ctypes
getauxval = ctypes.CDLL(None).getauxval
getauxval.restype = ctypes.c_ulong
print(ctypes.string_at(getauxval(25), 16).hex())'"""


@pytest.fixture(scope="module")
def pair(tenant):
    made = [Sandbox.create(tenant) for _ in range(2)]
    yield made
    for sandbox in made:
        sandbox.delete()


@pytest.mark.parametrize(
    "command",
    [
        "head -c 32 /dev/urandom | sha256sum",
        "head -c 32 /dev/random | sha256sum",
        "cat /proc/sys/kernel/random/uuid",
        "cat /etc/machine-id",
        "hostname",
        "python3 -c 'import random; print(random.random())'",
        "python3 -c 'import os; print(os.getrandom(32).hex())'",
        SEED_OF_PROTECTORS,
    ],
)
def test_two_sandboxes_differ(pair, command):
    first, second = (sandbox.output(command) for sandbox in pair)
    assert first and second and first != second, f"both gave {first}"


def test_the_very_first_process_is_already_unique(new_sandbox):
    """No user's process may run before the fresh entropy: the first one asks for it at once."""
    first, second = (new_sandbox().output("head -c 32 /dev/urandom | sha256sum") for _ in range(2))
    assert first != second


CLONES = 200
# Each is promised 512 MiB, and the node gives 4 GiB to all together; the module's own two are among them.
AT_A_TIME = 5
DRAWN = """head -c 16 /dev/urandom | base64
cat /proc/sys/kernel/random/uuid /etc/machine-id
openssl genpkey -algorithm ed25519"""


def test_of_many_clones_no_two_draw_the_same(tenant):
    """All from one snapshot, some restored long before their create, some at it: what the first process draws, at once."""

    def draw(_) -> list[str]:
        sandbox = Sandbox.create(tenant)
        try:
            first, uuid, machine_id, *key = sandbox.output(DRAWN).split("\n")
            return [first, uuid, machine_id, "".join(key), sandbox.id]
        finally:
            sandbox.delete()

    with futures.ThreadPoolExecutor(AT_A_TIME) as workers:
        clones = list(workers.map(draw, range(CLONES)))
    for what, values in zip(("random bytes", "UUIDs", "machine-ids", "host keys", "ids"), zip(*clones, strict=True), strict=True):
        assert all(values) and len(set(values)) == CLONES, f"{CLONES - len(set(values))} of the {what} came twice"
    assert all("PRIVATE KEY" in key and len(key) > 100 for *_, key, _ in clones)


def test_the_clock_is_right(pair):
    for sandbox in pair:
        before = time.time()
        inside = float(sandbox.output("date +%s.%N"))
        assert before - 2 < inside < time.time() + 2


def test_a_disk_is_a_sandboxs_own(pair):
    first, second = pair
    first.write("/root/mine", b"first")
    assert second.sh("test -e /root/mine").exit_code == 1


def test_labels_paging_and_lifecycle_events(tenant, new_sandbox):
    run = random.token_hex(6)
    made = [new_sandbox(labels={"run": run, "n": str(n)}).id for n in range(3)]
    seen, token = [], ""
    while True:
        page = tenant.sandboxes.ListSandboxes(
            sandbox_pb2.ListSandboxesRequest(page_size=2, page_token=token, label_filter={"run": run}),
            timeout=CALL_SECONDS,
        )
        seen += [sandbox.id for sandbox in page.sandboxes]
        token = page.next_page_token
        if not token:
            break
    assert seen == made[::-1], "newest first"
    events = [
        event.type
        for event in tenant.sandboxes.WatchSandboxEvents(
            sandbox_pb2.WatchSandboxEventsRequest(sandbox=made[0]), timeout=CALL_SECONDS
        )
    ]
    assert events[:2] == [sandbox_pb2.SANDBOX_EVENT_TYPE_CREATED, sandbox_pb2.SANDBOX_EVENT_TYPE_RUNNING]


def test_a_lifetime_ends_a_sandbox(tenant, new_sandbox):
    sandbox = new_sandbox(lifetime=1)

    def state():
        return tenant.sandboxes.GetSandbox(
            sandbox_pb2.GetSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS
        ).state == sandbox_pb2.SANDBOX_STATE_ENDED

    eventually(state, "the end of a sandbox with a lifetime of 1 s")
