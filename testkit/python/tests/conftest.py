"""One mesh, one run: what the tests share."""

import hashlib
import secrets as random
from collections.abc import Iterator

import grpc
import pytest

from cofferdam.v1 import secret_pb2, token_pb2
from cofferdam_e2e.canary import Canary
from cofferdam_e2e.host import Host
from cofferdam_e2e.logs import warnings
from cofferdam_e2e.mesh import API_SCOPES, CALL_SECONDS, Mesh, Operator, Tenant, new_token_id
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.stage import Stage
from cofferdam_e2e.upstream import Upstream

BOUND = "api.echo.test"
ALLOWED = "other.echo.test"
DENIED = "denied.echo.test"


@pytest.fixture(scope="session")
def mesh() -> Mesh:
    return Mesh.from_environment()


@pytest.fixture(scope="session")
def host(mesh) -> Host:
    return Host(mesh.state)


@pytest.fixture(scope="session")
def stage(mesh) -> Stage:
    return Stage(mesh.stage)


@pytest.fixture(scope="session")
def upstream(mesh) -> Upstream:
    return Upstream(mesh.upstream)


@pytest.fixture(scope="session")
def canary() -> Canary:
    return Canary.of_this_run()


@pytest.fixture(scope="session")
def tenant(mesh) -> Iterator[Tenant]:
    tenant = Tenant(mesh, mesh.token, mesh.secrets_token)
    yield tenant
    tenant.close()


@pytest.fixture(scope="session")
def operator(mesh) -> Iterator[Operator]:
    operator = Operator(mesh)
    yield operator
    operator.close()


@pytest.fixture
def new_token(operator):
    """Registers a token as the launcher does, and takes it away again."""
    made = []

    def register(tenant: str, scopes, *, scheduler: bool = True, broker: bool = True) -> str:
        identifier = new_token_id()
        text = f"cfd_{identifier}_{random.token_hex(26)}"
        request = token_pb2.RegisterTokenRequest(
            id=identifier, tenant=tenant, scopes=scopes, sha256=hashlib.sha256(text.encode()).digest()
        )
        services = [service for service, wanted in ((operator.broker, broker), (operator.scheduler, scheduler)) if wanted]
        for service in services:
            service.RegisterToken(request, timeout=CALL_SECONDS)
            made.append((service, identifier))
        return text

    yield register
    for service, identifier in made:
        service.RemoveToken(token_pb2.RemoveTokenRequest(id=identifier), timeout=CALL_SECONDS)


@pytest.fixture
def other_tenant(mesh, new_token) -> Iterator[Tenant]:
    name = f"other-{random.token_hex(4)}"
    api = new_token(name, API_SCOPES)
    vault = new_token(name, ("secrets:read", "secrets:write", "audit:read"), scheduler=False)
    tenant = Tenant(mesh, api, vault)
    yield tenant
    tenant.close()


@pytest.fixture
def new_secret(tenant, canary):
    """Puts a secret with a canary's value and deletes it in the end."""
    made = []

    def put(*hosts: str, name: str = "", targets=(), owner: Tenant = tenant, **fields) -> tuple[str, str]:
        name = name or f"key-{random.token_hex(6)}"
        value = canary.value()
        binding = secret_pb2.SecretBinding(hosts=hosts or (BOUND,), targets=targets)
        request = secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding], **fields)
        owner.secrets.PutSecret(request, timeout=CALL_SECONDS)
        made.append((owner, name))
        return name, value

    yield put
    for owner, name in made:
        try:
            owner.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            # The test itself may have deleted it.
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise


@pytest.fixture
def new_sandbox(tenant):
    made = []

    def create(owner: Tenant = tenant, **request) -> Sandbox:
        sandbox = Sandbox.create(owner, **request)
        made.append(sandbox)
        return sandbox

    yield create
    for sandbox in made:
        sandbox.delete()


@pytest.fixture(scope="module")
def sandbox(tenant) -> Iterator[Sandbox]:
    """One that a module's tests share, with no way out."""
    sandbox = Sandbox.create(tenant)
    yield sandbox
    sandbox.delete()


@pytest.fixture(autouse=True, scope="session")
def nothing_unexpected(stage) -> Iterator[None]:
    """Whatever the tests do: no packet but the gateway's own reaches the uplink."""
    yield
    assert stage.unexpected() == 0, f"packets that nobody should have sent: {stage.describe()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What failed is told with what the mesh's services had to say."""
    report = yield
    if report.failed:
        said = warnings(Mesh.from_environment().state / "log", call.start)
        report.sections.append(("the mesh", "".join(f"mesh| {line}\n" for line in said)))
    return report
