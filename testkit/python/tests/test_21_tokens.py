"""Who may call what: wrong tokens, narrow tokens, tokens of another tenant."""

import grpc
import pg8000
import pytest
from conftest import BOUND
from test_20_bad_input import refused

from cofferdam.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    port_pb2,
    process_pb2,
    sandbox_pb2,
    sandbox_pb2_grpc,
    secret_pb2,
    secret_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
)
from cofferdam_e2e import database
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import API_SCOPES, CALL_SECONDS, Tenant, new_token_id
from cofferdam_e2e.sandbox import Sandbox, policy

PUT = secret_pb2.PutSecretRequest(
    name="never-made", value=b"0123456789abcdef", bindings=[secret_pb2.SecretBinding(hosts=[BOUND])]
)


@pytest.fixture
def calls(mesh):
    """One call to each service with a token of the test's choice, or none."""
    open_channels = []

    def of(token: str | None):
        api, broker = mesh.channel(mesh.api, token), mesh.channel(mesh.broker, token)
        open_channels.extend((api, broker))
        return {
            "list sandboxes": lambda: sandbox_pb2_grpc.SandboxServiceStub(api).ListSandboxes(
                sandbox_pb2.ListSandboxesRequest(), timeout=CALL_SECONDS
            ),
            "list secrets": lambda: secret_pb2_grpc.SecretServiceStub(broker).ListSecrets(
                secret_pb2.ListSecretsRequest(), timeout=CALL_SECONDS
            ),
            "put secret": lambda: secret_pb2_grpc.SecretServiceStub(broker).PutSecret(PUT, timeout=CALL_SECONDS),
            "list events": lambda: audit_pb2_grpc.AuditServiceStub(broker).ListAuditEvents(
                audit_pb2.ListAuditEventsRequest(), timeout=CALL_SECONDS
            ),
            "register token": lambda: token_pb2_grpc.TokenServiceStub(api).RegisterToken(
                token_pb2.RegisterTokenRequest(id=new_token_id(), tenant="mine", sha256=b"\0" * 32),
                timeout=CALL_SECONDS,
            ),
        }

    yield of
    for channel in open_channels:
        channel.close()


TENANT_CALLS = ("list sandboxes", "list secrets", "put secret", "list events")


@pytest.mark.parametrize("call", TENANT_CALLS)
def test_no_token(calls, call):
    with refused("UNAUTHENTICATED", "TOKEN_MISSING"):
        calls(None)[call]()


@pytest.mark.parametrize("call", TENANT_CALLS)
def test_unknown_token(calls, mesh, call):
    for token in ("cfd_tk-aaaaaaaaaaaaaaaa_unknown", mesh.token + "x", mesh.token[:-1]):
        with refused("UNAUTHENTICATED", "TOKEN_INVALID"):
            calls(token)[call]()


def test_the_scheduler_does_not_know_the_secrets_token(calls, mesh):
    with refused("UNAUTHENTICATED", "TOKEN_INVALID"):
        calls(mesh.secrets_token)["list sandboxes"]()


def test_the_api_token_writes_no_secret(calls, mesh):
    with refused("PERMISSION_DENIED", "SCOPE_MISSING"):
        calls(mesh.token)["put secret"]()


def test_no_tenant_registers_tokens(calls, mesh):
    for token in (mesh.token, mesh.secrets_token):
        with refused("PERMISSION_DENIED", "PEER_NOT_ALLOWED"):
            calls(token)["register token"]()


def test_the_scheduler_takes_no_token_that_writes_secrets(operator):
    request = token_pb2.RegisterTokenRequest(
        id=new_token_id(), tenant="default", scopes=("secrets:write",), sha256=b"\1" * 32
    )
    with refused("INVALID_ARGUMENT", "INVALID_ARGUMENT"):
        operator.scheduler.RegisterToken(request, timeout=CALL_SECONDS)


def test_a_removed_token_is_worth_nothing(mesh, operator, calls, new_token):
    token = new_token("default", API_SCOPES)
    calls(token)["list sandboxes"]()
    identifier = token.split("_")[1]
    for service in (operator.scheduler, operator.broker):
        service.RemoveToken(token_pb2.RemoveTokenRequest(id=identifier), timeout=CALL_SECONDS)
    for call in ("list sandboxes", "list events"):
        with refused("UNAUTHENTICATED", "TOKEN_INVALID"):
            calls(token)[call]()


@pytest.mark.parametrize("missing", ["sandboxes:read", "sandboxes:write", "exec", "files", "ports", "secrets:use"])
def test_every_scope_is_needed(mesh, sandbox, new_secret, new_token, missing):
    name, _ = new_secret()
    token = new_token("default", [scope for scope in API_SCOPES if scope != missing])
    narrow = Tenant(mesh, token, mesh.secrets_token)
    mine = Sandbox(narrow, sandbox.record)
    calls = {
        "sandboxes:read": lambda: narrow.sandboxes.GetSandbox(
            sandbox_pb2.GetSandboxRequest(sandbox=mine.id), timeout=CALL_SECONDS
        ),
        "sandboxes:write": lambda: Sandbox.create(narrow),
        "exec": lambda: mine.run("true"),
        "files": lambda: mine.read("/etc/hostname"),
        "ports": lambda: next(narrow.ports.Forward(iter([port_pb2.ForwardRequest(sandbox=mine.id, port=80)]), timeout=CALL_SECONDS)),
        "secrets:use": lambda: Sandbox.create(narrow, secrets=[(name, "KEY")]),
    }
    try:
        with refused("PERMISSION_DENIED", "SCOPE_MISSING"):
            calls[missing]()
    finally:
        narrow.close()


class TestAnotherTenant:
    def test_sees_no_sandbox(self, other_tenant, sandbox):
        theirs = Sandbox(other_tenant, sandbox.record)
        calls = {
            "get": lambda: other_tenant.sandboxes.GetSandbox(
                sandbox_pb2.GetSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS
            ),
            "extend": lambda: other_tenant.sandboxes.ExtendSandbox(
                sandbox_pb2.ExtendSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS
            ),
            "policy": lambda: other_tenant.sandboxes.UpdateSandboxPolicy(
                sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=policy(BOUND)),
                timeout=CALL_SECONDS,
            ),
            "delete": theirs.delete,
            "exec": lambda: theirs.run("true"),
            "attach": lambda: theirs.attach("p").wait(),
            "list": lambda: other_tenant.processes.ListProcesses(
                process_pb2.ListProcessesRequest(sandbox=sandbox.id), timeout=CALL_SECONDS
            ),
            "read": lambda: theirs.read("/etc/hostname"),
            "write": lambda: theirs.write("/tmp/theirs", b"x"),
        }
        for name, call in calls.items():
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND, f"{name}: {caught.value}"
        listed = other_tenant.sandboxes.ListSandboxes(
            sandbox_pb2.ListSandboxesRequest(show_ended=True), timeout=CALL_SECONDS
        )
        assert list(listed.sandboxes) == []
        assert sandbox.lives()

    def test_sees_no_secret_and_no_event(self, tenant, other_tenant, new_secret):
        name, _ = new_secret()
        listed = other_tenant.secrets.ListSecrets(secret_pb2.ListSecretsRequest(), timeout=CALL_SECONDS)
        assert list(listed.secrets) == []
        with refused("NOT_FOUND", "SECRET_NOT_FOUND"):
            Sandbox.create(other_tenant, secrets=[(name, "KEY")])
        for call in (
            lambda: other_tenant.secrets.RotateSecret(
                secret_pb2.RotateSecretRequest(name=name, value=b"0123456789abcdef"), timeout=CALL_SECONDS
            ),
            lambda: other_tenant.secrets.NarrowSecret(
                secret_pb2.NarrowSecretRequest(name=name, bindings=PUT.bindings), timeout=CALL_SECONDS
            ),
        ):
            with refused("NOT_FOUND", "SECRET_NOT_FOUND"):
                call()
        assert [event for event in Events(other_tenant).read() if event.secret == name] == []
        assert name in [
            secret.name
            for secret in tenant.secrets.ListSecrets(secret_pb2.ListSecretsRequest(), timeout=CALL_SECONDS).secrets
        ]

    def test_uses_no_placeholder(self, other_tenant, new_secret, new_sandbox, upstream):
        name, value = new_secret()
        mine = new_sandbox(secrets=[(name, "KEY")], egress=policy(BOUND))
        placeholder = mine.output("echo $KEY")
        theirs = new_sandbox(owner=other_tenant, egress=policy(BOUND))
        upstream.mark()
        answer = curl(theirs, f"https://{BOUND}/headers", "-H", f"Authorization: Bearer {placeholder}")
        assert (answer.status, answer.reason) == (403, "placeholder_foreign"), answer
        assert upstream.received() == []
        assert curl(mine, f"https://{BOUND}/headers", "-H", f"Authorization: Bearer {placeholder}").status == 200
        assert value in upstream.raw().decode()


@pytest.mark.parametrize(("role", "other"), [database.ROLES, database.ROLES[::-1]])
def test_a_service_has_no_access_to_the_others_database(mesh, role, other):
    database.connect(mesh, role).close()
    # SQLSTATE 28000, invalid_authorization_specification: pg_hba.conf has no line for the two.
    with pytest.raises(pg8000.Error, match="'C': '28000'"):
        database.connect(mesh, role, other)
