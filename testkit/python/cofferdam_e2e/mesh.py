"""The mesh under test, as its environment describes it, and calls to it on behalf of a tenant."""

import os
import secrets
import shlex
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cofferdam.v1 import (
    audit_pb2_grpc,
    file_pb2_grpc,
    port_key_pb2_grpc,
    port_pb2_grpc,
    process_pb2_grpc,
    sandbox_pb2_grpc,
    secret_pb2_grpc,
    snapshot_pb2_grpc,
    template_pb2_grpc,
    token_pb2_grpc,
    volume_pb2_grpc,
)

# Long enough for a machine without hardware virtualisation, short enough to end a hung run.
CALL_SECONDS = 60

# Everything a client may need, in the words of token.proto.
API_SCOPES = ("sandboxes:read", "sandboxes:write", "exec", "files", "ports", "secrets:use", "secrets:read", "audit:read")


@dataclass(frozen=True)
class Mesh:
    """Where the mesh listens and where its parts lie."""

    api: str
    broker: str
    authority: Path
    token: str
    secrets_token: str
    state: Path
    stage: str
    upstream: Path
    # The command that started the mesh.
    up: str

    @staticmethod
    def from_environment() -> "Mesh":
        names = ("API", "BROKER", "CA", "TOKEN", "SECRETS_TOKEN", "STATE", "STAGE", "UPSTREAM_DIR", "UP")
        missing = [f"COFFERDAM_{name}" for name in names if not os.environ.get(f"COFFERDAM_{name}")]
        if missing:
            raise SystemExit(f"not set: {', '.join(missing)}; testkit/run.sh sets them")
        found = {name: os.environ[f"COFFERDAM_{name}"] for name in names}
        return Mesh(
            api=_address(found["API"]),
            broker=_address(found["BROKER"]),
            authority=Path(found["CA"]),
            token=found["TOKEN"],
            secrets_token=found["SECRETS_TOKEN"],
            state=Path(found["STATE"]),
            stage=found["STAGE"],
            upstream=Path(found["UPSTREAM_DIR"]),
            up=found["UP"],
        )

    def start(self, **changed: str) -> subprocess.CompletedProcess:
        """Starts the mesh again, as its operator does, with some options changed."""
        command = shlex.split(self.up)
        for option, value in changed.items():
            command[command.index(f"--{option}") + 1] = value
        # The launcher keeps its environment for life, and the canary must be nowhere.
        environment = {name: value for name, value in os.environ.items() if name != "COFFERDAM_CANARY"}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def channel(self, address: str, token: str | None = None) -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(self.authority.read_bytes())
        if token is not None:
            credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
        return grpc.secure_channel(address, credentials, _channel_options())

    def operator_channel(self, address: str) -> grpc.Channel:
        operator = self.state / "operator"
        return grpc.secure_channel(
            address,
            grpc.ssl_channel_credentials(
                self.authority.read_bytes(),
                (operator / "operator.key").read_bytes(),
                (operator / "operator.pem").read_bytes(),
            ),
            _channel_options(),
        )


def _address(text: str) -> str:
    return text.split("://", 1)[-1].rstrip("/")


def _channel_options() -> list[tuple[str, object]]:
    return [
        # A killed service is back within seconds; the default backoff would hide that for a minute.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # This one bounds an attempt: a TLS handshake on a busy machine takes its time.
        ("grpc.min_reconnect_backoff_ms", 20_000),
        ("grpc.max_reconnect_backoff_ms", 500),
        # Every channel has connections of its own, as those of separate clients would be.
        ("grpc.use_local_subchannel_pool", 1),
        # No retries behind the test's back: it must see what a plain client sees.
        ("grpc.enable_retries", 0),
    ]


class Tenant:
    """One tenant's clients: `token` goes to both services, `secrets_token` to the broker alone."""

    def __init__(self, mesh: Mesh, token: str, secrets_token: str):
        self.mesh = mesh
        self.token = token
        self.secrets_token = secrets_token
        self._channels = [
            mesh.channel(mesh.api, token),
            mesh.channel(mesh.broker, token),
            mesh.channel(mesh.broker, secrets_token),
        ]
        api, broker, vault = self._channels
        self.sandboxes = sandbox_pb2_grpc.SandboxServiceStub(api)
        self.snapshots = snapshot_pb2_grpc.SnapshotServiceStub(api)
        self.templates = template_pb2_grpc.TemplateServiceStub(api)
        self.volumes = volume_pb2_grpc.VolumeServiceStub(api)
        self.processes = process_pb2_grpc.ProcessServiceStub(api)
        self.files = file_pb2_grpc.FileServiceStub(api)
        self.ports = port_pb2_grpc.PortServiceStub(api)
        self.port_keys = port_key_pb2_grpc.PortKeyServiceStub(api)
        self.audit = audit_pb2_grpc.AuditServiceStub(broker)
        self.secrets = secret_pb2_grpc.SecretServiceStub(vault)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


class Operator:
    """Registers tokens, as `cofferdam token create` does."""

    def __init__(self, mesh: Mesh):
        self._channels = [mesh.operator_channel(mesh.api), mesh.operator_channel(mesh.broker)]
        self.scheduler, self.broker = (token_pb2_grpc.TokenServiceStub(channel) for channel in self._channels)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


def new_token_id() -> str:
    return "tk-" + "".join(secrets.choice(string.ascii_lowercase + "234567") for _ in range(16))


@dataclass(frozen=True)
class Refusal:
    """What a refused call said, for comparison in one assertion."""

    status: str
    reason: str

    @staticmethod
    def of(error: grpc.RpcError) -> "Refusal":
        reason = ""
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == "cofferdam":
                reason = info.reason
        return Refusal(error.code().name, reason)
