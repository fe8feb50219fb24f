"""A sandbox as a test uses it: run a command, keep a process attached, move files."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from google.protobuf import duration_pb2

from cofferdam.v1 import file_pb2, policy_pb2, process_pb2, sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS, Tenant

CHUNK = 32 * 1024


def policy(*hosts: str, ports: tuple[int, ...] = (), rules: tuple = ()) -> policy_pb2.EgressPolicy:
    allowed = [policy_pb2.EgressRule(host=host, ports=ports, action=policy_pb2.RULE_ACTION_ALLOW) for host in hosts]
    return policy_pb2.EgressPolicy(rules=[*allowed, *rules])


@dataclass
class Completed:
    exit_code: int
    signal: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode()

    def __str__(self) -> str:
        return f"exit {self.exit_code}, signal {self.signal}\n{self.stdout.decode(errors='replace')}\n{self.stderr.decode(errors='replace')}"


class Attached:
    """An open stream to a process. Output is collected with its offsets checked: a gap or a repeat is an error."""

    def __init__(self, start, first, *, stdout_offset: int = 0, stderr_offset: int = 0, message=process_pb2.StartProcessRequest):
        self._requests: queue.Queue = queue.Queue()
        self._message = message
        self._requests.put(first)
        self._events = start(iter(self._requests.get, None), timeout=20 * CALL_SECONDS)
        self.process = ""
        self.pid = 0
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.stdout_offset = stdout_offset
        self.stderr_offset = stderr_offset
        self.exited: process_pb2.ProcessExited | None = None

    def send(self, data: bytes) -> None:
        self._requests.put(self._message(stdin=data))

    def close_stdin(self) -> None:
        self._requests.put(self._message(close_stdin=process_pb2.CloseStdin()))

    def resize(self, rows: int, columns: int) -> None:
        self._requests.put(self._message(resize=process_pb2.TerminalSize(rows=rows, columns=columns)))

    def events(self) -> Iterator[process_pb2.ProcessEvent]:
        """Ends after the exit, with grpc.RpcError when the stream broke."""
        for event in self._events:
            match event.WhichOneof("event"):
                case "started":
                    self.process, self.pid = event.started.process, event.started.pid
                case "stdout":
                    self.stdout_offset = _append(self.stdout, self.stdout_offset, event.stdout)
                case "stderr":
                    self.stderr_offset = _append(self.stderr, self.stderr_offset, event.stderr)
                case "exited":
                    self.exited = event.exited
            yield event

    def until(self, text: bytes) -> None:
        """Reads on until stdout holds text."""
        if text in self.stdout:
            return
        for _ in self.events():
            if text in self.stdout:
                return
        raise AssertionError(f"{text!r} never came; the process ended with {self.exited} after {bytes(self.stdout)[-2000:]!r}")

    def wait(self) -> Completed:
        for _ in self.events():
            pass
        assert self.exited is not None, "the stream ended without an exit"
        self.close()
        return Completed(self.exited.exit_code, self.exited.signal, bytes(self.stdout), bytes(self.stderr))

    def close(self) -> None:
        """Leaves the process alone: only the stream ends."""
        self._requests.put(None)
        self._events.cancel()


def _append(output: bytearray, offset: int, chunk: process_pb2.OutputChunk) -> int:
    assert chunk.offset == offset, f"a chunk at offset {chunk.offset}, expected {offset}"
    output += chunk.data
    return offset + len(chunk.data)


@dataclass
class Sandbox:
    tenant: Tenant
    record: sandbox_pb2.Sandbox
    attached: list[Attached] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.record.id

    @staticmethod
    def create(tenant: Tenant, *, secrets=(), egress=None, env=None, labels=None, lifetime=0, request_id="", size=None, template="", snapshot="", volumes=None, disk_source="") -> "Sandbox":
        request = sandbox_pb2.CreateSandboxRequest(
            request_id=request_id,
            template=template,
            snapshot=snapshot,
            size=size,
            env=env or {},
            secrets=[sandbox_pb2.SecretReference(secret=name, env=variable) for name, variable in secrets],
            egress_policy=egress,
            lifetime=duration_pb2.Duration(seconds=lifetime) if lifetime else None,
            labels=labels or {},
            volumes=volumes or {},
            disk_source=disk_source,
        )
        return Sandbox(tenant, tenant.sandboxes.CreateSandbox(request, timeout=2 * CALL_SECONDS))

    def delete(self) -> None:
        for stream in self.attached:
            stream.close()
        self.tenant.sandboxes.DeleteSandbox(sandbox_pb2.DeleteSandboxRequest(sandbox=self.id), timeout=CALL_SECONDS)

    def start(self, *argv: str, **spec) -> Attached:
        first = process_pb2.StartProcessRequest(sandbox=self.id, spec=process_pb2.ProcessSpec(argv=argv, **spec))
        stream = Attached(self.tenant.processes.StartProcess, first)
        self.attached.append(stream)
        return stream

    def attach(self, process: str, stdout_offset: int = 0, stderr_offset: int = 0) -> Attached:
        point = process_pb2.AttachPoint(process=process, stdout_offset=stdout_offset, stderr_offset=stderr_offset)
        stream = Attached(
            self.tenant.processes.AttachProcess,
            process_pb2.AttachProcessRequest(sandbox=self.id, point=point),
            stdout_offset=stdout_offset,
            stderr_offset=stderr_offset,
            message=process_pb2.AttachProcessRequest,
        )
        self.attached.append(stream)
        return stream

    def run(self, *argv: str, stdin: bytes = b"", **spec) -> Completed:
        stream = self.start(*argv, **spec)
        for at in range(0, len(stdin), CHUNK):
            stream.send(stdin[at : at + CHUNK])
        stream.close_stdin()
        return stream.wait()

    def sh(self, script: str, **spec) -> Completed:
        return self.run("/bin/sh", "-c", script, **spec)

    def output(self, script: str, **spec) -> str:
        """Of a script that must succeed, without surrounding white space."""
        done = self.sh(script, **spec)
        assert done.exit_code == 0 and done.signal == 0, f"{script}: {done}"
        return done.text.strip()

    def write(self, path: str, data: bytes, *, mode: int = 0, make_parents: bool = False) -> int:
        def messages():
            target = file_pb2.WriteFileTarget(path=path, mode=mode, make_parents=make_parents)
            yield file_pb2.WriteFileRequest(sandbox=self.id, target=target)
            for at in range(0, len(data), CHUNK):
                yield file_pb2.WriteFileRequest(data=data[at : at + CHUNK])

        return self.tenant.files.WriteFile(messages(), timeout=CALL_SECONDS).size

    def read(self, path: str, *, offset: int = 0, length: int = 0) -> bytes:
        request = file_pb2.ReadFileRequest(sandbox=self.id, path=path, offset=offset, length=length)
        data = bytearray()
        for piece in self.tenant.files.ReadFile(request, timeout=5 * CALL_SECONDS):
            assert piece.offset == offset + len(data), f"a piece at {piece.offset}, expected {offset + len(data)}"
            data += piece.data
        return bytes(data)

    def lives(self) -> bool:
        try:
            return self.run("true").exit_code == 0
        except grpc.RpcError:
            return False
