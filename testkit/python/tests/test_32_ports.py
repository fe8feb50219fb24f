"""Connections to TCP ports in a sandbox, through scheduler and node, both relaying what they do not read."""

import concurrent.futures
import hashlib
import http.client
import os
import queue
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from test_20_bad_input import refused

from cofferdam.v1 import port_pb2
from cofferdam_e2e.mesh import API_SCOPES, CALL_SECONDS, Refusal, Tenant
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

COMMAND = Path(os.environ["COFFERDAM_ROOT"]) / "cofferdam"
CHUNK = 64 * 1024
LARGE = 64 << 20
# What a service may grow by while it relays LARGE: buffers of two connections, never the stream.
GROWTH = 24 << 20

# In the guest: each port does one thing, told by the name of its function.
SERVER = r"""
import http.server, socket, socketserver, struct, sys, threading, hashlib

def echo(c):
    while data := c.recv(65536):
        c.sendall(data)
    c.shutdown(socket.SHUT_WR)

def answer_at_the_end(c):
    digest, count = hashlib.sha256(), 0
    while data := c.recv(65536):
        digest.update(data)
        count += len(data)
    c.sendall(f"{count} {digest.hexdigest()}".encode())

def end_first(c):
    c.sendall(b"that is all")
    c.shutdown(socket.SHUT_WR)
    rest = b""
    while data := c.recv(65536):
        rest += data
    open("/tmp/rest", "wb").write(rest)

def source(c):
    block = bytes(range(256)) * 256
    for _ in range(1024):
        c.sendall(block)

def break_off(c):
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

def held(c):
    count = 0
    c.settimeout(1)
    try:
        while count < 64 << 20:
            count += c.send(b"x" * 65536)
    except TimeoutError:
        pass
    open("/tmp/held", "w").write(str(count))

def outcome(c):
    try:
        while c.recv(65536):
            pass
        text = "ended"
    except ConnectionResetError:
        text = "reset"
    open("/tmp/outcome", "a").write(text + "\n")

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.act(self.request)
        self.request.close()

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 64
    def shutdown_request(self, request):
        pass

class Six(Server):
    address_family = socket.AF_INET6

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])
    def log_message(self, *_):
        pass

PORTS = {7: echo, 8: answer_at_the_end, 13: end_first, 19: source, 20: break_off, 21: outcome, 22: held}
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Page)]
for port, act in PORTS.items():
    server = Server(("127.0.0.1", port), Handler)
    server.act = act
    servers.append(server)
six = Six(("::1", 6), Handler)
six.act = echo
servers.append(six)
link = Server((sys.argv[1], 90), Handler)
link.act = echo
servers.append(link)
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""


class Connection:
    """A stream as a client holds it. `read` collects up to the end of the guest's direction."""

    def __init__(self, sandbox: Sandbox, port: int, tenant: Tenant | None = None):
        self._requests: queue.Queue = queue.Queue(maxsize=16)
        self._requests.put(port_pb2.ForwardRequest(sandbox=sandbox.id, port=port))
        stub = (tenant or sandbox.tenant).ports
        self._answers = stub.Forward(iter(self._requests.get, None), timeout=10 * CALL_SECONDS)

    def connected(self) -> "Connection":
        assert next(self._answers) == port_pb2.ForwardResponse(), "the first answer only says that the connection is made"
        return self

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            self._requests.put(port_pb2.ForwardRequest(data=data[at : at + CHUNK]))

    def end(self) -> None:
        self._requests.put(None)

    def next(self) -> port_pb2.ForwardResponse:
        return next(self._answers)

    def read(self) -> bytes:
        data = bytearray()
        for answer in self._answers:
            assert len(answer.data) <= CHUNK
            data += answer.data
            if answer.end:
                return bytes(data)
        raise AssertionError("the stream ended before the guest's direction had")

    def closed(self) -> None:
        assert list(self._answers) == []

    def leave(self) -> None:
        self._answers.cancel()
        try:
            self._requests.put_nowait(None)
        except queue.Full:
            pass

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self.leave()


def serve(sandbox: Sandbox) -> None:
    sandbox.write("/root/server.py", SERVER.encode())
    address = sandbox.output("ip -4 -o addr show eth0 | grep -oE 'inet [0-9.]+' | cut -d' ' -f2")
    server = sandbox.start("python3", "/root/server.py", address)
    server.until(b"ready")


@pytest.fixture(scope="module")
def serving(tenant) -> Iterator[Sandbox]:
    sandbox = Sandbox.create(tenant)
    serve(sandbox)
    yield sandbox
    sandbox.delete()


@contextmanager
def forwarding(sandbox: Sandbox, ports: str, **env: str):
    """`cofferdam sandbox forward`, and the port it listens on."""
    command = [COMMAND, "sandbox", "forward", sandbox.id, ports]
    process = subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        found = re.match(rf"127\.0\.0\.1:(\d+) leads to port \d+ of {sandbox.id}$", line)
        assert found, (line, process.poll())
        yield int(found[1]), process
    finally:
        process.terminate()
        process.communicate(timeout=CALL_SECONDS)


def test_either_side_may_end_first(serving):
    with Connection(serving, 8) as first:
        first.connected().send(b"x" * 100_000)
        first.end()
        assert first.read() == b"100000 " + hashlib.sha256(b"x" * 100_000).hexdigest().encode()
        first.closed()
    with Connection(serving, 13) as second:
        assert second.connected().read() == b"that is all"
        second.send(b"one more thing")
        second.end()
        second.closed()
    eventually(lambda: serving.output("cat /tmp/rest") == "one more thing", "what the client sent after the guest's end")


def test_the_second_loopback_address(serving):
    with Connection(serving, 6) as connection:
        connection.connected().send(b"six")
        connection.end()
        assert connection.read() == b"six"


def test_http_with_many_connections_at_once(serving):
    with forwarding(serving, "0:8080") as (port, _):

        def post(number: int) -> bool:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
            body = f"{number} ".encode() * 1000
            for _ in range(3):
                client.request("POST", "/", body)
                if client.getresponse().read() != body[::-1]:
                    return False
            client.close()
            return True

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            assert all(pool.map(post, range(40)))


def test_large_streams_arrive_whole_and_nobody_on_the_way_keeps_them(serving, host):
    services = ("scheduler-svc", "node-agent", "node-helper")
    block = bytes(range(256)) * 256

    def down() -> str:
        digest, count = hashlib.sha256(), 0
        with Connection(serving, 19) as connection:
            connection.connected()
            while True:
                answer = connection.next()
                if answer.end:
                    return f"{count} {digest.hexdigest()}"
                digest.update(answer.data)
                count += len(answer.data)

    def up() -> str:
        with Connection(serving, 8) as connection:
            connection.connected()
            for _ in range(LARGE // CHUNK):
                connection.send(block)
            connection.end()
            return connection.read().decode()

    expected = f"{LARGE} {hashlib.sha256(block * (LARGE // len(block))).hexdigest()}"
    assert down() == expected  # Warm: the first streams load classes and grow pools.
    before = {name: anonymous(host.pid(name)) for name in services}
    assert up() == expected
    assert down() == expected
    after = {name: anonymous(host.pid(name)) for name in services}
    grown = {name: after[name] - before[name] for name in services if after[name] - before[name] > GROWTH}
    assert not grown, f"{grown} more than before, in bytes, after {LARGE} bytes each way"


def test_a_reader_that_stops_holds_the_guest_back(serving):
    with Connection(serving, 22) as connection:
        connection.connected()
        held = int(eventually(lambda: serving.sh("cat /tmp/held").text.strip(), "a guest that has to wait with its next byte"))
        assert held < LARGE // 4, "all that lies between the guest and a client that reads nothing"
        assert len(connection.read()) == held


def anonymous(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024


def test_a_port_that_nobody_listens_on(serving):
    with refused("FAILED_PRECONDITION", "PORT_CLOSED"), Connection(serving, 81) as connection:
        connection.connected()
    with forwarding(serving, "0:81") as (port, process):
        with socket.create_connection(("127.0.0.1", port)) as client, pytest.raises(ConnectionResetError):
            client.recv(1)
        assert process.stderr.readline().startswith("cofferdam: PORT_CLOSED: ")
        assert process.poll() is None


@pytest.mark.parametrize("port", [0, 1024, 65536 + 8080, 2**32 - 1])
def test_what_is_no_port_of_the_guest(serving, port):
    with refused("INVALID_ARGUMENT", "INVALID_ARGUMENT"), Connection(serving, port) as connection:
        connection.connected()


def test_a_connection_that_breaks_tells_the_other_side(serving):
    with Connection(serving, 20) as connection:
        connection.connected().send(b"x")
        with refused("ABORTED", "CONNECTION_RESET"):
            connection.read()
    for leave, outcome in ((Connection.leave, "reset"), (Connection.end, "ended")):
        serving.output("rm -f /tmp/outcome")
        with Connection(serving, 21) as connection:
            connection.connected().send(b"half")
            leave(connection)
            eventually(lambda: serving.sh("cat /tmp/outcome").text.strip() == outcome, f"a guest that sees its connection {outcome}")


def test_only_the_guests_own_loopback_is_reached(serving):
    """The agent's other clients' way in, and whatever listens on the guest's address, stays out of reach."""
    assert serving.output("python3 -c \"import socket; s = socket.create_connection(('$(ip -4 -o addr show eth0 | grep -oE 'inet [0-9.]+' | cut -d' ' -f2)', 90)); s.sendall(b'x'); print(s.recv(1))\"") == "b'x'"
    with refused("FAILED_PRECONDITION", "PORT_CLOSED"), Connection(serving, 90) as connection:
        connection.connected()


def test_who_may_reach_a_port(mesh, serving, new_token, other_tenant):
    with refused("NOT_FOUND", "SANDBOX_NOT_FOUND"), Connection(serving, 7, other_tenant) as connection:
        connection.connected()
    for scopes, expected in (
        ([scope for scope in API_SCOPES if scope != "ports"], Refusal("PERMISSION_DENIED", "SCOPE_MISSING")),
        (["ports"], None),
    ):
        owner = Tenant(mesh, new_token("default", scopes), mesh.secrets_token)
        try:
            with Connection(serving, 7, owner) as connection:
                if expected is None:
                    connection.connected()
                else:
                    with pytest.raises(grpc.RpcError) as caught:
                        connection.connected()
                    assert Refusal.of(caught.value) == expected
        finally:
            owner.close()


def test_a_stream_ends_with_its_sandbox(new_sandbox):
    sandbox = new_sandbox()
    serve(sandbox)
    with Connection(sandbox, 7) as connection:
        connection.connected().send(b"x")
        assert connection.next().data == b"x"
        ended: queue.Queue = queue.Queue()

        def wait() -> None:
            try:
                connection.next()
            except grpc.RpcError as error:
                ended.put(Refusal.of(error))

        threading.Thread(target=wait, daemon=True).start()
        sandbox.delete()
        assert ended.get(timeout=CALL_SECONDS) == Refusal("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING")
    with refused("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING"), Connection(sandbox, 7) as connection:
        connection.connected()
