"""The SDK of Deno Sandbox for Python as published, and the public API beside it: one program does both, so that what differs
is the way and not the client's language. Each line that it reads is a way, a task and the task's arguments; each that it
writes is the answer, times in nanoseconds as a list of JSON."""

import io
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

TESTKIT = Path(__file__).resolve().parents[1] / "testkit" / "python"
sys.path[:0] = [str(TESTKIT), str(TESTKIT / "gen")]

from deno_sandbox import DenoDeploy  # noqa: E402

from cofferdam.v1 import file_pb2, sandbox_pb2  # noqa: E402
from cofferdam_e2e.mesh import CALL_SECONDS, Mesh, Tenant  # noqa: E402
from cofferdam_e2e.sandbox import Sandbox, policy  # noqa: E402

HOST = "api.echo.test"
FILE = "/tmp/load"
# The most that the API takes in a message, and what the SDK sends in one.
CHUNK = 64 << 10
# Of an open file: the edge answers what fits into one message.
READ = 1 << 20


def since(begin: int) -> int:
    return time.perf_counter_ns() - begin


def whole(size: int, expected: int) -> None:
    if size != expected:
        raise SystemExit(f"a file of {expected} bytes has {size}")


class Sdk:
    """`sandbox` is the one for all but creates."""

    def __init__(self):
        self.client = DenoDeploy()
        self.stack = ExitStack()
        self.sessions = ExitStack()
        self.idle = []
        self.sandbox = self.stack.enter_context(self.client.sandbox.create(allow_net=[HOST]))

    @property
    def own_id(self) -> str:
        """As the public API has it."""
        return "sb-" + self.sandbox.id[8:].translate(str.maketrans("018", "ilo"))

    def create(self) -> list[int]:
        begin = time.perf_counter_ns()
        with self.client.sandbox.create(allow_net=[HOST]) as sandbox:
            created = since(begin)
            first = sandbox.spawn("echo", args=["ready"], stdout="piped", stderr="null").stdout.read(1)
            total = since(begin)
            assert first == b"r"
        return [total, created]

    def spawn(self, count: str) -> list[int]:
        return [self._spawn(self.sandbox) for _ in range(int(count))]

    @staticmethod
    def _spawn(sandbox) -> int:
        begin = time.perf_counter_ns()
        process = sandbox.spawn("echo", args=["ready"], stdout="piped", stderr="piped")
        status = process.wait()
        output = process.stdout.read()
        total = since(begin)
        assert status["success"] and output == b"ready\n"
        return total

    def upload(self, size: str) -> list[int]:
        data = io.BytesIO(os.urandom(int(size)))
        begin = time.perf_counter_ns()
        self.sandbox.fs.write_file(FILE, data)
        return [since(begin)]

    def download(self, size: str) -> list[int]:
        """By an open file: the SDK has no other way to read one of this size."""
        begin = time.perf_counter_ns()
        read = 0
        with self.sandbox.fs.open(FILE) as file:
            while part := file.read(READ):
                read += len(part)
        total = since(begin)
        whole(read, int(size))
        return [total]

    def output(self, size: str) -> list[int]:
        """By a stream: of the process that prints it."""
        begin = time.perf_counter_ns()
        process = self.sandbox.spawn("cat", args=[FILE], stdout="piped", stderr="null")
        process.wait()
        read = len(process.stdout.read())
        total = since(begin)
        whole(read, int(size))
        return [total]

    def write(self, size: str, count: str) -> list[int]:
        data = os.urandom(int(size))
        begin = time.perf_counter_ns()
        for _ in range(int(count)):
            self.sandbox.fs.write_file(FILE, data)
        return [since(begin)]

    def read(self, size: str, count: str) -> list[int]:
        begin = time.perf_counter_ns()
        for _ in range(int(count)):
            whole(len(self.sandbox.fs.read_file(FILE)), int(size))
        return [since(begin)]

    def connect(self, count: str) -> list[int]:
        """Sessions that stay, each with a connection of its own."""
        times = []
        for _ in range(int(count)):
            begin = time.perf_counter_ns()
            self.idle.append(self.sessions.enter_context(self.client.sandbox.connect(self.sandbox.id)))
            times.append(since(begin))
        return times

    def once(self) -> list[int]:
        """A command by each of them."""
        return [self._spawn(session) for session in self.idle]

    def disconnect(self) -> list[int]:
        times = []
        for session in self.idle:
            begin = time.perf_counter_ns()
            session.close()
            times.append(since(begin))
        self.idle.clear()
        self.sessions.close()
        return times


class Grpc:
    """In the same sandbox."""

    def __init__(self, own_id: str):
        mesh = Mesh.from_environment()
        self.tenant = Tenant(mesh, mesh.token, mesh.secrets_token)
        self.id = own_id
        self.sandbox = Sandbox(self.tenant, sandbox_pb2.Sandbox(id=own_id))

    def create(self) -> list[int]:
        begin = time.perf_counter_ns()
        sandbox = Sandbox.create(self.tenant, egress=policy(HOST))
        created = since(begin)
        process = sandbox.start("echo", "ready")
        process.until(b"r")
        total = since(begin)
        sandbox.delete()
        return [total, created]

    def spawn(self, count: str) -> list[int]:
        return [self._spawn() for _ in range(int(count))]

    def _spawn(self) -> int:
        begin = time.perf_counter_ns()
        done = self.sandbox.start("echo", "ready").wait()
        total = since(begin)
        assert (done.exit_code, done.stdout) == (0, b"ready\n")
        return total

    def upload(self, size: str) -> list[int]:
        data = os.urandom(int(size))
        begin = time.perf_counter_ns()
        self._write(data)
        return [since(begin)]

    def _write(self, data: bytes) -> None:
        def requests():
            yield file_pb2.WriteFileRequest(sandbox=self.id, target=file_pb2.WriteFileTarget(path=FILE))
            for at in range(0, len(data), CHUNK):
                yield file_pb2.WriteFileRequest(data=data[at : at + CHUNK])

        whole(self.tenant.files.WriteFile(requests(), timeout=10 * CALL_SECONDS).size, len(data))

    def download(self, size: str) -> list[int]:
        begin = time.perf_counter_ns()
        self._read(int(size))
        return [since(begin)]

    def output(self, size: str) -> list[int]:
        begin = time.perf_counter_ns()
        read = len(self.sandbox.start("cat", FILE).wait().stdout)
        total = since(begin)
        whole(read, int(size))
        return [total]

    def _read(self, size: int) -> None:
        request = file_pb2.ReadFileRequest(sandbox=self.id, path=FILE)
        whole(sum(len(part.data) for part in self.tenant.files.ReadFile(request, timeout=10 * CALL_SECONDS)), size)

    def write(self, size: str, count: str) -> list[int]:
        data = os.urandom(int(size))
        begin = time.perf_counter_ns()
        for _ in range(int(count)):
            self._write(data)
        return [since(begin)]

    def read(self, size: str, count: str) -> list[int]:
        begin = time.perf_counter_ns()
        for _ in range(int(count)):
            self._read(int(size))
        return [since(begin)]


def main() -> None:
    sdk = Sdk()
    with sdk.stack, sdk.sessions:
        ways = {"sdk": sdk, "grpc": Grpc(sdk.own_id)}
        for line in sys.stdin:
            way, task, *arguments = line.split()
            print(json.dumps(getattr(ways[way], task)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
