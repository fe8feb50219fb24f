"""Snapshots and forks as an API: pages, labels, request ids, and each refusal with its status and reason."""

import secrets as random

import pytest
from test_20_bad_input import INVALID, refused

from cofferdam.v1 import sandbox_pb2, snapshot_pb2
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox

NONE = "sn-" + "a" * 20


def take(tenant, sandbox: str, **more) -> snapshot_pb2.Snapshot:
    request = snapshot_pb2.CreateSnapshotRequest(sandbox=sandbox, **more)
    return tenant.snapshots.CreateSnapshot(request, timeout=2 * CALL_SECONDS)


def drop(tenant, snapshot: str) -> None:
    tenant.snapshots.DeleteSnapshot(snapshot_pb2.DeleteSnapshotRequest(snapshot=snapshot), timeout=CALL_SECONDS)


def listed(tenant, **more) -> snapshot_pb2.ListSnapshotsResponse:
    return tenant.snapshots.ListSnapshots(snapshot_pb2.ListSnapshotsRequest(**more), timeout=CALL_SECONDS)


def fork(tenant, sandbox: str, **more) -> list[sandbox_pb2.Sandbox]:
    request = sandbox_pb2.ForkSandboxRequest(sandbox=sandbox, **more)
    return list(tenant.sandboxes.ForkSandbox(request, timeout=3 * CALL_SECONDS).sandboxes)


@pytest.fixture(scope="module")
def source(tenant):
    sandbox = Sandbox.create(tenant)
    yield sandbox
    sandbox.delete()


def test_pages_and_labels(tenant, source):
    mark = random.token_hex(8)
    made = [take(tenant, source.id, kind=snapshot_pb2.SNAPSHOT_KIND_DISK, labels={"mark": mark, "n": str(n)}).id for n in range(3)]
    try:
        first = listed(tenant, label_filter={"mark": mark}, page_size=2)
        assert [each.id for each in first.snapshots] == [made[2], made[1]]
        second = listed(tenant, label_filter={"mark": mark}, page_size=2, page_token=first.next_page_token)
        assert [each.id for each in second.snapshots] == [made[0]] and not second.next_page_token
        assert [each.id for each in listed(tenant, sandbox=source.id, label_filter={"n": "1", "mark": mark}).snapshots] == [made[1]]
        with refused(INVALID, "PAGE_TOKEN_INVALID"):
            listed(tenant, label_filter={"mark": "another"}, page_token=first.next_page_token)
    finally:
        for snapshot in made:
            drop(tenant, snapshot)
            drop(tenant, snapshot)
    assert not listed(tenant, label_filter={"mark": mark}).snapshots


def test_one_request_makes_one_snapshot(tenant, source):
    request = random.token_hex(8)
    snapshot = take(tenant, source.id, request_id=request)
    try:
        assert take(tenant, source.id, request_id=request) == snapshot
        assert snapshot.state == snapshot_pb2.SNAPSHOT_STATE_READY and snapshot.bytes > 0
        with refused("ALREADY_EXISTS", "REQUEST_ID_REUSED"):
            take(tenant, source.id, request_id=request, labels={"a": "b"})
    finally:
        drop(tenant, snapshot.id)


def test_one_request_makes_its_copies_once(tenant, source):
    request = random.token_hex(8)
    copies = fork(tenant, source.id, count=2, request_id=request)
    try:
        assert len({source.id, *(copy.id for copy in copies)}) == 3
        assert {copy.forked_from for copy in copies} == {source.id}
        assert fork(tenant, source.id, count=2, request_id=request) == copies
    finally:
        for copy in copies:
            Sandbox(tenant, copy).delete()


def test_nothing_is_made_of_what_is_not_there(tenant, source):
    for call in (
        lambda: tenant.snapshots.GetSnapshot(snapshot_pb2.GetSnapshotRequest(snapshot=NONE), timeout=CALL_SECONDS),
        lambda: drop(tenant, NONE),
        lambda: tenant.sandboxes.CreateSandbox(sandbox_pb2.CreateSandboxRequest(snapshot=NONE), timeout=CALL_SECONDS),
        lambda: tenant.sandboxes.RollBackSandbox(
            sandbox_pb2.RollBackSandboxRequest(sandbox=source.id, snapshot=NONE), timeout=CALL_SECONDS
        ),
    ):
        with refused("NOT_FOUND", "SNAPSHOT_NOT_FOUND"):
            call()
    with refused("NOT_FOUND", "SANDBOX_NOT_FOUND"):
        take(tenant, "sb-" + "a" * 20)
    with refused("NOT_FOUND", "SANDBOX_NOT_FOUND"):
        fork(tenant, "sb-" + "a" * 20)


def test_what_cannot_be_asked_for(tenant, source):
    with refused(INVALID, "INVALID_ARGUMENT"):
        fork(tenant, source.id, count=17)
    with refused(INVALID, "INVALID_ARGUMENT"):
        take(tenant, source.id, labels={"NOT A KEY": ""})
    with refused(INVALID, "INVALID_ARGUMENT"):
        take(tenant, source.id, request_id="x" * 65)
    with refused(INVALID, "INVALID_ARGUMENT"):
        listed(tenant, page_size=-1)
