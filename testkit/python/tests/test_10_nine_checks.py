"""The main job: what `./cofferdam demo` claims, seen by a client in Python. In order, on one sandbox."""

import secrets as random
from pathlib import Path

import grpc
import pytest
from conftest import ALLOWED, BOUND, DENIED

from cofferdam.v1 import audit_pb2, process_pb2, sandbox_pb2, secret_pb2
from cofferdam_e2e import host as machine
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import NO_ANSWER, curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

SECRET = "nine-checks"
ALLOW = audit_pb2.VERDICT_ALLOWED
DENY = audit_pb2.VERDICT_DENIED
USE = audit_pb2.AUDIT_EVENT_TYPE_USE
BEARER = ("-H", "Authorization: Bearer $API_KEY")


class Story:
    """What one check leaves for the next."""

    def __init__(self, tenant, value):
        self.tenant = tenant
        self.value = value
        self.sandbox: Sandbox | None = None
        self.placeholder = ""
        self.events: Events | None = None


@pytest.fixture(scope="module")
def story(tenant, canary, mesh):
    story = Story(tenant, canary.value())
    yield story
    if story.sandbox is not None:
        story.sandbox.delete()
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=SECRET), timeout=CALL_SECONDS)


def test_1_a_secret_goes_in_and_no_call_gives_it_back(story):
    secrets = story.tenant.secrets
    put = secrets.PutSecret(
        secret_pb2.PutSecretRequest(
            name=SECRET, value=story.value.encode(), bindings=[secret_pb2.SecretBinding(hosts=[BOUND])]
        ),
        timeout=CALL_SECONDS,
    )
    assert put.version == 1
    listed = secrets.ListSecrets(secret_pb2.ListSecretsRequest(), timeout=CALL_SECONDS)
    assert SECRET in [secret.name for secret in listed.secrets]
    for answer in (put, listed):
        assert story.value.encode() not in answer.SerializeToString()
    # Not only these answers: no message of the whole service but the two that carry a value in has a field for one.
    service = secret_pb2.DESCRIPTOR.services_by_name["SecretService"]
    with_bytes = {
        message.name
        for method in service.methods
        for message in (method.input_type, method.output_type)
        if any(field.type == field.TYPE_BYTES for field in message.fields)
    }
    assert with_bytes == {"PutSecretRequest", "RotateSecretRequest"}


def test_2_a_sandbox_is_a_virtual_machine(story):
    story.sandbox = Sandbox.create(story.tenant, secrets=[(SECRET, "API_KEY")], egress=policy(BOUND, ALLOWED))
    story.events = Events(story.tenant, story.sandbox.id)
    assert story.sandbox.record.state == sandbox_pb2.SANDBOX_STATE_RUNNING
    assert story.sandbox.record.isolation in ("hardware", "emulated")
    for file in ("/proc/sys/kernel/random/boot_id", "/proc/cmdline"):
        inside = story.sandbox.output(f"cat {file}")
        assert inside and inside != Path(file).read_text().strip()
    marker = f"{random.randbelow(10**9) + 10**9}.25"
    sleeper = story.sandbox.start("sleep", marker)
    next(sleeper.events())
    assert marker in story.sandbox.output(f"tr '\\0' ' ' </proc/{sleeper.pid}/cmdline")
    assert machine.with_command(marker) == []
    story.tenant.processes.SignalProcess(_signal(story.sandbox, sleeper.process, 9), timeout=CALL_SECONDS)
    assert sleeper.wait().signal == 9


def _signal(sandbox, process, number):
    return process_pb2.SignalProcessRequest(sandbox=sandbox.id, process=process, signal=number)


def test_3_inside_there_is_a_placeholder(story):
    story.placeholder = story.sandbox.output("echo $API_KEY")
    assert len(story.placeholder) >= 16
    assert story.placeholder != story.value
    everything = story.sandbox.output("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert story.placeholder in everything and story.value not in everything


def test_4_the_upstream_gets_the_key_and_the_guest_its_placeholder_back(story, upstream):
    upstream.mark()
    answer = curl(story.sandbox, f"https://{BOUND}/headers", *BEARER)
    assert answer.status == 200, answer
    [request] = upstream.received()
    assert request["headers"]["Authorization"] == [f"Bearer {story.value}"]
    assert request["host"] == BOUND and request["tls"]
    assert answer.json["headers"]["Authorization"] == [f"Bearer {story.placeholder}"]
    assert story.value.encode() not in answer.body


@pytest.mark.parametrize(
    ("host", "options", "reason"),
    [
        pytest.param(BOUND, ("-d", "key=$API_KEY"), "placeholder_outside_target", id="body"),
        pytest.param(BOUND, ("-A", "agent $API_KEY"), "placeholder_outside_target", id="user-agent"),
        pytest.param(ALLOWED, BEARER, "placeholder_host_not_bound", id="unbound-host"),
    ],
)
def test_5_elsewhere_the_placeholder_is_refused(story, upstream, host, options, reason):
    upstream.mark()
    answer = curl(story.sandbox, f"https://{host}/echo", *options)
    assert (answer.status, answer.reason) == (403, reason), answer
    assert upstream.received() == []
    code = audit_pb2.EgressReason.Value(f"EGRESS_REASON_{reason.upper()}")
    story.events.expect("the refusal", verdict=DENY, reason=code, host=host, path="/echo")


def test_6_nothing_else_leaves_and_each_try_is_an_event(story, mesh, stage, upstream):
    upstream.mark()
    before = stage.unexpected()
    # A host that is not allowed has no address at all.
    assert curl(story.sandbox, f"https://{DENIED}/headers").status == NO_ANSWER
    story.events.expect("the name", verdict=DENY, host=DENIED, protocol="dns")
    # A raw address, with and without the name of an allowed host on top.
    for options in ((), ("--resolve", f"{DENIED}:443:203.0.113.66")):
        url = f"https://{DENIED}/" if options else "https://203.0.113.66/"
        assert curl(story.sandbox, url, "--connect-timeout", "5", "-k", *options).status in (NO_ANSWER, 403)
    story.events.expect("the raw address", verdict=DENY, type=audit_pb2.AUDIT_EVENT_TYPE_DECISION, port=443, protocol="tls")
    story.sandbox.sh(PACKETS)
    for protocol in ("udp", "icmp", "ipv6"):
        story.events.expect(f"a dropped packet of {protocol}", type=audit_pb2.AUDIT_EVENT_TYPE_DROP, protocol=protocol)
    # Ports of the mesh, at every address that might lead to the host.
    base = int(mesh.api.rsplit(":", 1)[1])
    ports = [str(base + offset) for offset in (0, 1, 10, 11, 12, 20, 21, 30, 31, 50)]
    assert story.sandbox.run("python3", "-c", CONNECT, *ports).text.splitlines() == ["nobody answered"]
    assert upstream.received() == []
    assert stage.unexpected() == before, stage.describe()


PACKETS = r"""
python3 - <<'CODE'
import socket
for kind, family, address in (
    ("udp", socket.AF_INET, ("203.0.113.10", 9)),
    ("dns", socket.AF_INET, ("198.51.100.53", 53)),
    ("metadata", socket.AF_INET, ("169.254.169.254", 80)),
    ("quic", socket.AF_INET, ("203.0.113.10", 443)),
):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.sendto(b"probe", address)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
    s.sendto(bytes((8, 0, 0xf7, 0xff, 0, 0, 0, 0)), ("203.0.113.10", 0))
# IPv6 is off in the guest, so the frame is made by hand.
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind(("eth0", 0))
    mac = s.getsockname()[4]
    header = bytes((0x60, 0, 0, 0, 0, 8, 17, 64)) + bytes(15) + b"\1" + bytes.fromhex("20010db8") + bytes(11) + b"\1"
    s.send(b"\xff" * 6 + mac + b"\x86\xdd" + header + bytes((0, 9, 0, 9, 0, 8, 0, 0)))
CODE
"""

# The gateway takes every connection to look at it, so what counts is who answers: a service completes a TLS handshake
# without a name, an admin listener says 200, PostgreSQL says whether it speaks TLS.
CONNECT = """
import concurrent.futures, itertools, socket, ssl, sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

def tls(s):
    context.wrap_socket(s)
    return True

def http(s):
    s.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    return s.recv(12).endswith(b" 200")

def postgres(s):
    s.sendall(bytes((0, 0, 0, 8, 4, 210, 22, 47)))
    return s.recv(1) in (b"N", b"S")

def answers(target):
    address, port, speaks = target
    try:
        with socket.create_connection((address, port), 5) as s:
            s.settimeout(5)
            return f"{address}:{port} {speaks.__name__}" if speaks(s) else None
    except OSError:
        return None

addresses = ("169.254.0.22", "198.18.0.1", "100.80.0.1", "192.0.2.2", "192.0.2.1", "203.0.113.1")
targets = itertools.product(addresses, map(int, sys.argv[1:]), (tls, http, postgres))
with concurrent.futures.ThreadPoolExecutor(60) as pool:
    found = [who for who in pool.map(answers, targets) if who]
print(found or "nobody answered")
"""


def test_7_every_use_is_on_record(story):
    use = story.events.expect("the use", type=USE, secret=SECRET)
    assert (use.host, use.method, use.path, use.target) == (BOUND, "GET", "/headers", "header:authorization")
    assert use.verdict == ALLOW and use.request and use.sandbox == story.sandbox.id
    outcome = story.events.expect("its outcome", type=audit_pb2.AUDIT_EVENT_TYPE_DECISION, request=use.request)
    assert (outcome.verdict, outcome.status, outcome.protocol) == (ALLOW, 200, "https")
    assert len(story.events.all(type=USE)) == 1
    assert story.value not in str(story.events.read())


def test_8_without_the_broker_only_what_needs_no_secret_passes(story, host, upstream):
    upstream.mark()
    with host.without("vault-broker"):
        refused = curl(story.sandbox, f"https://{BOUND}/headers", *BEARER)
        assert (refused.status, refused.reason) == (503, "broker_unavailable"), refused
        assert curl(story.sandbox, f"https://{ALLOWED}/headers").status == 200
    assert [request["host"] for request in upstream.received()] == [ALLOWED]

    def again():
        return curl(story.sandbox, f"https://{BOUND}/headers", *BEARER).status == 200

    eventually(again, "a use of the secret after the broker's return")


def test_9_after_the_delete_nothing_is_left(story, new_sandbox, mesh, upstream):
    gone = story.sandbox
    files = mesh.state / "node" / "sandboxes" / gone.id
    assert files.is_dir()
    ours = machine.with_open(files)
    assert ours, "the sandbox's VM was to be seen before"
    machine.mark_namespace(ours[0], gone.id)
    assert machine.marked(f"{mesh.stage}-s", gone.id), "the sandbox's slot was to be seen before"

    def deleted() -> bool:
        try:
            gone.delete()
        except grpc.RpcError as e:
            # The broker was away a moment ago, and the scheduler may not have looked again since.
            assert e.code() is grpc.StatusCode.UNAVAILABLE, e
            return False
        return True

    eventually(deleted, "its delete")
    eventually(lambda: not any(machine.alive(pid) for pid in ours), f"the end of {ours}")
    eventually(lambda: not files.exists(), f"the end of {files}")
    eventually(lambda: not machine.marked(f"{mesh.stage}-s", gone.id), "the end of its slot")
    with pytest.raises(grpc.RpcError):
        gone.run("true")
    upstream.mark()
    heir = new_sandbox(egress=policy(BOUND, ALLOWED))
    answer = curl(heir, f"https://{BOUND}/headers", "-H", f"Authorization: Bearer {story.placeholder}")
    assert (answer.status, answer.reason) == (403, "placeholder_foreign"), answer
    assert upstream.received() == []
    story.events.expect("its end", type=audit_pb2.AUDIT_EVENT_TYPE_CHANGE)
