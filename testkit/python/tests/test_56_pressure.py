"""A host that is short of what it keeps for itself: what is new is refused early, what runs is left alone."""

import grpc
from test_20_bad_input import refused
from test_52_sleep import suspend
from test_81_survive import node_settings

from cofferdam_e2e.mesh import Refusal
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

# More than any host has left, of each thing that is looked at.
SHORT_OF_ALL = """
pressure.memory-mib=1048576
pressure.disk-mib=16777216
pressure.pids=4194304
pressure.descriptors=1048576
"""
THINGS = ("MiB of memory", "MiB of disk", "process ids", "file descriptors")


def test_what_is_new_is_refused_with_what_there_is_too_little_of_and_what_runs_goes_on(mesh, host, tenant, new_sandbox):
    running, asleep = new_sandbox(), new_sandbox()
    running.write("/root/kept", b"kept")
    asleep.write("/root/kept", b"kept")
    suspend(asleep)
    with node_settings(mesh, host, SHORT_OF_ALL):
        eventually(running.lives, "a command after the node's restart")

        def short() -> grpc.RpcError | None:
            error = refusal(tenant)
            return error if error and all(f"{thing} are left, expected at least" in error.details() for thing in THINGS) else None

        why = eventually(short, f"a create that is refused for {THINGS}")
        assert Refusal.of(why) == Refusal("RESOURCE_EXHAUSTED", "NO_CAPACITY")
        with refused("RESOURCE_EXHAUSTED", "NO_CAPACITY"):
            asleep.output("cat /root/kept")
        assert running.output("cat /root/kept") == "kept"
    eventually(lambda: refusal(tenant) is None, "a create once there is enough again")
    assert asleep.output("cat /root/kept") == "kept", "what was refused has lost nothing"


def refusal(tenant) -> grpc.RpcError | None:
    """Of a create; what is made is taken away again."""
    try:
        Sandbox.create(tenant).delete()
    except grpc.RpcError as error:
        return error
    return None
