"""What a node does without its scheduler, and what is left of what it was doing when it was killed."""

import os
import random
import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
from test_51_lifecycle import get, watch
from test_52_sleep import LONG, PAUSED, RUNNING, SUSPENDED, pause, resume, suspend
from test_53_snapshots_api import drop, fork, listed, take
from test_70_metrics import page
from test_80_kill import created

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e import host as machine
from cofferdam_e2e.mesh import CALL_SECONDS, Mesh, Tenant
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

ENDED = sandbox_pb2.SANDBOX_STATE_ENDED

# It counts for as long as it runs, and somebody else can read how far it is.
COUNTER = "n=0; while :; do n=$((n+1)); echo $n >/dev/shm/count.new; mv /dev/shm/count.new /dev/shm/count; sleep 0.05; done"


@contextmanager
def node_settings(mesh, host, lines: str):
    """The node agent with other settings, for the time of the block."""
    file = mesh.state / "node" / "service.properties"
    before = file.read_text()

    def restart(text: str) -> None:
        file.write_text(text)
        host.await_restart("node-agent", host.kill("node-agent"))

    restart(before + lines)
    try:
        yield
    finally:
        restart(before)


def counted(mesh, series: str) -> int:
    """What the node itself counts, all series of that beginning together; -1 while it does not answer."""
    try:
        text = page(mesh, "node-agent")
    except OSError:
        return -1
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series)))


def in_state(mesh, state: str) -> int:
    return counted(mesh, f'cofferdam_node_sandboxes{{state="{state}"}}')


def test_a_node_that_is_to_pause_its_sandboxes_does_so_without_its_scheduler_and_resumes_them_with_it(mesh, host, new_sandbox):
    running, paused = new_sandbox(), new_sandbox()
    process = running.start("sh", "-c", COUNTER)
    next(process.events())
    pause(paused)
    with node_settings(mesh, host, "on-partition=pause\non-partition.after=2s\n"):
        eventually(running.lives, "a command under the new settings")
        before = int(running.output("cat /dev/shm/count"))
        with host.without("scheduler-svc"):
            eventually(lambda: in_state(mesh, "paused") == 2, "a node with nothing but paused sandboxes")
            assert in_state(mesh, "running") == 0
        eventually(running.lives, "the return of what the node paused")
        assert running.sh(f"kill -0 {process.pid}").exit_code == 0
        eventually(lambda: int(running.output("cat /dev/shm/count")) > before, "its process goes on")
        assert get(paused).state == PAUSED, "its user has not resumed it"
        told = [(event.type, event.message) for event in watch(running.tenant, sandbox=running.id, follow=False)]
        assert sandbox_pb2.SANDBOX_EVENT_TYPE_PAUSED in [kind for kind, _ in told], told
        assert told[-1] == (sandbox_pb2.SANDBOX_EVENT_TYPE_RESUMED, "its node is no longer cut off"), told
    eventually(running.lives, "the node under its old settings")
    resume(paused)
    assert paused.lives()
    created(new_sandbox)


# What is under way when a node agent dies writes about 15 entries of its journal: it dies once early among them and once late.
EARLY, LATE = range(1, 8), range(8, 15)
DEATHS = (EARLY, LATE) * (6 if LONG else 1)
# A machine that was not started anew and a process in it that was never ended.
SELF = "cat /proc/sys/kernel/random/boot_id; cd /dev/shm; if [ -e self ]; then cat self; kill -0 $(cat pid) && echo lives; fi"
ROLES = 5
# Network slots that the node makes ahead (`slots.spare`).
SPARE = 2


class Flock:
    """Sandboxes of one label, with what makes each of them itself."""

    def __init__(self, mesh: Mesh, tenant: Tenant):
        self.mesh = mesh
        self.tenant = tenant
        self.labels = {"flock": secrets.token_hex(8)}
        self.selves: dict[str, str] = {}

    def known(self, **more) -> dict[str, Sandbox]:
        request = sandbox_pb2.ListSandboxesRequest(page_size=1000, show_ended=True, label_filter=self.labels)
        found = self.tenant.sandboxes.ListSandboxes(request, timeout=CALL_SECONDS).sandboxes
        return {record.id: Sandbox(self.tenant, record) for record in found}

    def add(self) -> None:
        sandbox = eventually(self._created, "a new sandbox")
        sandbox.output(f"echo {secrets.token_hex(8)} >/dev/shm/self; (sleep 100000 >/dev/null 2>&1 </dev/null & echo $! >/dev/shm/pid)")
        self.selves[sandbox.id] = sandbox.output(SELF)

    def _created(self) -> Sandbox | None:
        try:
            return Sandbox.create(self.tenant, labels=self.labels)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return None

    def cast(self) -> list[Sandbox]:
        """As many as there are roles, awake all of them."""
        live = [sandbox for sandbox in self.known().values() if sandbox.record.state != ENDED]
        for sandbox in live[ROLES:]:
            self.end(sandbox)
        for sandbox in live[:ROLES]:
            # Also what runs: a pause that had no answer is then no longer asked for.
            eventually(lambda sandbox=sandbox: outcome(lambda: resume(sandbox)) == "OK", f"{sandbox.id} awake")
            assert sandbox.output(SELF) == self.selves[sandbox.id], "it is not what it was"
        for _ in range(ROLES - len(live)):
            self.add()
        return [sandbox for sandbox in self.known().values() if sandbox.record.state != ENDED]

    def end(self, sandbox: Sandbox) -> None:
        eventually(lambda: outcome(sandbox.delete) == "OK", f"the end of {sandbox.id}")
        self.selves.pop(sandbox.id, None)

    def is_what_is_said(self, sandbox: Sandbox) -> bool:
        """Whether the scheduler says something lasting of it that is so."""
        try:
            told = get(sandbox).state
            if told == ENDED:
                places = (self.mesh.state / "node" / "sandboxes", self.mesh.state / "node" / "data" / "tokens")
                return not any((place / sandbox.id).exists() for place in places) and sandbox.id not in vms(self.mesh)
            if told in (RUNNING, SUSPENDED):
                found = sandbox.output(SELF)
                # A copy that nobody has seen before is what its original was.
                assert found == self.selves.setdefault(sandbox.id, found), f"{sandbox.id} is not what it was"
                return True
            return told == PAUSED and outcome(lambda: sandbox.sh("true")) == "FAILED_PRECONDITION" and sandbox.id in vms(self.mesh)
        except grpc.RpcError:
            return False


def outcome(call) -> str:
    try:
        call()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def vms(mesh) -> set[str]:
    """Sandboxes, and machines made ahead, that a process of this host has the directory of as its own."""
    found = set()
    for pid in machine.processes():
        try:
            mounts = Path(f"/proc/{pid}/mountinfo").read_text()
        except OSError:
            continue
        found |= set(re.findall(rf"/{re.escape(mesh.state.parent.name)}/\S*/(sb-[a-z2-7]+) /sandbox ", mounts))
    return found


def unaccounted(mesh, tenant) -> list[str]:
    """What there is on this host that is neither of a sandbox on record nor of the node's pool, or the other way round."""
    listing = tenant.sandboxes.ListSandboxes(sandbox_pb2.ListSandboxesRequest(page_size=1000), timeout=CALL_SECONDS).sandboxes
    asleep = {record.id for record in listing if record.state == SUSPENDED}
    awake = {record.id for record in listing} - asleep
    machines, pooled, used = vms(mesh), counted(mesh, "cofferdam_node_pool_depth"), counted(mesh, 'cofferdam_node_slots{use="used"}')
    directories = {path.name for path in (mesh.state / "node" / "sandboxes").iterdir()}
    slots = {name for name in machine.namespaces(f"{mesh.stage}-s") if re.fullmatch(rf"{mesh.stage}-s\d+", name)}
    groups = {path.name for path in Path("/sys/fs/cgroup").glob(f"**/cofferdam/{mesh.stage}/s*")}
    rules = {
        f"{awake} have a VM each, {machines} are there": awake <= machines,
        f"{pooled} machines wait, {machines - awake} are nobody's": len(machines - awake) == pooled,
        f"{asleep} sleep in their directories, {directories - machines} have no VM": directories - machines == asleep,
        f"{machines} have a directory each, {directories} are there": machines <= directories,
        f"{used} slots are used, by {len(listing)} sandboxes and {pooled} machines": used == len(listing) + pooled,
        f"{used} slots are used and at most {SPARE} spare, {slots} are there": used <= len(slots) <= used + SPARE,
        f"{machines} have a control group each, {groups} are there": len(groups) == len(machines),
    }
    return [rule for rule, holds in rules.items() if not holds]


def assert_accounted(mesh, tenant) -> None:
    seen: list[str] = []

    def whole() -> bool:
        seen[:] = unaccounted(mesh, tenant)
        return not seen

    try:
        eventually(whole, "a host with nothing on it that is nobody's")
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None


def test_killed_in_the_midst_of_everything_a_node_is_what_the_scheduler_says(mesh, host, tenant):
    """A node agent dies, again and again, while one sandbox each is made, paused, suspended, woken, copied, kept and ended: after
    some entry of its journal and a moment more. What was there goes on as itself, what is gone has left nothing."""
    seed = int(os.environ.get("COFFERDAM_TEST_SEED") or secrets.randbits(32))
    print(f"COFFERDAM_TEST_SEED={seed}")
    dice = random.Random(seed)
    flock = Flock(mesh, tenant)
    try:
        for entry in map(dice.choice, DEATHS):
            pausing, sleeping, waking, copied, ending = flock.cast()
            suspend(waking)
            work = {
                "create": lambda: Sandbox.create(tenant, labels=flock.labels),
                "pause": lambda: pause(pausing),
                "suspend": lambda: suspend(sleeping),
                "wake": lambda: waking.output("true"),
                "fork": lambda: fork(tenant, copied.id, labels=flock.labels),
                "snapshot": lambda: take(tenant, copied.id, labels=flock.labels),
                "delete": ending.delete,
            }
            moment = dice.uniform(0, 0.05)
            answers = killed_during(mesh, host, work, entry, moment)
            print(f"killed after entry {entry} and {moment * 1000:.0f} ms: {answers}")
            for sandbox in flock.known().values():
                eventually(lambda sandbox=sandbox: flock.is_what_is_said(sandbox), f"{sandbox.id} as the scheduler says")
            states = {sandbox.id: get(sandbox).state for sandbox in (pausing, sleeping, waking, copied)}
            assert ENDED not in states.values(), f"a sandbox is lost: {states}"
            assert_accounted(mesh, tenant)
            for snapshot in listed(tenant, label_filter=flock.labels).snapshots:
                eventually(lambda snapshot=snapshot: outcome(lambda: drop(tenant, snapshot.id)) == "OK", f"the end of {snapshot.id}")
    finally:
        for sandbox in flock.known().values():
            flock.end(sandbox)
    assert_accounted(mesh, tenant)


def killed_during(mesh, host, work: dict, entry: int, moment: float) -> dict[str, str]:
    """Does all of the work at a time and kills the node agent after so many entries of its journal. What each call said."""
    pause_between = threading.Event()
    with (mesh.state / "node" / "data" / "journal").open("rb") as journal, ThreadPoolExecutor(len(work)) as pool:
        journal.seek(0, os.SEEK_END)
        calls = {name: pool.submit(outcome, call) for name, call in work.items()}
        entries = 0
        while entries < entry and not all(call.done() for call in calls.values()):
            entries += journal.read().count(b"\n")
            pause_between.wait(0.001)
        pause_between.wait(moment)
        old = host.kill("node-agent")
        host.await_restart("node-agent", old)
        return {name: call.result() for name, call in calls.items()}
