"""A WebSocket of a real client in the guest, to a real server outside: a value goes into text messages alone, and comes back in none."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets
from conftest import BOUND

from cofferdam.v1 import audit_pb2, policy_pb2, sandbox_pb2, secret_pb2
from cofferdam_e2e.events import ALLOWED, DECISION, DENIED, USE, Events
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.stage import SCRIPT

ADDRESS, PORT = "203.0.113.10", 8443
SERVER = """
import json, ssl, sys
from websockets.sync.server import serve

def talk(socket):
    print(json.dumps({"extensions": socket.request.headers.get("Sec-WebSocket-Extensions")}), flush=True)
    for message in socket:
        text = message if isinstance(message, str) else message.hex()
        print(json.dumps({"text": text}), flush=True)
        socket.send(message)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
with serve(talk, sys.argv[2], int(sys.argv[3]), ssl=context) as server:
    print("ready", flush=True)
    server.serve_forever()
"""
CLIENT = f"""
import os, sys
sys.path.insert(0, "/opt/client")
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
key = os.environ["API_KEY"]
cut = [key[:9], key[9:30], key[30:]]
with connect("wss://{BOUND}:{PORT}/feed", open_timeout=60) as socket:
    try:
        exec(sys.argv[1])
    except ConnectionClosed as closed:
        print("closed", closed.rcvd.code, closed.rcvd.reason)
"""


class Server:
    """Tells what it heard."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def said(self) -> dict:
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def server(stage, upstream, tmp_path_factory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("websocket")
    pem, request, names = (directory / name for name in ("server.pem", "server.csr", "server.ext"))
    names.write_text(f"subjectAltName=DNS:{BOUND}\n")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(["openssl", "req", *ec, "-keyout", pem, "-out", request, "-subj", f"/CN={BOUND}"], check=True, capture_output=True)
    ca = ("-CA", upstream.directory / "ca.pem", "-CAkey", upstream.directory / "ca.key", "-set_serial", "0x4801")
    signed = ["openssl", "x509", "-req", "-in", request, *ca, "-days", "2", "-extfile", names]
    with pem.open("ab") as chain:
        chain.write(subprocess.run(signed, check=True, capture_output=True).stdout)
    stage.allow(ADDRESS, PORT)
    command = [SCRIPT, "outside", stage.name, sys.executable, "-c", SERVER, pem, ADDRESS, str(PORT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield Server(process)
    finally:
        process.kill()
        process.wait()


def library() -> bytes:
    """The client's, as a tar of /opt/client."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        tar.add(
            Path(websockets.__file__).parent,
            arcname="opt/client/websockets",
            filter=lambda entry: None if "__pycache__" in entry.name else entry,
        )
    return whole.getvalue()


@pytest.fixture(scope="module")
def granted(tenant, canary):
    value = canary.value()
    binding = secret_pb2.SecretBinding(hosts=[BOUND], targets=["websocket-frame"], occurrences=2)
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(name="feed", value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
    )
    sandbox = Sandbox.create(tenant, secrets=[("feed", "API_KEY")], egress=policy(BOUND, ports=(PORT,)))
    sandbox.write("/tmp/client.tgz", library())
    sandbox.output("tar -C / -xzf /tmp/client.tgz")
    sandbox.write("/opt/client.py", CLIENT.encode())
    yield sandbox, value, sandbox.output("echo $API_KEY")
    sandbox.delete()
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name="feed"), timeout=CALL_SECONDS)


def client(sandbox: Sandbox, code: str) -> str:
    done = sandbox.run("python3", "/opt/client.py", code)
    assert done.exit_code == 0, done
    return done.text.strip()


def test_a_text_message_holds_the_value_and_its_echo_the_placeholder(granted, server, tenant):
    sandbox, value, placeholder = granted
    events = Events(tenant, sandbox.id)
    code = """
socket.send("hello")
print(socket.recv())
socket.send('{"auth": "' + key + '"}')
print(socket.recv())
socket.send(cut)
print(socket.recv())
"""
    assert client(sandbox, code).splitlines() == ["hello", f'{{"auth": "{placeholder}"}}', placeholder]
    # What is packed could not be searched, so it is not asked for.
    assert server.said() == {"extensions": None}
    assert [server.said()["text"] for _ in range(3)] == ["hello", f'{{"auth": "{value}"}}', value]
    for _ in range(2):
        use = events.expect("the use", type=USE, verdict=ALLOWED, secret="feed", target="websocket-frame")
        assert (use.host, use.port, use.path) == (BOUND, PORT, "/feed")
    assert len(events.all(type=USE)) == 2
    whole = events.expect("the connection", type=DECISION, path="/feed", status=101)
    assert (whole.verdict, whole.secret, whole.target) == (ALLOWED, "feed", "websocket-frame")


@pytest.mark.parametrize(
    "code, reason",
    [
        ("socket.send(key.encode())", "placeholder_outside_target"),
        ("socket.send([part.encode() for part in cut])", "placeholder_outside_target"),
        ("socket.ping(key)", "placeholder_outside_target"),
        ("socket.send(key.replace('_', chr(92) + 'u005f'))", "placeholder_outside_target"),
        ("socket.send(key + 'x')", "placeholder_outside_target"),
        ("socket.send('cofferdam_' + 'x' * 43)", "placeholder_foreign"),
        ("socket.send(' '.join([key] * 3))", "placeholder_too_often"),
    ],
)
def test_elsewhere_it_ends_the_connection_and_nothing_of_it_leaves(granted, server, tenant, code, reason):
    sandbox, _, _ = granted
    events = Events(tenant, sandbox.id)
    events.read()
    assert client(sandbox, f"socket.send('before'); print(socket.recv())\n{code}\nsocket.recv()").splitlines() == [
        "before",
        f"closed 1008 {reason}",
    ]
    assert server.said() == {"extensions": None}
    assert server.said() == {"text": "before"}
    named = audit_pb2.EgressReason.Value(f"EGRESS_REASON_{reason.upper()}")
    events.expect("the refusal", type=DECISION, verdict=DENIED, status=101, reason=named)


def test_under_a_rule_on_single_requests_none_begins(granted, server, tenant):
    sandbox, _, _ = granted
    assert client(sandbox, "print('open')") == "open"
    assert server.said() == {"extensions": None}
    rule = policy_pb2.EgressRule(host=BOUND, ports=[PORT], http=policy_pb2.HttpMatch(methods=["GET"]))
    update(tenant, sandbox, policy_pb2.EgressPolicy(rules=[rule]))
    try:
        refused = sandbox.run("python3", "/opt/client.py", "print('open')")
        assert refused.exit_code != 0
        assert b"HTTP 403" in refused.stderr, refused
    finally:
        update(tenant, sandbox, policy(BOUND, ports=(PORT,)))


def update(tenant, sandbox: Sandbox, egress: policy_pb2.EgressPolicy) -> None:
    request = sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=egress)
    tenant.sandboxes.UpdateSandboxPolicy(request, timeout=CALL_SECONDS)
