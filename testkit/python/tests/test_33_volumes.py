"""Volumes: what one sandbox writes the next one reads, one at a time, within its size, and whoever is killed meanwhile."""

import re
import secrets as random

import grpc
import pytest
from test_20_bad_input import refused
from test_60_cli import cofferdam, output
from test_80_kill import created

from cofferdam.v1 import sandbox_pb2, snapshot_pb2, volume_pb2
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.waiting import eventually

PRECONDITION = "FAILED_PRECONDITION"
IN_USE = "VOLUME_IN_USE"
SMALL = 64
# Random bytes do not compress away, and a sum tells them all.
FILL = "head -c 20000000 /dev/urandom >/data/blob && sync && sha256sum </data/blob"


@pytest.fixture
def new_volume(tenant):
    """Makes volumes and removes them in the end, when the sandboxes that were made after them are gone."""
    made = []

    def create(name: str = "", owner=tenant, **request) -> str:
        name = name or f"v-{random.token_hex(6)}"
        volume = owner.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(name=name, **request), timeout=2 * CALL_SECONDS)
        made.append((owner, volume.name))
        return volume.name

    yield create
    for owner, name in made:
        try:
            drop(owner, name)
        except grpc.RpcError as error:
            # The test itself may have deleted it.
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise


@pytest.fixture
def sandbox_with(new_volume, new_sandbox):
    """Asks for both fixtures, so that sandboxes go first."""

    def create(*volumes: str, **more):
        directories = ("/data", "/more")
        return new_sandbox(volumes=dict(zip(directories, volumes, strict=False)), **more)

    return create


def drop(tenant, name: str) -> None:
    tenant.volumes.DeleteVolume(volume_pb2.DeleteVolumeRequest(name=name), timeout=CALL_SECONDS)


def get(tenant, name: str) -> volume_pb2.Volume:
    return tenant.volumes.GetVolume(volume_pb2.GetVolumeRequest(name=name), timeout=CALL_SECONDS)


def files(mesh) -> set[str]:
    return {path.name for path in (mesh.state / "node" / "volumes").iterdir()}


def test_what_one_writes_the_next_one_reads(tenant, mesh, new_volume, sandbox_with):
    before = files(mesh)
    name = new_volume(size_mib=256)
    first = sandbox_with(name)
    assert dict(first.record.volumes) == {"/data": name}
    assert first.output("stat -f -c %T /data") == "ext2/ext3"
    written = first.output(FILL)
    assert get(tenant, name).sandbox == first.id
    # One writer at a time, and nobody takes the disk away from under it.
    with refused(PRECONDITION, IN_USE):
        sandbox_with(name)
    with refused(PRECONDITION, IN_USE):
        drop(tenant, name)
    first.delete()
    assert get(tenant, name).sandbox == ""
    second = sandbox_with(name)
    assert second.output("sha256sum </data/blob") == written
    assert second.output("ls -A /data") == "blob\nlost+found"
    second.delete()
    drop(tenant, name)
    assert files(mesh) == before, "its file is gone with it"
    with refused("NOT_FOUND", "VOLUME_NOT_FOUND"):
        sandbox_with(name)


def test_it_stays_through_a_pause_and_through_sleep(tenant, new_volume, sandbox_with):
    name = new_volume(size_mib=SMALL)
    sandbox = sandbox_with(name)
    # A file that is open and half written: the sleep is in the middle of it.
    sandbox.output("exec 3>/data/log; (while echo tick >&3; do sleep 0.1; done) >/dev/null 2>&1 & echo started")
    for call, request in (
        (tenant.sandboxes.PauseSandbox, sandbox_pb2.PauseSandboxRequest(sandbox=sandbox.id)),
        (tenant.sandboxes.ResumeSandbox, sandbox_pb2.ResumeSandboxRequest(sandbox=sandbox.id)),
        (tenant.sandboxes.SuspendSandbox, sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id)),
    ):
        call(request, timeout=3 * CALL_SECONDS)
    with refused(PRECONDITION, IN_USE):
        sandbox_with(name)
    with refused(PRECONDITION, IN_USE):
        drop(tenant, name)
    lines = int(sandbox.output("wc -l </data/log"))
    eventually(lambda: int(sandbox.output("wc -l </data/log")) > lines, "the writer goes on after it woke")
    assert sandbox.output("sort -u /data/log") == "tick"
    # What is in memory of the volume cannot be brought together with it again elsewhere or later.
    with refused(PRECONDITION, IN_USE):
        tenant.snapshots.CreateSnapshot(snapshot_pb2.CreateSnapshotRequest(sandbox=sandbox.id), timeout=CALL_SECONDS)
    with refused(PRECONDITION, IN_USE):
        tenant.sandboxes.ForkSandbox(sandbox_pb2.ForkSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS)


def test_one_that_was_made_for_a_template_is_the_disk_of_one_after_the_other(tenant, new_volume, new_sandbox):
    disk, data = new_volume(size_mib=256, template="debian"), new_volume(size_mib=SMALL)
    assert get(tenant, disk).template == "debian"
    first = new_sandbox(volumes={"/": disk, "/data": data})
    assert first.record.size.disk_mib == 256 and first.record.start.way == sandbox_pb2.START_WAY_BOOTED
    first.output("echo tool >/usr/local/bin/tool; echo kept >/data/kept; mv /etc/motd /etc/moved")
    with refused(PRECONDITION, IN_USE):
        new_sandbox(volumes={"/": disk})
    # Two that begin as a copy would have to copy what is being written.
    with refused(PRECONDITION, IN_USE):
        new_sandbox(disk_source=disk)
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=first.id), timeout=3 * CALL_SECONDS)
    assert first.output("cat /usr/local/bin/tool /data/kept") == "tool\nkept"
    first.delete()
    second = new_sandbox(volumes={"/": disk})
    assert second.output("cat /usr/local/bin/tool; ls /etc/moved; ls /etc/motd 2>&1 | grep -c 'No such'; ls -d /data/kept 2>&1 | grep -c 'No such'") == (
        "tool\n/etc/moved\n1\n1"
    )
    second.delete()
    # As many as there are begin as a copy, each its own, larger where that is asked; what they do stays with them.
    copies = [new_sandbox(disk_source=disk, size=sandbox_pb2.SandboxSize(disk_mib=mib)) for mib in (0, 1024)]
    for copy, least in zip(copies, (200, 900), strict=True):
        assert copy.output("cat /usr/local/bin/tool; echo mine >/usr/local/bin/tool") == "tool"
        assert int(copy.output("df -m --output=size / | tail -1")) >= least
    assert new_sandbox(volumes={"/": disk}).output("cat /usr/local/bin/tool") == "tool"
    with refused(PRECONDITION, "VOLUME_NOT_BOOTABLE"):
        new_sandbox(volumes={"/": data})


def test_a_roll_back_of_the_disk_leaves_it_as_it_is(tenant, new_volume, sandbox_with):
    sandbox = sandbox_with(new_volume(size_mib=SMALL))
    sandbox.output("echo old >/root/own; echo old >/data/kept; sync")
    kept = tenant.snapshots.CreateSnapshot(
        snapshot_pb2.CreateSnapshotRequest(sandbox=sandbox.id, kind=snapshot_pb2.SNAPSHOT_KIND_DISK), timeout=2 * CALL_SECONDS
    ).id
    try:
        sandbox.output("echo new >/root/own; echo new >/data/kept; sync")
        tenant.sandboxes.RollBackSandbox(
            sandbox_pb2.RollBackSandboxRequest(sandbox=sandbox.id, snapshot=kept), timeout=3 * CALL_SECONDS
        )
        assert sandbox.output("cat /root/own /data/kept") == "old\nnew"
    finally:
        tenant.snapshots.DeleteSnapshot(snapshot_pb2.DeleteSnapshotRequest(snapshot=kept), timeout=CALL_SECONDS)


def test_a_full_one_is_the_guests_affair(mesh, new_volume, sandbox_with, new_sandbox):
    name = new_volume(size_mib=SMALL)
    sandbox = sandbox_with(name, size=sandbox_pb2.SandboxSize(disk_mib=128))
    other = new_sandbox()
    # The volume, then the sandbox's own disk: each to its end, and each end is the guest's own file system's.
    for directory in ("/data", "/root"):
        full = sandbox.sh(f"cat /dev/zero >{directory}/fill")
        assert full.exit_code != 0
        assert b"No space left on device" in full.stderr, full
    assert other.output("head -c 30000000 /dev/zero >/root/x && sync && stat -c %s /root/x") == "30000000"
    file = next(path for path in (mesh.state / "node" / "volumes").iterdir() if path.stat().st_size == SMALL << 20)
    assert file.stat().st_blocks * 512 <= SMALL << 20
    # Neither is broken by it.
    sandbox.output("rm /data/fill /root/fill; echo again >/data/x; echo again >/root/x; sync")
    assert sandbox.output("cat /data/x /root/x") == "again\nagain"


def test_a_copy_is_of_one_moment_also_under_a_writer(tenant, new_volume, sandbox_with):
    name = new_volume(size_mib=SMALL)
    sandbox = sandbox_with(name)
    # Each number is durable before the next is written.
    sandbox.output("(n=0; while :; do n=$((n+1)); echo $n >/data/$n; echo $n >>/data/log; sync; done) >/dev/null 2>&1 & echo started")

    def written() -> int:
        return int(sandbox.output("wc -l </data/log || echo 0"))

    eventually(lambda: written() > 20, "the first numbers")
    copy = new_volume(source=name, size_mib=2 * SMALL)
    made = get(tenant, copy)
    assert (made.source, made.size_mib, made.sandbox) == (name, 2 * SMALL, "")
    last = written()
    eventually(lambda: written() > last, "who has the source goes on")
    beside = sandbox_with(copy)
    count = int(beside.output("tail -n 1 /data/log"))
    assert count >= 20
    assert beside.output("cat /data/log") == "\n".join(str(n) for n in range(1, count + 1))
    assert beside.output("cd /data && cat $(ls | grep '^[0-9]*$' | sort -n | head -n %d)" % count) == beside.output("cat /data/log")
    # It has grown into its size, and is its own.
    assert int(beside.output("df -m --output=size /data | tail -n 1")) > SMALL
    beside.output("rm /data/log; sync")
    assert sandbox.sh("test -s /data/log").exit_code == 0


def test_nobody_elses(tenant, other_tenant, new_volume, sandbox_with, new_sandbox):
    name = new_volume(size_mib=SMALL)
    for call in (
        lambda: get(other_tenant, name),
        lambda: drop(other_tenant, name),
        lambda: new_volume(owner=other_tenant, source=name),
        lambda: new_sandbox(owner=other_tenant, volumes={"/data": name}),
    ):
        with refused("NOT_FOUND", "VOLUME_NOT_FOUND"):
            call()
    assert not other_tenant.volumes.ListVolumes(volume_pb2.ListVolumesRequest(), timeout=CALL_SECONDS).volumes
    # The same name is another one.
    theirs = new_volume(name, owner=other_tenant, size_mib=2 * SMALL)
    drop(other_tenant, theirs)
    assert get(tenant, name).size_mib == SMALL
    # A guest finds no disk but its own and its volumes.
    plain, with_one = new_sandbox(), sandbox_with(name)
    disks = [int(each.output("ls -d /sys/block/vd* | wc -l")) for each in (plain, with_one)]
    assert disks[1] == disks[0] + 1


@pytest.mark.parametrize("process", ("node-agent", "scheduler-svc"))
def test_it_outlives(process, host, mesh, tenant, new_volume, new_sandbox, sandbox_with):
    name, other = new_volume(size_mib=256), new_volume(size_mib=SMALL)
    sandbox = sandbox_with(name, other)
    written = sandbox.output(FILL)
    before = files(mesh)
    host.await_restart(process, host.kill(process))
    eventually(sandbox.lives, f"a new command after the death of {process}")
    assert sandbox.output("sha256sum </data/blob; echo x >/more/x; cat /more/x") == f"{written}\nx"
    assert get(tenant, name).sandbox == sandbox.id
    with refused(PRECONDITION, IN_USE):
        sandbox_with(name)
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id), timeout=3 * CALL_SECONDS)
    host.await_restart(process, host.kill(process))
    eventually(sandbox.lives, f"a wake after another death of {process}")
    assert sandbox.output("sha256sum </data/blob; cat /more/x") == f"{written}\nx"
    assert files(mesh) == before
    sandbox.delete()
    assert get(tenant, other).sandbox == ""
    # A scheduler that has started again may not have its node yet.
    assert created(new_sandbox, volumes={"/data": other}).output("cat /data/x") == "x"


def test_on_the_command_line():
    name = f"v-{random.token_hex(6)}"
    there = ("run", "--volume", f"{name}:/srv/data", "--")
    # Twice: a lost answer is asked for again.
    assert {output("volume", "create", name, "--size", "64") for _ in range(2)} == {f"{name}\n"}
    try:
        assert output(*there, "sh", "-c", "echo kept >/srv/data/x") == ""
        assert output(*there, "cat", "/srv/data/x") == "kept\n"
        assert re.search(rf"(?m)^{name} +{SMALL} ", output("volume", "ls"))
    finally:
        output("volume", "rm", name)
    done = cofferdam(*there, "true")
    assert done.returncode == 1 and b"VOLUME_NOT_FOUND" in done.stderr, done
