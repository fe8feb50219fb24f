"""What changes while a sandbox lives: its end, its policy; and the two records that tell of it, read on from a cursor."""

import itertools
import threading

import grpc
import pytest
from conftest import ALLOWED, BOUND
from google.protobuf import duration_pb2
from test_20_bad_input import refused

from cofferdam.v1 import audit_pb2, policy_pb2, sandbox_pb2
from cofferdam_e2e.events import DECISION, DENIED, Events
from cofferdam_e2e.http import NO_ANSWER, curl
from cofferdam_e2e.mesh import CALL_SECONDS, Refusal
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

CREATED = sandbox_pb2.SANDBOX_EVENT_TYPE_CREATED
RUNNING = sandbox_pb2.SANDBOX_EVENT_TYPE_RUNNING
EXTENDED = sandbox_pb2.SANDBOX_EVENT_TYPE_EXTENDED
POLICY_UPDATED = sandbox_pb2.SANDBOX_EVENT_TYPE_POLICY_UPDATED
ENDED = sandbox_pb2.SANDBOX_EVENT_TYPE_ENDED


def extend(sandbox, seconds: int | None, etag: str = "") -> sandbox_pb2.Sandbox:
    lifetime = None if seconds is None else duration_pb2.Duration(seconds=seconds)
    request = sandbox_pb2.ExtendSandboxRequest(sandbox=sandbox.id, lifetime=lifetime, etag=etag)
    return sandbox.tenant.sandboxes.ExtendSandbox(request, timeout=CALL_SECONDS)


def update(sandbox, egress, etag: str = "") -> sandbox_pb2.Sandbox:
    request = sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=egress, etag=etag)
    return sandbox.tenant.sandboxes.UpdateSandboxPolicy(request, timeout=CALL_SECONDS)


def get(sandbox) -> sandbox_pb2.Sandbox:
    return sandbox.tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS)


def watch(tenant, cursor: str = "", sandbox: str = "", *, follow: bool):
    request = sandbox_pb2.WatchSandboxEventsRequest(cursor=cursor, sandbox=sandbox, follow=follow)
    return tenant.sandboxes.WatchSandboxEvents(request, timeout=5 * CALL_SECONDS)


def test_a_disk_larger_than_the_templates_is_there_and_holds_what_is_written(new_sandbox):
    """Its machine comes from the template's snapshot all the same: the disk grows before it runs, the file system in it."""
    small = new_sandbox()
    large = new_sandbox(size=sandbox_pb2.SandboxSize(vcpus=1, memory_mib=512, disk_mib=6144))
    available = "df -m / | awk 'END { print $2, $4 }'"
    before, _ = map(int, small.output(available).split())
    total, free = map(int, large.output(available).split())
    assert before < 2100 and total > 5800 and free > 5500, (before, total, free)
    # Beyond the end that it had, and read back from the disk.
    large.output("fallocate -l 3G /root/room && echo written > /root/after && sync && echo 3 > /proc/sys/vm/drop_caches")
    assert large.output("cat /root/after; stat -c %s /root/room") == f"written\n{3 << 30}"
    assert large.record.start.way == sandbox_pb2.START_WAY_RESIZED


def test_a_guest_that_uses_all_its_memory_goes_on(new_sandbox):
    sandbox = new_sandbox()

    # Its page cache first, then memory of a process: each page that no clone had touched before counts twice on the host.
    sandbox.output("dd if=/dev/zero of=/root/large bs=1M count=400 && cat /root/large > /dev/null && rm /root/large")
    assert sandbox.output("python3 -c 'print(len(b\"x\" * (350 << 20)))'") == str(350 << 20)

    assert sandbox.lives()


def test_the_end_is_moved_removed_and_met(new_sandbox):
    sandbox = new_sandbox()
    assert not sandbox.record.HasField("expire_time")
    later = extend(sandbox, 3600)
    assert 3590 < later.expire_time.seconds - later.create_time.seconds < 3600 + CALL_SECONDS
    assert later.etag != sandbox.record.etag and get(sandbox) == later
    with refused("ABORTED", "ETAG_MISMATCH"):
        extend(sandbox, 1, etag=sandbox.record.etag)
    assert get(sandbox) == later, "what was refused changed nothing"
    assert not extend(sandbox, None, etag=later.etag).HasField("expire_time")
    extend(sandbox, 1)
    eventually(lambda: get(sandbox).state == sandbox_pb2.SANDBOX_STATE_ENDED, "the end of a lifetime of 1 s")
    with refused("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING"):
        extend(sandbox, 3600)
    types = [event.type for event in watch(sandbox.tenant, sandbox=sandbox.id, follow=False)]
    assert types == [CREATED, RUNNING, EXTENDED, EXTENDED, EXTENDED, ENDED]


def test_a_lifetime_of_nothing_is_refused(new_sandbox):
    sandbox = new_sandbox()
    with refused("INVALID_ARGUMENT", "INVALID_ARGUMENT"):
        extend(sandbox, 0)
    assert get(sandbox) == sandbox.record


def test_a_policy_holds_when_its_update_returns(new_sandbox, upstream):
    sandbox = new_sandbox(egress=policy(BOUND))
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == NO_ANSWER
    wider = update(sandbox, policy(BOUND, ALLOWED))
    assert wider.policy_revision > sandbox.record.policy_revision and wider.egress_policy == policy(BOUND, ALLOWED)
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == 200
    address = sandbox.output(f"getent ahostsv4 {ALLOWED} | head -n 1 | cut -d' ' -f1")

    narrower = update(sandbox, policy(BOUND), etag=wider.etag)
    assert narrower.policy_revision > wider.policy_revision
    upstream.mark()
    # The name has no address any more, and the address it had leads nowhere.
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == NO_ANSWER
    kept = curl(sandbox, f"https://{ALLOWED}/headers", "--resolve", f"{ALLOWED}:443:{address}")
    assert kept.status in (NO_ANSWER, 403), kept
    assert upstream.received() == []
    assert curl(sandbox, f"https://{BOUND}/headers").status == 200
    types = [event.type for event in watch(sandbox.tenant, sandbox=sandbox.id, follow=False)]
    assert types == [CREATED, RUNNING, POLICY_UPDATED, POLICY_UPDATED]


def test_a_refused_policy_leaves_the_old_one_in_force(new_sandbox):
    sandbox = new_sandbox(egress=policy(BOUND))
    for egress, status, reason in (
        (policy("*.com"), "INVALID_ARGUMENT", "HOST_PATTERN_INVALID"),
        (policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=BOUND, ports=[0])]), "INVALID_ARGUMENT", "POLICY_INVALID"),
    ):
        with refused(status, reason):
            update(sandbox, egress)
    with refused("ABORTED", "ETAG_MISMATCH"):
        update(sandbox, policy(ALLOWED), etag="another")
    assert get(sandbox) == sandbox.record
    assert curl(sandbox, f"https://{BOUND}/headers").status == 200
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == NO_ANSWER


def test_a_change_of_another_tenants_sandbox_finds_none(other_tenant, new_sandbox):
    sandbox = new_sandbox()
    foreign = Sandbox(other_tenant, sandbox.record)
    for change in (lambda: extend(foreign, 60), lambda: update(foreign, policy(BOUND))):
        with refused("NOT_FOUND", "SANDBOX_NOT_FOUND"):
            change()
    assert get(sandbox) == sandbox.record


def test_lifecycle_events_go_on_from_a_cursor(tenant, new_sandbox):
    sandbox = new_sandbox()
    stream = watch(tenant, sandbox=sandbox.id, follow=True)
    first = next(stream)
    stream.cancel()
    following = watch(tenant, first.cursor, sandbox.id, follow=True)
    assert next(following).type == RUNNING
    # They come as they happen, to a stream that waits.
    extend(sandbox, 3600)
    assert next(following).type == EXTENDED
    sandbox.delete()
    assert next(following).type == ENDED
    following.cancel()
    whole = [event.cursor for event in watch(tenant, sandbox=sandbox.id, follow=False)]
    rest = [event.cursor for event in watch(tenant, whole[0], sandbox.id, follow=False)]
    assert len(whole) == len(set(whole)) == 4 and rest == whole[1:]


def test_audit_events_go_on_from_a_cursor_with_no_gap_and_no_repeat(tenant, new_sandbox):
    sandbox = new_sandbox(egress=policy(BOUND))
    events = Events(tenant, sandbox.id)

    def watched(cursor: str):
        request = audit_pb2.WatchAuditEventsRequest(cursor=cursor, sandbox=sandbox.id)
        return tenant.audit.WatchAuditEvents(request, timeout=5 * CALL_SECONDS)

    def probe(number: int) -> None:
        sandbox.sh(f"getent ahostsv4 probe{number}.echo.test")
        events.expect("the probe", type=DECISION, verdict=DENIED, host=f"probe{number}.echo.test")

    seen, cursor = [], ""
    for number in range(3):
        probe(number)
        stream = watched(cursor)
        for event in itertools.islice(stream, len(events.read()) - len(seen)):
            seen.append(event)
        stream.cancel()
        cursor = seen[-1].cursor
    waiting = watched(cursor)
    came: list = []
    reader = threading.Thread(target=lambda: came.append(next(waiting)), daemon=True)
    reader.start()
    probe(3)
    reader.join(CALL_SECONDS)
    waiting.cancel()
    cursors = [event.cursor for event in [*seen, *came]]
    assert cursors == [event.cursor for event in events.read()][: len(cursors)]
    assert {f"probe{n}.echo.test" for n in range(3)} <= {event.host for event in seen}
    assert len(came) == 1


@pytest.mark.parametrize("cursor", ["rubbish", "-1", "x" * 1000])
def test_a_cursor_that_nobody_gave_is_refused(tenant, cursor):
    for call in (
        lambda: next(watch(tenant, cursor, follow=False)),
        lambda: next(tenant.audit.WatchAuditEvents(audit_pb2.WatchAuditEventsRequest(cursor=cursor), timeout=CALL_SECONDS)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert Refusal.of(caught.value) == Refusal("INVALID_ARGUMENT", "CURSOR_INVALID"), caught.value
