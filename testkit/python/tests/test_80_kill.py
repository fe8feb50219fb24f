"""kill -9 of each process of the mesh in turn, under a running exec stream and a running download.

A sandbox outlives every process but its own VMM. What its client loses is at most a stream, and it goes on from its offset.
"""

import grpc
import pytest
from conftest import ALLOWED, BOUND

from cofferdam_e2e.events import USE, Events
from cofferdam_e2e.host import SERVICES
from cofferdam_e2e.http import NO_ANSWER, curl
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

BEARER = ("-H", "Authorization: Bearer $API_KEY")
LINES = 60
# Slow enough to be under way when the process is killed.
COUNTING = f"n=0; while [ $n -lt {LINES} ]; do echo line $n; n=$((n+1)); sleep 0.05; done"
EXPECTED = "".join(f"line {n}\n" for n in range(LINES)).encode()
SIZE = 1_500_000
DOWNLOAD = f"curl -fsS https://{ALLOWED}/bytes/{SIZE}?rate=250000 | sha256sum | cut -d' ' -f1 >/tmp/sum; echo ${{PIPESTATUS[0]}} >/tmp/code"
# Whose death breaks the client's stream: what lies between it and the guest.
ON_THE_WAY = ("scheduler-svc", "node-agent", "node-helper")


@pytest.fixture(scope="module")
def checksum(tenant):
    sandbox = Sandbox.create(tenant, egress=policy(ALLOWED))
    yield curl(sandbox, f"https://{ALLOWED}/bytes/{SIZE}").headers["content-sha256"]
    sandbox.delete()


@pytest.mark.parametrize("process", SERVICES)
def test_a_sandbox_outlives(process, host, stage, new_secret, new_sandbox, upstream, checksum):
    name, value = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    boot = sandbox.output("cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat")
    sandbox.write("/root/kept", b"kept")
    witness = sandbox.start("sleep", "100000")
    next(witness.events())
    before = stage.unexpected()
    upstream.mark()

    stream = sandbox.start("sh", "-c", COUNTING)
    stream.until(b"line 10\n")
    download = sandbox.start("bash", "-c", DOWNLOAD)
    next(download.events())
    eventually(lambda: downloads(upstream), "the start of the download")

    old = host.kill(process)
    output = finish(sandbox, stream, process)
    host.await_restart(process, old)

    assert output == EXPECTED
    eventually(sandbox.lives, f"a new command after the death of {process}")
    assert sandbox.output("cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat") == boot
    assert sandbox.read("/root/kept") == b"kept"
    assert sandbox.sh(f"kill -0 {witness.pid}").exit_code == 0
    code = eventually(lambda: sandbox.sh("cat /tmp/code").text.strip(), "the end of the download")
    if process == "egress-gateway":
        assert code != "0", "its connections broke with the gateway"
    else:
        assert (code, sandbox.output("cat /tmp/sum")) == ("0", checksum)

    def uses_the_secret():
        return curl(sandbox, f"https://{BOUND}/headers", *BEARER).status == 200

    upstream.mark()
    eventually(uses_the_secret, f"a use of the secret after the death of {process}")
    assert f"Bearer {value}" in upstream.raw().decode()
    fresh = created(new_sandbox, egress=policy(ALLOWED))
    assert curl(fresh, f"https://{ALLOWED}/headers").status == 200
    assert stage.unexpected() == before, stage.describe()


def downloads(upstream) -> list[dict]:
    return [request for request in upstream.received() if request["path"] == f"/bytes/{SIZE}"]


def finish(sandbox, stream, process: str) -> bytes:
    """Reads the stream to its end, attaching again from its offset where the kill broke it. Offsets are checked on the way."""
    collected = b""
    while True:
        try:
            stream.wait()
            return collected + bytes(stream.stdout)
        except grpc.RpcError as error:
            assert process in ON_THE_WAY, f"{process} is not on the way of the stream, yet it broke: {error}"
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            collected += bytes(stream.stdout)
            stream = eventually(lambda: attached(sandbox, stream), "a stream attached again")


def attached(sandbox, broken):
    """None while the way is still broken."""
    fresh = sandbox.attach(broken.process, stdout_offset=broken.stdout_offset, stderr_offset=broken.stderr_offset)
    try:
        next(fresh.events())
        return fresh
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return None


def created(new_sandbox, **request) -> Sandbox:
    """As a client does it: UNAVAILABLE means try again."""

    def attempt():
        try:
            return new_sandbox(**request)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return None

    return eventually(attempt, "a new sandbox")


def test_nothing_leaves_while_the_gateway_is_dead(host, stage, new_secret, new_sandbox, upstream):
    """With the listener dead and ip_forward=1 on the host, the kernel is all that stands in the way."""
    name, _ = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == 200
    address = sandbox.output(f"getent ahostsv4 {ALLOWED} | head -n 1 | cut -d' ' -f1")
    upstream.mark()
    before = stage.unexpected()
    with host.without("egress-gateway"):
        for target in (address, "203.0.113.10", "192.0.2.1"):
            answer = curl(sandbox, f"https://{ALLOWED}/headers", "--resolve", f"{ALLOWED}:443:{target}", "--connect-timeout", "3")
            assert answer.status == NO_ANSWER, answer
        sandbox.sh("for n in 1 2 3; do RES_OPTIONS='timeout:1 attempts:1' getent ahostsv4 leak$n.echo.test; done; echo x >/dev/udp/203.0.113.10/9")
        assert stage.unexpected() == before, stage.describe()
    assert upstream.received() == []
    eventually(lambda: curl(sandbox, f"https://{BOUND}/headers", *BEARER).status == 200, "the way out's return")
    created(new_sandbox)


def test_a_sandbox_outlives_the_launcher_and_a_start_that_fails(host, mesh, stage, new_sandbox):
    """The launcher supervises; neither its death nor a start with a mistake in it ends what runs."""
    sandbox = new_sandbox(egress=policy(ALLOWED))
    boot = sandbox.output("cat /proc/sys/kernel/random/boot_id")
    host.kill("launcher")
    missing = str(mesh.state / "no-such-file")
    try:
        failed = mesh.start(hosts=missing)
        assert failed.returncode != 0 and missing in failed.stdout + failed.stderr, failed
        assert sandbox.output("cat /proc/sys/kernel/random/boot_id") == boot
    finally:
        # Whatever was seen, the tests after this one need a mesh.
        done = mesh.start()
    assert done.returncode == 0, done
    eventually(sandbox.lives, "a command under the new launcher")
    assert sandbox.output("cat /proc/sys/kernel/random/boot_id") == boot
    eventually(lambda: curl(sandbox, f"https://{ALLOWED}/headers").status == 200, "the way out")
    assert stage.unexpected() == 0, stage.describe()


def test_audit_loses_nothing_over_a_brokers_death(host, tenant, new_secret, new_sandbox, upstream):
    """Every request that reached the upstream with the value has its record, although the broker died in between."""
    name, value = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND))
    events = Events(tenant, sandbox.id)
    upstream.mark()
    loop = sandbox.start("sh", "-c", f'n=0; while [ $n -lt 15 ]; do curl -s --max-time 20 -o /dev/null -H "Authorization: Bearer $API_KEY" "https://{BOUND}/headers"; n=$((n+1)); echo $n; done')
    loop.until(b"\n5\n")
    old = host.kill("vault-broker")
    loop.wait()
    host.await_restart("vault-broker", old)
    arrived = sum(f"Bearer {value}" in line["headers"].get("Authorization", []) for line in upstream.received())
    eventually(lambda: len(events.all(type=USE, secret=name)) >= arrived, f"{arrived} uses on record")
