"""The URL of every port of a sandbox: HTTP/1.1, HTTP/2 and WebSockets through the edge to what listens in the guest. How requests
are parsed, byte for byte, is tested in edge-gateway; here are real guests."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cofferdam.v1 import port_key_pb2, sandbox_pb2
from cofferdam_e2e.mesh import API_SCOPES, CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

LARGE = 32 << 20
PORT = 8080

# In the guest: says back what it was asked, counts what it is sent, streams what it is told, and echoes on WebSockets.
SERVER = r"""
import base64, hashlib, http.server, json, os, struct, sys

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        left = int(self.headers.get("content-length", 0))
        while left:
            piece = self.rfile.read(min(left, 65536))
            left -= len(piece)
            yield piece

    def do_POST(self):
        digest, count = hashlib.sha256(), 0
        for piece in self.body():
            digest.update(piece)
            count += len(piece)
        self.say(f"{count} {digest.hexdigest()}".encode())

    def say(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", "a=b; Domain=localhost; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("upgrade") == "websocket":
            return self.socket()
        if self.path == "/large":
            self.send_response(200)
            self.send_header("content-length", str(LARGE))
            self.end_headers()
            for _ in range(LARGE // 65536):
                self.wfile.write(bytes(range(256)) * 256)
            return
        if self.path == "/events":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for number in range(3):
                self.wfile.write(f"data: {number}\n\n".encode())
                self.wfile.flush()
                # The next one is sent once the client has said that it has this one.
                open("/tmp/seen").read()
            self.close_connection = True
            return
        self.say(json.dumps({"path": self.path, "headers": self.headers.items()}).encode())

    def socket(self):
        accept = hashlib.sha1((self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(accept).decode())
        self.end_headers()
        self.wfile.flush()
        while True:
            kind, size = self.rfile.read(2)
            size &= 127
            if size == 126:
                size, = struct.unpack(">H", self.rfile.read(2))
            elif size == 127:
                size, = struct.unpack(">Q", self.rfile.read(8))
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            head = bytes([kind]) + (bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size))
            self.wfile.write(head + data)
            self.wfile.flush()
            if kind & 15 == 8:
                self.close_connection = True
                return

    def log_message(self, *_):
        pass

LARGE = int(sys.argv[1])
os.mkfifo("/tmp/seen")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Page)
server.daemon_threads = True
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def serving(tenant) -> Iterator[Sandbox]:
    sandbox = Sandbox.create(tenant)
    sandbox.write("/root/pages.py", SERVER.encode())
    server = sandbox.start("python3", "/root/pages.py", str(LARGE))
    server.until(b"ready")
    yield sandbox
    sandbox.delete()


def domain() -> tuple[str, int]:
    host, port = os.environ["COFFERDAM_PORTS_DOMAIN"].split(":")
    return host, int(port)


def authority(sandbox: Sandbox, port: int = PORT) -> str:
    host, listening = domain()
    return f"{port}-{sandbox.id}.{host}:{listening}"


class Browser(http.client.HTTPConnection):
    """A connection to the edge, as a browser makes it for names that end in `.localhost`: to this machine."""

    def __init__(self, sandbox: Sandbox, port: int = PORT, token: str | None = None):
        super().__init__("127.0.0.1", domain()[1], timeout=CALL_SECONDS)
        self.own = {"Host": authority(sandbox, port)}
        if token != "":
            self.own["Authorization"] = f"Bearer {token or sandbox.tenant.token}"

    def ask(self, method: str, path: str, body=None, **headers: str) -> http.client.HTTPResponse:
        self.request(method, path, body, self.own | headers, encode_chunked=not isinstance(body, (bytes, type(None))))
        return self.getresponse()


def test_a_page_is_asked_for_as_it_was(serving):
    browser = Browser(serving)
    answer = browser.ask("GET", "/a//b?c=%20d", **{"X-Forwarded-For": "6.6.6.6"})
    assert answer.status == 200
    assert answer.getheader("set-cookie") == "a=b; Path=/", "a cookie for all sandboxes of the domain"
    asked = json.loads(answer.read())
    assert asked["path"] == "/a//b?c=%20d"
    headers = {name.lower(): value for name, value in asked["headers"]}
    assert headers["host"] == headers["x-forwarded-host"] == authority(serving)
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "authorization" not in headers
    assert serving.tenant.token not in json.dumps(asked)
    # The same connection again.
    assert json.loads(browser.ask("GET", "/second").read())["path"] == "/second"


def test_who_may_see_it(mesh, serving, new_token, other_tenant):
    for token, expected in (
        ("", 401),
        ("cfd_nobody", 401),
        (other_tenant.token, 404),
        (new_token("default", [scope for scope in API_SCOPES if scope != "ports"]), 403),
        (new_token("default", ["ports"]), 200),
    ):
        answer = Browser(serving, token=token).ask("GET", "/")
        assert answer.status == expected, (answer.status, answer.read())


def test_large_bodies_both_ways(serving):
    block = bytes(range(256)) * 256
    expected = f"{LARGE} {hashlib.sha256(block * (LARGE // len(block))).hexdigest()}"
    assert Browser(serving).ask("POST", "/", block * (LARGE // len(block))).read().decode() == expected
    pieces = (block for _ in range(LARGE // len(block)))
    assert Browser(serving).ask("POST", "/", pieces, **{"Transfer-Encoding": "chunked"}).read().decode() == expected
    assert hashlib.sha256(Browser(serving).ask("GET", "/large").read()).hexdigest() == expected.split()[1]


def test_events_come_one_by_one(serving):
    answer = Browser(serving).ask("GET", "/events")
    for number in range(3):
        assert answer.readline() == b"data: %d\n" % number
        assert answer.readline() == b"\n"
        serving.output("echo > /tmp/seen")
    assert answer.read() == b""


def websocket(sandbox: Sandbox, token: str | None = None):
    return connect(
        f"ws://{authority(sandbox)}/",
        sock=socket.create_connection(("127.0.0.1", domain()[1]), CALL_SECONDS),
        additional_headers={"Authorization": f"Bearer {token or sandbox.tenant.token}"},
        open_timeout=CALL_SECONDS,
        compression=None,
    )


def test_websockets(serving):
    with websocket(serving) as client:
        for message in ("one", b"two", "x" * 5000):
            client.send(message)
            assert client.recv(timeout=CALL_SECONDS) == message
    with pytest.raises(InvalidStatus) as refused:
        websocket(serving, "cfd_nobody")
    assert refused.value.response.status_code == 401


def test_http2(serving):
    """curl speaks it without TLS when it is told that the server does."""
    body = "x" * 100_000
    command = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", str(CALL_SECONDS), "--connect-to", f"::127.0.0.1:{domain()[1]}"]
    command += ["--header", "@-", "--write-out", " %{http_version} %{http_code}", "--data", body, f"http://{authority(serving)}/"]
    answer = subprocess.run(command, input=f"Authorization: Bearer {serving.tenant.token}\n", capture_output=True, text=True)
    assert answer.stdout == f"{len(body)} {hashlib.sha256(body.encode()).hexdigest()} 2 200", answer


def test_a_port_that_nobody_listens_on(serving):
    answer = Browser(serving, 81).ask("GET", "/")
    assert (answer.status, answer.getheader("cofferdam-error")) == (502, "PORT_CLOSED")
    assert Browser(serving, 1024).ask("GET", "/").status == 400, "the agent's own port"


def test_many_at_once(serving):
    def ask(number: int) -> bool:
        browser = Browser(serving)
        return all(json.loads(browser.ask("GET", f"/{number}/{turn}").read())["path"] == f"/{number}/{turn}" for turn in range(3))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(32)))


def test_a_request_wakes_its_sandbox_and_is_answered_by_it(tenant, serving):
    """All of them: those that come while it wakes wait with the first."""
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=serving.id), timeout=CALL_SECONDS)

    def state() -> int:
        return tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=serving.id), timeout=CALL_SECONDS).state

    assert state() == sandbox_pb2.SANDBOX_STATE_SUSPENDED
    assert Browser(serving, token="").ask("GET", "/").status == 401
    assert state() == sandbox_pb2.SANDBOX_STATE_SUSPENDED, "nobody without a token wakes it"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: Browser(serving).ask("POST", "/", b"x" * number).read().decode(), range(1, 5)))
    assert answers == [f"{number} {hashlib.sha256(b'x' * number).hexdigest()}" for number in range(1, 5)]
    eventually(lambda: state() == sandbox_pb2.SANDBOX_STATE_RUNNING, "a sandbox that runs")


def share(sandbox: Sandbox, port: int = PORT, **options) -> port_key_pb2.CreatePortKeyResponse:
    request = port_key_pb2.CreatePortKeyRequest(sandbox=sandbox.id, port=port, **options)
    return sandbox.tenant.port_keys.CreatePortKey(request, timeout=CALL_SECONDS)


def take_back(sandbox: Sandbox, key: port_key_pb2.CreatePortKeyResponse):
    sandbox.tenant.port_keys.DeletePortKey(port_key_pb2.DeletePortKeyRequest(id=key.key.id), timeout=CALL_SECONDS)


def test_a_link_becomes_a_cookie_and_is_taken_back(serving):
    key = share(serving)
    landing = Browser(serving, token="").ask("GET", f"/page?a=b&cofferdam_key={key.secret}", Accept="text/html")
    assert (landing.status, landing.getheader("location")) == (303, f"http://{authority(serving)}/page?a=b")
    cookie = landing.getheader("set-cookie").split(";")[0]
    asked = Browser(serving, token="").ask("GET", "/page?a=b", Cookie=f"mine=1; {cookie}").read().decode()
    assert {"path": "/page?a=b", "cookie": "mine=1"} == {"path": json.loads(asked)["path"], "cookie": dict(json.loads(asked)["headers"])["Cookie"]}
    assert key.secret not in asked
    other = Browser(serving, token="")
    other.own["Host"] = authority(serving, PORT + 1)
    assert other.ask("GET", "/", Cookie=cookie).status == 401, "the cookie of one port at another"
    assert Browser(serving, token="").ask("GET", "/", Cookie=cookie, Origin="http://evil.example").status == 403
    take_back(serving, key)
    for headers in ({"Cookie": cookie}, {"Authorization": f"Bearer {key.secret}"}):
        assert Browser(serving, token="").ask("GET", "/", **headers).status == 401
    assert Browser(serving, token="").ask("GET", f"/?cofferdam_key={key.secret}").status == 401


def test_a_port_for_everybody(serving):
    assert Browser(serving, token="").ask("GET", "/").status == 401
    key = share(serving, public=True)
    assert Browser(serving, token="").ask("GET", "/").status == 200
    assert Browser(serving, PORT + 1, token="").ask("GET", "/").status == 401
    take_back(serving, key)
    assert Browser(serving, token="").ask("GET", "/").status == 401


def test_the_last_of_its_sandbox(new_sandbox):
    sandbox = new_sandbox()
    sandbox.delete()
    answer = Browser(sandbox).ask("GET", "/")
    assert (answer.status, answer.getheader("cofferdam-error")) == (503, "SANDBOX_NOT_RUNNING")
