"""The value comes into being outside and never comes back: every echo of it is turned into the placeholder again."""

import base64

import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

BEARER = ("-H", "Authorization: Bearer $API_KEY")


@pytest.fixture(scope="module")
def granted(tenant, canary):
    """A sandbox with a secret bound to one host."""
    value = canary.value()
    name = "substitution"
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(
            name=name,
            value=value.encode(),
            bindings=[secret_pb2.SecretBinding(hosts=[BOUND])],
        ),
        timeout=CALL_SECONDS,
    )
    sandbox = Sandbox.create(tenant, secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    yield sandbox, value, sandbox.output("echo $API_KEY")
    sandbox.delete()
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


def leaks(canary, *texts: bytes) -> list[str]:
    return [name for name, pattern in canary.patterns().items() for text in texts if pattern in text]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    "path",
    [
        "/headers",
        "/echo",
        "/trailers",
        "/sse?events=3&interval=20ms",
        "/gzip",
        "/chunked?split=1",
        "/chunked?split=5",
        "/chunked?split=17",
        "/encoded?form=base64",
        "/encoded?form=base64&shift=1",
        "/encoded?form=base64&shift=2",
        "/encoded?form=base64url",
        "/encoded?form=hex",
        "/encoded?form=hex-upper",
        "/encoded?form=percent",
        "/error?status=418",
        "/no-such-page",
    ],
)
def test_no_form_of_the_value_comes_back(granted, canary, upstream, path, version):
    sandbox, value, placeholder = granted
    upstream.mark()
    # The request and what came back, decoded: chunk borders and compression would hide a value from the search.
    answer = curl(sandbox, f"https://{BOUND}{path}", version, "--compressed", *BEARER)
    [request] = upstream.received()
    assert request["headers"]["Authorization"] == [f"Bearer {value}"], "the upstream must have had something to echo"
    assert answer.curl == 0 and placeholder.encode() in answer.head + answer.body, answer
    assert leaks(canary, answer.body, answer.head) == []


def test_the_placeholder_stands_where_the_value_stood(granted):
    sandbox, _, placeholder = granted
    for path, form in (
        ("/chunked?split=3", f"<Bearer {placeholder}>"),
        ("/gzip", f'"Bearer {placeholder}"'),
        ("/sse?events=2&interval=1ms", f"data: Bearer {placeholder}\n"),
    ):
        answer = curl(sandbox, f"https://{BOUND}{path}", "--compressed", *BEARER)
        assert form in answer.text, f"{path}: {answer}"
    assert curl(sandbox, f"https://{BOUND}/echo", *BEARER).headers["echo-authorization"] == f"Bearer {placeholder}"


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (("-H", "X-Api-Key: $API_KEY"), lambda value: ("X-Api-Key", value)),
        (("-u", "user:$API_KEY"), lambda value: ("Authorization", _basic(f"user:{value}"))),
        (("-H", "Authorization: token $API_KEY"), lambda value: ("Authorization", f"token {value}")),
    ],
    ids=["x-api-key", "basic password", "another scheme"],
)
def test_the_default_targets(granted, canary, upstream, options, seen):
    sandbox, value, _ = granted
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/headers", *options)
    assert answer.status == 200, answer
    [request] = upstream.received()
    name, expected = seen(value)
    assert request["headers"][name] == [expected]
    assert leaks(canary, answer.body) == []


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("options", "path", "status", "reason"),
    [
        (("-u", "$API_KEY:password"), "/", 403, "placeholder_outside_target"),
        (("-H", "Cookie: k=$API_KEY"), "/", 403, "placeholder_outside_target"),
        (("-H", "X-Other: $API_KEY"), "/", 403, "placeholder_outside_target"),
        (("-e", "https://$API_KEY/"), "/", 403, "placeholder_outside_target"),
        (("-G", "--data-urlencode", "q=$API_KEY"), "/", 403, "placeholder_outside_target"),
        (("-F", "file=$API_KEY"), "/", 403, "placeholder_outside_target"),
        (("-H", "Authorization: $API_KEY $API_KEY"), "/", 403, "placeholder_too_often"),
        (("-H", "Range: bytes=0-1", *BEARER), "/bytes/100", 403, "range_with_secret"),
    ],
    ids=["basic user name", "cookie", "other header", "referer", "query", "multipart", "twice", "range"],
)
def test_outside_its_target_nothing_is_substituted(granted, upstream, options, path, status, reason):
    sandbox, value, placeholder = granted
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}{path}", *options)
    assert (answer.status, answer.reason) == (status, reason), answer
    assert upstream.received() == []


def test_without_tls_there_is_no_substitution(granted, upstream):
    sandbox, _, _ = granted
    upstream.mark()
    answer = curl(sandbox, f"http://{BOUND}/headers", *BEARER)
    assert (answer.status, answer.reason) == (403, "placeholder_cleartext"), answer
    assert upstream.received() == []
    assert curl(sandbox, f"http://{BOUND}/headers").status == 200


def test_a_placeholder_of_one_secret_is_worth_nothing_at_the_host_of_another(tenant, new_secret, new_sandbox, upstream):
    first, _ = new_secret(BOUND)
    second, _ = new_secret(ALLOWED)
    sandbox = new_sandbox(secrets=[(first, "FIRST"), (second, "SECOND")], egress=policy(BOUND, ALLOWED))
    upstream.mark()
    for host, variable in ((BOUND, "SECOND"), (ALLOWED, "FIRST")):
        answer = curl(sandbox, f"https://{host}/headers", "-H", f"Authorization: Bearer ${variable}")
        assert (answer.status, answer.reason) == (403, "placeholder_host_not_bound"), answer
    assert upstream.received() == []


def test_fronting_is_refused(granted, upstream):
    sandbox, _, _ = granted
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/headers", "-H", f"Host: {ALLOWED}")
    assert answer.status in (403, 421) and answer.reason == "host_mismatch", answer
    assert upstream.received() == []


def test_a_bad_upstream_certificate_is_no_upstream(tenant, new_sandbox, upstream):
    hosts = ("expired.echo.test", "self-signed.echo.test", "wrong-name.echo.test")
    sandbox = new_sandbox(egress=policy(*hosts))
    upstream.mark()
    for host in hosts:
        answer = curl(sandbox, f"https://{host}/headers", "-k")
        assert (answer.status, answer.reason) == (502, "upstream_certificate"), f"{host}: {answer}"
    assert upstream.received() == []


def test_a_rotated_value_is_used_at_once_and_a_deleted_secret_never_again(tenant, canary, new_secret, new_sandbox, upstream):
    name, old = new_secret()
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND))
    events = Events(tenant, sandbox.id)
    fresh = canary.value()
    rotated = tenant.secrets.RotateSecret(
        secret_pb2.RotateSecretRequest(name=name, value=fresh.encode()), timeout=CALL_SECONDS
    )
    assert rotated.version == 2
    upstream.mark()
    assert curl(sandbox, f"https://{BOUND}/headers", *BEARER).status == 200
    [request] = upstream.received()
    assert request["headers"]["Authorization"] == [f"Bearer {fresh}"]
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/headers", *BEARER)
    assert answer.status == 403 and answer.reason in ("grant_revoked", "placeholder_foreign"), answer
    assert upstream.received() == []
    events.expect("the refusal", verdict=audit_pb2.VERDICT_DENIED, host=BOUND)


def test_a_narrowed_binding_holds_at_once(tenant, new_secret, new_sandbox, upstream):
    name, _ = new_secret(BOUND, ALLOWED)
    sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    assert curl(sandbox, f"https://{ALLOWED}/headers", *BEARER).status == 200
    tenant.secrets.NarrowSecret(
        secret_pb2.NarrowSecretRequest(name=name, bindings=[secret_pb2.SecretBinding(hosts=[BOUND])]),
        timeout=CALL_SECONDS,
    )
    upstream.mark()
    answer = curl(sandbox, f"https://{ALLOWED}/headers", *BEARER)
    assert (answer.status, answer.reason) == (403, "placeholder_host_not_bound"), answer
    assert upstream.received() == []
    assert curl(sandbox, f"https://{BOUND}/headers", *BEARER).status == 200
