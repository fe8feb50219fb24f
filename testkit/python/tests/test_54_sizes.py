"""Sizes other than the template's own: which way each is started, and that the guest has what it was promised."""

import grpc
import pytest
from test_51_lifecycle import get
from test_81_survive import node_settings

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS, Refusal
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

POOLED, RESTORED = sandbox_pb2.START_WAY_POOLED, sandbox_pb2.START_WAY_RESTORED
RESIZED, BOOTED = sandbox_pb2.START_WAY_RESIZED, sandbox_pb2.START_WAY_BOOTED
DISK = 2048


def size(vcpus: int, memory: int, disk: int = DISK) -> sandbox_pb2.SandboxSize:
    return sandbox_pb2.SandboxSize(vcpus=vcpus, memory_mib=memory, disk_mib=disk)


def assert_is(sandbox, wanted, *ways) -> None:
    """The guest sees the size, and the record says which way it was started and what that cost."""
    start = sandbox.record.start
    assert start.way in ways, start
    assert get(sandbox).start == start, "it stays on record"
    took = start.duration.ToMilliseconds()
    assert 0 < start.steps_ms["total"] <= took + 1 and took < CALL_SECONDS * 1000, start
    assert sandbox.record.size == wanted
    processors, memory = map(int, sandbox.output("nproc; awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo").split())
    # The kernel keeps some of it for itself.
    assert processors == wanted.vcpus and wanted.memory_mib * 3 // 4 < memory <= wanted.memory_mib, (processors, memory)


def test_a_size_that_nothing_is_prepared_for_is_booted(new_sandbox):
    wanted = size(2, 640)
    assert_is(new_sandbox(size=wanted), wanted, BOOTED)


def test_a_size_that_the_operator_has_prepared_comes_from_its_own_snapshot(mesh, host, new_sandbox):
    wanted, larger = size(2, 640), size(2, 640, DISK + 1024)
    with node_settings(mesh, host, "prepared.sizes=2x640\n"):

        def prepared() -> Sandbox | None:
            try:
                sandbox = new_sandbox(size=wanted)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                return None
            if sandbox.record.start.way == BOOTED:
                sandbox.delete()
                return None
            return sandbox

        # It is made after the node has come back, and until then booted.
        sandbox = eventually(prepared, "a sandbox of the prepared size", seconds=5 * CALL_SECONDS)
        assert_is(sandbox, wanted, RESTORED, POOLED)
        assert_is(new_sandbox(size=larger), larger, RESIZED)
        small = new_sandbox()
        assert_is(small, small.record.size, RESTORED, POOLED)
        assert small.record.size.vcpus == 1
    # Started anew without it, the node goes on with what was started from it.
    eventually(sandbox.lives, "a command after the node's restart")
    assert sandbox.output("nproc") == "2"


@pytest.mark.parametrize("wanted", [size(5, 512), size(1, 4097), size(1, 512, 65537)], ids=["processors", "memory", "disk"])
def test_what_no_node_has_is_refused_and_the_answer_says_what_there_is(tenant, wanted):
    with pytest.raises(grpc.RpcError) as caught:
        Sandbox.create(tenant, size=wanted)
    assert Refusal.of(caught.value) == Refusal("INVALID_ARGUMENT", "SIZE_OUT_OF_RANGE")
    told = f"size is {wanted.vcpus} vCPUs, {wanted.memory_mib} MiB of memory, {wanted.disk_mib} MiB of disk"
    assert told + ", expected at most 4 vCPUs, 4096 MiB of memory, 65536 MiB of disk" in caught.value.details()
