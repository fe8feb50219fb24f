"""Each refusal with its precise status and reason, and nothing half-made left behind."""

import contextlib
import secrets as random

import grpc
import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import policy_pb2, process_pb2, sandbox_pb2, secret_pb2
from cofferdam_e2e.mesh import CALL_SECONDS, Refusal
from cofferdam_e2e.sandbox import Sandbox, policy

INVALID = "INVALID_ARGUMENT"


@contextlib.contextmanager
def refused(status: str, reason: str):
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert Refusal.of(caught.value) == Refusal(status, reason), caught.value.details()


@pytest.fixture
def nothing_made(tenant, mesh):
    """The test makes no sandbox, running or ended, no token of one and no secret."""

    def things():
        listed = tenant.sandboxes.ListSandboxes(
            sandbox_pb2.ListSandboxesRequest(page_size=1000), timeout=CALL_SECONDS
        ).sandboxes
        secrets = tenant.secrets.ListSecrets(
            secret_pb2.ListSecretsRequest(page_size=1000), timeout=CALL_SECONDS
        ).secrets
        # Each sandbox has a token; a directory may be that of a machine that its node makes ahead.
        tokens = {path.name for path in (mesh.state / "node" / "data" / "tokens").iterdir()}
        return {sandbox.id for sandbox in listed}, {secret.name for secret in secrets}, tokens

    before = things()
    yield
    assert things() == before


@pytest.mark.usefixtures("nothing_made")
class TestCreate:
    def test_unknown_template(self, tenant):
        with refused("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
            Sandbox.create(tenant, template="no-such-template")

    @pytest.mark.parametrize(
        "size",
        [{"vcpus": 4096}, {"memory_mib": 1}, {"memory_mib": 1 << 30}, {"disk_mib": 1}, {"disk_mib": 1 << 31}],
        ids=str,
    )
    def test_impossible_size(self, tenant, size):
        with refused(INVALID, "SIZE_OUT_OF_RANGE"):
            Sandbox.create(tenant, size=sandbox_pb2.SandboxSize(**size))

    @pytest.mark.parametrize(
        "env",
        [
            {f"V{n}": "x" for n in range(257)},
            {"LONG": "x" * (64 * 1024 + 1)},
            {"": "x"},
            {"A=B": "x"},
            {"1A": "x"},
            {"A": "nul\0"},
        ],
        ids=["257 entries", "over 64 KiB", "no name", "= in name", "digit first", "NUL"],
    )
    def test_bad_environment(self, tenant, env):
        with refused(INVALID, "ENVIRONMENT_INVALID"):
            Sandbox.create(tenant, env=env)

    @pytest.mark.parametrize(
        "host",
        ["", "*", "*.", "a..b", "-a.test", "a.test.", "A.test", "a b.test", "https://a.test", "a.test:443", "*a.test", "a.*.test", "203.0.113.10", "x" * 64 + ".test", "bücher.test"],
    )
    def test_malformed_host_pattern(self, tenant, host):
        with refused(INVALID, "HOST_PATTERN_INVALID" if host else "POLICY_INVALID"):
            Sandbox.create(tenant, egress=policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=host)]))

    @pytest.mark.parametrize("host", ["*.com", "*.co.uk", "*.github.io"])
    def test_wildcard_on_a_public_suffix(self, tenant, host):
        with refused(INVALID, "HOST_PATTERN_INVALID"):
            Sandbox.create(tenant, egress=policy(host))

    @pytest.mark.parametrize(
        "rule",
        [
            {"host": "a.test", "cidr": "203.0.113.0/24"},
            {"cidr": "203.0.113.0/24"},
            {"cidr": "203.0.113.0/33", "ports": [443]},
            {"cidr": "2001:db8::/32", "ports": [443]},
            {"host": "a.test", "ports": [0]},
            {"host": "a.test", "ports": [65536]},
        ],
        ids=str,
    )
    def test_bad_rule(self, tenant, rule):
        with refused(INVALID, "POLICY_INVALID"):
            Sandbox.create(tenant, egress=policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(**rule)]))

    def test_too_many_rules(self, tenant):
        with refused(INVALID, "POLICY_INVALID"):
            Sandbox.create(tenant, egress=policy(*(f"h{n}.test" for n in range(257))))

    def test_unknown_secret(self, tenant):
        with refused("NOT_FOUND", "SECRET_NOT_FOUND"):
            Sandbox.create(tenant, secrets=[("no-such-secret", "KEY")])

    def test_lifetime_under_a_second(self, tenant):
        request = sandbox_pb2.CreateSandboxRequest()
        request.lifetime.nanos = 1
        with refused(INVALID, "INVALID_ARGUMENT"):
            tenant.sandboxes.CreateSandbox(request, timeout=CALL_SECONDS)

    def test_request_id_too_long(self, tenant):
        with refused(INVALID, "INVALID_ARGUMENT"):
            Sandbox.create(tenant, request_id="x" * 65)


def test_passthrough_for_a_host_that_a_secret_is_bound_to(tenant, new_secret):
    name, _ = new_secret(BOUND)
    rule = policy_pb2.EgressRule(host=BOUND, passthrough=True)
    with refused(INVALID, "POLICY_INVALID"):
        Sandbox.create(tenant, secrets=[(name, "KEY")], egress=policy_pb2.EgressPolicy(rules=[rule]))


def test_the_same_request_id_gives_the_same_sandbox(tenant, new_sandbox):
    identifier = random.token_hex(8)
    first = new_sandbox(request_id=identifier, labels={"run": identifier})
    again = Sandbox.create(tenant, request_id=identifier, labels={"run": identifier})
    assert again.id == first.id
    with refused("ALREADY_EXISTS", "REQUEST_ID_REUSED"):
        Sandbox.create(tenant, request_id=identifier, labels={"run": "another"})
    listed = tenant.sandboxes.ListSandboxes(
        sandbox_pb2.ListSandboxesRequest(label_filter={"run": identifier}), timeout=CALL_SECONDS
    )
    assert [sandbox.id for sandbox in listed.sandboxes] == [first.id]


@pytest.mark.usefixtures("nothing_made")
class TestSecret:
    NAME = "never-made"

    def put(self, tenant, **change):
        fields = {
            "name": self.NAME,
            "value": b"0123456789abcdef",
            "bindings": [secret_pb2.SecretBinding(hosts=[BOUND])],
        }
        tenant.secrets.PutSecret(secret_pb2.PutSecretRequest(**(fields | change)), timeout=CALL_SECONDS)

    @pytest.mark.parametrize(
        "value",
        [b"", b"fifteen bytes..", b"0123456789abcdef\r", b"0123456789\nabcdef", b"\x000123456789abcdef", b"x" * 65537],
        ids=["empty", "15 bytes", "CR", "LF", "NUL", "over 64 KiB"],
    )
    def test_bad_value(self, tenant, value):
        with refused(INVALID, "SECRET_VALUE_INVALID"):
            self.put(tenant, value=value)

    @pytest.mark.parametrize("value", [b"", b"weak\r", b"weak\0"])
    def test_bad_weak_value(self, tenant, value):
        with refused(INVALID, "SECRET_VALUE_INVALID"):
            self.put(tenant, value=value, weak=True)

    @pytest.mark.parametrize(
        "bindings",
        [
            [],
            [secret_pb2.SecretBinding()],
            [secret_pb2.SecretBinding(hosts=[BOUND], targets=["cookie"])],
            [secret_pb2.SecretBinding(hosts=[BOUND], targets=["header:"])],
            [secret_pb2.SecretBinding(hosts=[BOUND], targets=["header:a b"])],
            [secret_pb2.SecretBinding(hosts=[BOUND], occurrences=17)],
            [secret_pb2.SecretBinding(hosts=[f"h{n}.test" for n in range(65)])],
        ],
        ids=["none", "no host", "unknown target", "no header", "bad header", "17 occurrences", "65 hosts"],
    )
    def test_bad_binding(self, tenant, bindings):
        with refused(INVALID, "BINDING_INVALID"):
            self.put(tenant, bindings=bindings)

    @pytest.mark.parametrize("host", ["*.com", "*", "a..b", "203.0.113.10", "A.test"])
    def test_bad_host(self, tenant, host):
        with refused(INVALID, "HOST_PATTERN_INVALID"):
            self.put(tenant, bindings=[secret_pb2.SecretBinding(hosts=[host])])

    @pytest.mark.parametrize("name", ["", "Upper", "1st", "under_score", "x" * 64, "../x"])
    def test_bad_name(self, tenant, name):
        with refused(INVALID, "INVALID_ARGUMENT"):
            self.put(tenant, name=name)


def test_a_secret_that_exists_is_not_put_twice_nor_widened(tenant, new_secret):
    name, _ = new_secret(BOUND)
    binding = secret_pb2.SecretBinding(hosts=[BOUND, ALLOWED])
    with refused("ALREADY_EXISTS", "SECRET_EXISTS"):
        tenant.secrets.PutSecret(
            secret_pb2.PutSecretRequest(name=name, value=b"x" * 16, bindings=[binding]), timeout=CALL_SECONDS
        )
    with refused(INVALID, "BINDING_WIDENED"):
        tenant.secrets.NarrowSecret(
            secret_pb2.NarrowSecretRequest(name=name, bindings=[binding]), timeout=CALL_SECONDS
        )


class TestPath:
    @pytest.mark.parametrize(
        "path", ["", "relative", "/tmp/../etc/passwd", "/..", "../x", "/tmp/nul\0byte", "/" + "x" * 4096]
    )
    def test_escapes_are_refused_for_reads_and_writes(self, sandbox, path):
        with refused(INVALID, "PATH_INVALID"):
            sandbox.read(path)
        with refused(INVALID, "PATH_INVALID"):
            sandbox.write(path, b"data")

    def test_a_link_leads_nowhere_but_into_the_guest(self, sandbox):
        """Paths are the guest's: whatever a link says, it is the guest's kernel that follows it."""
        sandbox.output("ln -sfn ../../../../../../etc/hostname /tmp/escape")
        assert sandbox.read("/tmp/escape").decode().strip() == sandbox.output("cat /etc/hostname")


def test_a_stream_to_a_sandbox_that_is_gone(tenant):
    sandbox = Sandbox.create(tenant)
    sandbox.delete()
    for call in (lambda: sandbox.run("true"), lambda: sandbox.read("/etc/hostname")):
        with refused("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING"):
            call()
    with refused("NOT_FOUND", "SANDBOX_NOT_FOUND"):
        tenant.processes.ListProcesses(
            process_pb2.ListProcessesRequest(sandbox="sb-aaaaaaaaaaaaaaaaaaaa"), timeout=CALL_SECONDS
        )


def test_a_delete_of_what_is_deleted_succeeds(tenant):
    sandbox = Sandbox.create(tenant)
    sandbox.delete()
    sandbox.delete()


class TestCommand:
    def test_unknown_program(self, sandbox):
        with refused("NOT_FOUND", "COMMAND_NOT_FOUND"):
            sandbox.run("no-such-program")

    def test_unknown_process(self, sandbox, tenant):
        with refused("NOT_FOUND", "PROCESS_NOT_FOUND"):
            sandbox.attach("no-such-process").wait()
        with refused("NOT_FOUND", "PROCESS_NOT_FOUND"):
            tenant.processes.SignalProcess(
                process_pb2.SignalProcessRequest(sandbox=sandbox.id, process="no-such-process", signal=9),
                timeout=CALL_SECONDS,
            )

    @pytest.mark.parametrize(
        ("argv", "spec"),
        [
            ((), {}),
            (("true",) * 1025, {}),
            (("echo", "x" * (128 * 1024 + 1)), {}),
            (("true",), {"process": "not a name"}),
        ],
        ids=["no program", "1025 arguments", "over 128 KiB", "bad id"],
    )
    def test_bad_spec(self, sandbox, argv, spec):
        with refused(INVALID, "INVALID_ARGUMENT"):
            sandbox.run(*argv, **spec)

    def test_relative_directory(self, sandbox):
        with refused(INVALID, "PATH_INVALID"):
            sandbox.run("true", working_directory="relative")
