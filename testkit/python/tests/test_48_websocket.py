"""A WebSocket of a real client in the guest, to a real server outside: a value goes into text messages alone, and comes back in none."""

import io
import json
import os
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

# The one that the SDK of test_61 runs on.
NODE = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam")) / "tools" / "deno-sdk" / "node" / "bin" / "node"
ADDRESS, PORT, HTTP2_PORT = "203.0.113.10", 8443, 8444
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

# Frames of RFC 6455 of less than 64 KiB, for streams of HTTP/2: no client or server that is there for Python or Node 18 has RFC 8441.
FRAMES = """
const http2 = require("http2"), crypto = require("crypto"), fs = require("fs");
function frame(kind, data, masked) {
  const length = data.length < 126 ? [data.length] : [126, data.length >> 8, data.length & 255];
  const head = Buffer.from([0x80 | kind, length[0] | (masked ? 0x80 : 0), ...length.slice(1)]);
  const key = crypto.randomBytes(4);
  return Buffer.concat(masked ? [head, key, data.map((byte, i) => byte ^ key[i % 4])] : [head, data]);
}
function frames(stream, each) {
  let held = Buffer.alloc(0);
  stream.on("data", (more) => {
    held = Buffer.concat([held, more]);
    while (held.length >= 2) {
      const long = (held[1] & 0x7f) === 126, masked = held[1] & 0x80, at = long ? 4 : 2;
      if (held.length < at) return;
      const length = long ? held.readUInt16BE(2) : held[1] & 0x7f, end = at + (masked ? 4 : 0) + length;
      if (held.length < end) return;
      const key = held.subarray(at, at + 4), data = held.subarray(end - length, end);
      each(held[0] & 0x0f, masked ? data.map((byte, i) => byte ^ key[i % 4]) : data);
      held = held.subarray(end);
    }
  });
}
"""
HTTP2_SERVER = (
    FRAMES
    + """
const [, pem, address, port] = process.argv, own = fs.readFileSync(pem);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\\n");
const server = http2.createSecureServer({ cert: own, key: own, settings: { enableConnectProtocol: true } });
server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 200 });
  if (headers[":method"] !== "CONNECT") {
    stream.end("no socket");
    return;
  }
  say({ protocol: headers[":protocol"], path: headers[":path"], extensions: headers["sec-websocket-extensions"] ?? null });
  frames(stream, (kind, data) => {
    if (kind === 1) say({ text: data.toString() });
    stream.write(frame(kind, data, false));
  });
});
server.listen(Number(port), address, () => process.stdout.write("ready\\n"));
"""
)
HTTP2_CLIENT = (
    FRAMES
    + f"""
const messages = JSON.parse(process.argv[2]).map(([kind, text]) => [kind, Buffer.from(text.replaceAll("KEY", process.env.API_KEY))]);
const session = http2.connect("https://{BOUND}:{HTTP2_PORT}");
const before = session.request({{ ":path": "/before" }});
before.resume();
before.on("end", () => {{
  if (!session.remoteSettings.enableConnectProtocol) throw new Error("the gateway takes no WebSockets over HTTP/2");
  const stream = session.request({{
    ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/feed", ":authority": "{BOUND}:{HTTP2_PORT}",
    "sec-websocket-version": "13", "sec-websocket-extensions": "permessage-deflate",
  }});
  const next = () => {{
    if (messages.length > 0) stream.write(frame(...messages.shift(), true));
    else session.destroy();
  }};
  stream.on("response", (headers) => {{
    console.log("status", headers[":status"]);
    next();
  }});
  stream.on("error", (error) => console.log("error", error.code));
  frames(stream, (kind, data) => {{
    if (kind === 8) {{
      console.log("closed", data.readUInt16BE(0), data.subarray(2).toString());
      session.destroy();
    }} else {{
      console.log(data.toString());
      next();
    }}
  }});
}});
"""
)


class Server:
    """Tells what it heard."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def said(self) -> dict:
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def pem(upstream, tmp_path_factory) -> Path:
    """The key and the certificate of a server that the gateway trusts."""
    directory = tmp_path_factory.mktemp("websocket")
    pem, request, names = (directory / name for name in ("server.pem", "server.csr", "server.ext"))
    names.write_text(f"subjectAltName=DNS:{BOUND}\n")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(["openssl", "req", *ec, "-keyout", pem, "-out", request, "-subj", f"/CN={BOUND}"], check=True, capture_output=True)
    ca = ("-CA", upstream.directory / "ca.pem", "-CAkey", upstream.directory / "ca.key", "-set_serial", "0x4801")
    signed = ["openssl", "x509", "-req", "-in", request, *ca, "-days", "2", "-extfile", names]
    with pem.open("ab") as chain:
        chain.write(subprocess.run(signed, check=True, capture_output=True).stdout)
    return pem


def outside(stage, port: int, *program: str) -> Iterator[Server]:
    stage.allow(ADDRESS, port)
    process = subprocess.Popen([SCRIPT, "outside", stage.name, *program, ADDRESS, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield Server(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(stage, pem) -> Iterator[Server]:
    yield from outside(stage, PORT, sys.executable, "-c", SERVER, str(pem))


@pytest.fixture(scope="module")
def http2_server(stage, pem) -> Iterator[Server]:
    yield from outside(stage, HTTP2_PORT, str(NODE), "-e", HTTP2_SERVER, str(pem))


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
    sandbox = Sandbox.create(tenant, secrets=[("feed", "API_KEY")], egress=policy(BOUND, ports=(PORT, HTTP2_PORT)))
    sandbox.write("/tmp/client.tgz", library())
    sandbox.output("tar -C / -xzf /tmp/client.tgz")
    sandbox.write("/opt/client.py", CLIENT.encode())
    sandbox.write("/opt/client.js", HTTP2_CLIENT.encode())
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


def over_http2(sandbox: Sandbox, *messages: tuple[int, str]) -> list[str]:
    done = sandbox.run("node", "/opt/client.js", json.dumps(messages))
    assert done.exit_code == 0, done
    return done.text.splitlines()


def test_over_http2_a_text_message_holds_the_value_and_its_echo_the_placeholder(granted, http2_server, tenant):
    """RFC 8441 on both sides."""
    sandbox, value, placeholder = granted
    events = Events(tenant, sandbox.id).from_now()
    said = over_http2(sandbox, (1, "hello"), (1, '{"auth": "KEY"}'), (1, "x" * 300 + " KEY"))
    assert said == ["status 200", "hello", f'{{"auth": "{placeholder}"}}', "x" * 300 + f" {placeholder}"]
    assert http2_server.said() == {"protocol": "websocket", "path": "/feed", "extensions": None}
    assert [http2_server.said()["text"] for _ in range(3)] == ["hello", f'{{"auth": "{value}"}}', "x" * 300 + f" {value}"]
    use = events.expect("the use", type=USE, verdict=ALLOWED, secret="feed", target="websocket-frame")
    assert (use.host, use.port, use.path) == (BOUND, HTTP2_PORT, "/feed")


@pytest.mark.parametrize("message", [(2, "KEY"), (9, "KEY"), (1, "KEYx")])
def test_over_http2_elsewhere_it_ends_the_stream_and_nothing_of_it_leaves(granted, http2_server, message):
    sandbox, _, _ = granted
    assert over_http2(sandbox, (1, "before"), message) == ["status 200", "before", "closed 1008 placeholder_outside_target"]
    assert http2_server.said() == {"protocol": "websocket", "path": "/feed", "extensions": None}
    assert http2_server.said() == {"text": "before"}


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
    events = Events(tenant, sandbox.id).from_now()
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
        update(tenant, sandbox, policy(BOUND, ports=(PORT, HTTP2_PORT)))


def update(tenant, sandbox: Sandbox, egress: policy_pb2.EgressPolicy) -> None:
    request = sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=egress)
    tenant.sandboxes.UpdateSandboxPolicy(request, timeout=CALL_SECONDS)
