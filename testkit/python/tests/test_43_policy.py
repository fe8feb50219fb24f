"""Rules on single requests: judged by the gateway one by one, checked by the broker when they are given."""

import json
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from conftest import ALLOWED, BOUND
from test_60_cli import cofferdam

from cofferdam.v1 import audit_pb2, policy_pb2, sandbox_pb2, secret_pb2
from cofferdam_e2e.events import ALLOWED as ALLOWED_BY_POLICY
from cofferdam_e2e.events import DECISION, DENIED, USE, Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

RULES = """
# What is read may be read, one place may be written to, in small pieces.
rules:
  - host: api.echo.test
    action: deny
    http: {paths: ["/www/**"]}
  - host: api.echo.test
    http: {methods: [GET, HEAD]}
  - host: api.echo.test
    http:
      methods: [POST]
      paths: ["/upload"]
      content_types: [application/octet-stream]
    max_request_bytes: 100000
  - host: other.echo.test
    http:
      when: "request.method == 'GET' && !('debug' in request.query)"
"""
OCTETS = ("-H", "Content-Type: application/octet-stream")


@pytest.fixture(scope="module")
def ruled(tenant, tmp_path_factory):
    """A sandbox made on the command line, with a policy in a file."""
    file = tmp_path_factory.mktemp("policy") / "rules.yaml"
    file.write_text(RULES)
    done = cofferdam("sandbox", "create", "--policy", str(file))
    assert done.returncode == 0, done
    record = tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=done.stdout.decode().strip()), timeout=CALL_SECONDS)
    sandbox = Sandbox(tenant, record)
    yield sandbox
    sandbox.delete()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    ("options", "url", "status", "reason"),
    [
        ((), f"https://{BOUND}/headers", 200, ""),
        ((), f"http://{BOUND}/headers", 200, ""),
        (("-X", "DELETE"), f"https://{BOUND}/headers", 403, "request_not_allowed"),
        (("-X", "DELETE"), f"http://{BOUND}/headers", 403, "request_not_allowed"),
        (("-X", "get"), f"https://{BOUND}/headers", 400, "request_ambiguous"),
        (("-H", "X-HTTP-Method-Override: DELETE"), f"https://{BOUND}/headers", 400, "request_ambiguous"),
        ((), f"https://{BOUND}/www/secret", 403, "request_not_allowed"),
        ((), f"https://{BOUND}/w%77w/secret", 403, "request_not_allowed"),
        (("--path-as-is",), f"https://{BOUND}/x/../www/secret", 400, "request_ambiguous"),
        ((), f"https://{BOUND}/x%2f..%2fwww/secret", 400, "request_ambiguous"),
        ((), f"https://{BOUND}/www;x/secret", 400, "request_ambiguous"),
        (("-d", "x", *OCTETS), f"https://{BOUND}/upload", 200, ""),
        (("-d", "x"), f"https://{BOUND}/upload", 403, "request_not_allowed"),
        (("-d", "x", *OCTETS), f"https://{BOUND}/echo", 403, "request_not_allowed"),
        ((), f"https://{ALLOWED}/headers?a=1", 200, ""),
        ((), f"https://{ALLOWED}/headers?a=1&d%65bug", 403, "request_not_allowed"),
        ((), f"https://{ALLOWED}/headers?a=1;debug", 400, "request_ambiguous"),
    ],
)
def test_each_request_is_judged(ruled, upstream, options, url, status, reason, version):
    upstream.mark()
    # In cleartext HTTP/2 begins with an upgrade, which the gateway refuses.
    answer = curl(ruled, url, version if url.startswith("https:") else "--http1.1", *options)
    assert (answer.status, answer.reason) == (status, reason), answer
    assert len(upstream.received()) == (1 if status == 200 else 0)


def test_an_upload_over_the_limit_is_cut_off(ruled, tenant, upstream):
    """The length is told before the body, or is seen when it is too late to tell."""
    events = Events(tenant, ruled.id)
    for script in (
        "head -c 100001 /dev/zero | curl -sS --max-time 30 -o /dev/null -w '%{http_code}' --data-binary @/dev/stdin",
        "head -c 5000000 /dev/zero | curl -sS --max-time 30 -o /dev/null -w '%{http_code}' -T - -X POST",
    ):
        upstream.mark()
        done = ruled.sh(f"{script} -H 'Content-Type: application/octet-stream' https://{BOUND}/upload")
        assert done.text.strip() == "413", done
        # Had it come whole there, it would be on the upstream's record.
        assert upstream.received() == []
    told = events.expect("a body that is too large", type=DECISION, verdict=DENIED, status=413)
    assert told.bytes_out <= 100_000


def test_what_is_refused_is_on_record(ruled, tenant):
    events = Events(tenant, ruled.id)
    curl(ruled, f"https://{BOUND}/headers", "-X", "PATCH")
    told = events.expect("a refused request", type=DECISION, verdict=DENIED, method="PATCH")
    assert (told.host, told.path, told.status) == (BOUND, "/headers", 403)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (dict(host=BOUND, http=policy_pb2.HttpMatch(when="request.metod == 'GET'")), "rule 2: when, line 1, column 1"),
        (dict(host=BOUND, http=policy_pb2.HttpMatch(paths=["/a/../b"])), "rule 2: the path '/a/../b'"),
        (dict(host=BOUND, passthrough=True, http=policy_pb2.HttpMatch(methods=["GET"])), "rule 2: the rule for"),
        (dict(host=BOUND, passthrough=True), "passed through"),
        (dict(cidr="203.0.113.0/24", ports=[443], max_request_bytes=1), "rule 2: a rule for a range"),
    ],
    ids=["expression", "path", "passthrough", "passthrough beside it", "range"],
)
def test_a_policy_that_makes_no_sense_is_refused_and_the_old_one_stays(ruled, tenant, rule, expected):
    first = policy_pb2.EgressRule(host=BOUND, http=policy_pb2.HttpMatch(methods=["GET"]))
    request = sandbox_pb2.UpdateSandboxPolicyRequest(
        sandbox=ruled.id, egress_policy=policy_pb2.EgressPolicy(rules=[first, policy_pb2.EgressRule(**rule)])
    )
    with pytest.raises(grpc.RpcError) as refused:
        tenant.sandboxes.UpdateSandboxPolicy(request, timeout=CALL_SECONDS)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert expected in refused.value.details()
    assert curl(ruled, f"https://{BOUND}/headers", "-X", "DELETE").status == 403


def test_a_request_under_way_ends_when_an_update_refuses_it(tenant):
    sandbox = Sandbox.create(tenant, egress=policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=BOUND)]))
    try:
        stream = sandbox.start("curl", "-sSN", "--max-time", "300", f"https://{BOUND}/sse?events=100000&interval=50ms")
        stream.until(b"data:")
        narrowed = policy_pb2.EgressRule(host=BOUND, http=policy_pb2.HttpMatch(paths=["/headers"]))
        tenant.sandboxes.UpdateSandboxPolicy(
            sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=policy_pb2.EgressPolicy(rules=[narrowed])),
            timeout=CALL_SECONDS,
        )
        assert stream.wait().exit_code != 0
        assert curl(sandbox, f"https://{BOUND}/headers").status == 200
    finally:
        sandbox.delete()


def test_a_downgraded_request_is_a_strangers(tenant, canary, upstream):
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(name="unused", value=canary.value().encode(), bindings=[secret_pb2.SecretBinding(hosts=[BOUND])]),
        timeout=CALL_SECONDS,
    )
    rule = policy_pb2.EgressRule(host=BOUND, action=policy_pb2.RULE_ACTION_DOWNGRADE)
    sandbox = Sandbox.create(tenant, secrets=[("unused", "API_KEY")], egress=policy_pb2.EgressPolicy(rules=[rule]))
    try:
        upstream.mark()
        answer = curl(sandbox, f"https://{BOUND}/headers", "-H", "Authorization: Bearer $API_KEY", "-H", "Cookie: a=b", "-H", "X-Kept: 1")
        assert answer.status == 200, answer
        [request] = upstream.received()
        assert request["headers"]["X-Kept"] == ["1"]
        assert not {"Authorization", "Cookie"} & request["headers"].keys()
        events = Events(tenant, sandbox.id)
        assert events.expect("a downgraded request", type=DECISION, path="/headers").downgraded
        assert events.all(type=USE) == []
    finally:
        sandbox.delete()
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name="unused"), timeout=CALL_SECONDS)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("none", set()), ("packages", {"pypi.org"}), ("code-agent", {"pypi.org", "github.com"}), ("open-read-only", {"github.com"})],
)
def test_a_ready_policy_is_taken_and_lets_no_other_host_out(tenant, name, allowed):
    """By what its DNS answers: none of these hosts is in the test's outside world."""
    done = cofferdam("sandbox", "create", "--policy", name)
    assert done.returncode == 0, done
    record = tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=done.stdout.decode().strip()), timeout=CALL_SECONDS)
    sandbox = Sandbox(tenant, record)
    try:
        for host in ("pypi.org", "github.com", BOUND):
            known = sandbox.sh(f"getent ahostsv4 {host}").exit_code == 0
            assert known == (host in allowed), host
    finally:
        sandbox.delete()


def test_the_client_shows_and_replaces_a_policy(ruled, tmp_path: Path):
    shown: subprocess.CompletedProcess = cofferdam("sandbox", "policy", ruled.id)
    assert shown.returncode == 0, shown
    assert len(json.loads(shown.stdout)["rules"]) == 4
    file = tmp_path / "wrong.yaml"
    file.write_text("rules:\n  - host: a.example.com\n    htp: {}\n")
    refused = cofferdam("sandbox", "policy", ruled.id, "--policy", str(file))
    assert refused.returncode == 1 and b"rule 1: Cannot find field: htp" in refused.stderr, refused


def test_the_eleventh_request_under_a_cap_of_ten_is_refused(tenant, upstream):
    """A cap of the rule in one sandbox, a cap on the secret in another; the second is on record as a use."""
    capped = policy_pb2.EgressRule(host=BOUND, caps=policy_pb2.RequestCaps(requests=10))
    sandbox = Sandbox.create(tenant, egress=policy_pb2.EgressPolicy(rules=[capped]))
    try:
        upstream.mark()
        assert statuses(sandbox, 11) == ["200 "] * 10 + ["429 cap_exceeded"]
        assert len(upstream.received()) == 10
    finally:
        sandbox.delete()


def test_the_eleventh_use_of_a_secret_under_a_cap_of_ten_is_refused(tenant, canary, upstream):
    put = cofferdam("secret", "put", "capped", "--host", BOUND, "--max-uses", "10", stdin=canary.value())
    assert put.returncode == 0, put
    sandbox = Sandbox.create(tenant, secrets=[("capped", "API_KEY")], egress=policy(BOUND))
    try:
        upstream.mark()
        assert statuses(sandbox, 11, '-H "Authorization: Bearer $API_KEY"') == ["200 "] * 10 + ["429 cap_exceeded"]
        assert len(upstream.received()) == 10
        events = Events(tenant, sandbox.id)
        told = events.expect("a use over its cap", type=USE, verdict=DENIED, secret="capped")
        assert told.reason == audit_pb2.EGRESS_REASON_CAP_EXCEEDED
        assert len(events.all(type=USE, verdict=ALLOWED_BY_POLICY, secret="capped")) == 10
        # Without the secret the host is open.
        assert curl(sandbox, f"https://{BOUND}/headers").status == 200
    finally:
        sandbox.delete()
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name="capped"), timeout=CALL_SECONDS)


def statuses(sandbox: Sandbox, count: int, options: str = "") -> list[str]:
    """Of so many requests, one after the other by one curl, each with the gateway's reason."""
    targets = f"-o /dev/null https://{BOUND}/headers " * count
    shown = "-w '%{http_code} %header{cofferdam-reason}\\n'"
    return sandbox.sh(f"curl -sS --max-time 60 {shown} {options} {targets}").text.split("\n")[:-1]


def test_a_rule_expires(tenant):
    """And what is open under it ends then."""
    egress = policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=BOUND), policy_pb2.EgressRule(host=ALLOWED)])
    sandbox = Sandbox.create(tenant, egress=egress)
    try:
        stream = sandbox.start("curl", "-sSN", "--max-time", "300", f"https://{BOUND}/sse?events=100000&interval=50ms")
        stream.until(b"data:")
        egress.rules[0].expire_time.FromSeconds(int(time.time()) + 5)
        tenant.sandboxes.UpdateSandboxPolicy(
            sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=egress), timeout=CALL_SECONDS
        )
        assert stream.wait().exit_code != 0
        assert time.time() >= egress.rules[0].expire_time.ToSeconds()
        assert curl(sandbox, f"https://{BOUND}/headers").status == 0
        assert curl(sandbox, f"https://{ALLOWED}/headers").status == 200
    finally:
        sandbox.delete()
