"""Secrets in queries, paths and bodies: put in where the owner said, escaped for the place, and found again in answers."""

import base64
import gzip
import hashlib
import json
from urllib.parse import quote

import grpc
import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

TARGETS = ("query:key", "path", "json:/auth/key", "form:key", "multipart:key")
JSON = ("-H", "Content-Type: application/json")


@pytest.fixture(scope="module")
def granted(tenant, canary):
    """A sandbox with a secret bound to one host in every target that is no header."""
    # What JSON and forms have to escape stands in it.
    value = canary.value() + '"\\&é'
    name = "targets"
    binding = secret_pb2.SecretBinding(hosts=[BOUND], targets=TARGETS)
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
    )
    sandbox = Sandbox.create(tenant, secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
    yield sandbox, value, sandbox.output("echo $API_KEY")
    sandbox.delete()
    tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


def leaks(canary, *texts: bytes) -> list[str]:
    return [name for name, pattern in canary.patterns().items() for text in texts if pattern in text]


def body_is(request: dict, body: bytes) -> bool:
    length = request["headers"]["Content-Length"]
    return (length, request["body_bytes"], request["body_sha256"]) == (
        [str(len(body))],
        len(body),
        hashlib.sha256(body).hexdigest(),
    )


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_query_and_path(granted, canary, upstream, tenant, version):
    sandbox, value, placeholder = granted
    events = Events(tenant, sandbox.id)
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/echo?a=1&key={placeholder}&b=2", version)
    assert answer.status == 200, answer
    path = curl(sandbox, f"https://{BOUND}/bot{placeholder}/send", version)
    first, second = upstream.received()
    assert first["query"] == f"a=1&key={quote(value, safe='')}&b=2"
    assert second["path"] == f"/bot{quote(value, safe=chr(36) + '!&()*+,=:@' + chr(39))}/send"
    assert leaks(canary, answer.head, answer.body, path.head, path.body) == []
    used = events.expect("the use in the path", type=audit_pb2.AUDIT_EVENT_TYPE_USE, target="path")
    assert placeholder not in str(used)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_bodies_are_written_anew_with_their_length(granted, canary, upstream, version):
    sandbox, value, placeholder = granted
    for options, body in (
        ((*JSON, "-d", '{"n": 1.0, "auth": {"key": "$API_KEY"}}'), lambda: _json({"n": 1.0, "auth": {"key": value}})),
        (("--data-urlencode", "key=$API_KEY", "-d", "a=b"), lambda: f"key={quote(value, safe='')}&a=b".encode()),
    ):
        upstream.mark()
        answer = curl(sandbox, f"https://{BOUND}/echo", version, *options)
        assert answer.status == 200, answer
        [request] = upstream.received()
        assert body_is(request, body()), request
        assert leaks(canary, answer.head, answer.body) == []


def test_a_field_of_multipart(granted, canary, upstream):
    sandbox, value, _ = granted
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/echo", "-F", "key=$API_KEY", "-F", "other=text")
    assert answer.status == 200, answer
    [request] = upstream.received()
    [kind] = request["headers"]["Content-Type"]
    boundary = kind.removeprefix("multipart/form-data; boundary=")
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in
             (("key", value), ("other", "text"))]
    assert body_is(request, ("".join(parts) + f"--{boundary}--\r\n").encode()), request
    assert leaks(canary, answer.head, answer.body) == []


def test_a_packed_body_is_looked_into(granted, upstream):
    sandbox, value, placeholder = granted
    packed = base64.b64encode(gzip.compress(json.dumps({"auth": {"key": placeholder}}).encode())).decode()
    assert sandbox.sh(f"echo {packed} | base64 -d >/tmp/packed").exit_code == 0
    upstream.mark()
    options = (*JSON, "-H", "Content-Encoding: gzip", "--data-binary", "@/tmp/packed")
    assert curl(sandbox, f"https://{BOUND}/headers", *options).status == 200
    [request] = upstream.received()
    assert "Content-Encoding" not in request["headers"]
    assert body_is(request, _json({"auth": {"key": value}})), request


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ((*JSON, "-d", '{"auth": {"other": "$API_KEY"}}'), 403, "placeholder_outside_target"),
        ((*JSON, "-d", '{"auth": {"key": "$API_KEY", "key": 1}}'), 400, "malformed_request"),
        (("-d", "key=1&key=$API_KEY"), 403, "placeholder_outside_target"),
        (("-F", "key=$API_KEY", "-F", "key=1"), 403, "placeholder_outside_target"),
        (("-H", "Content-Type: text/plain", "-d", "key=$API_KEY"), 403, "placeholder_outside_target"),
        (("-d", "key=$API_KEY$API_KEY"), 403, "placeholder_outside_target"),
        (("-d", "key=$API_KEY.$API_KEY"), 403, "placeholder_too_often"),
        (("-H", "Authorization: $API_KEY"), 403, "placeholder_outside_target"),
    ],
    ids=["another key", "key twice", "field twice", "part twice", "another type", "run together", "twice", "header"],
)
def test_elsewhere_and_where_two_could_read_differently_nothing_leaves(granted, upstream, options, status, reason):
    sandbox, _, _ = granted
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/echo", *options)
    assert (answer.status, answer.reason) == (status, reason), answer
    assert upstream.received() == []


def test_past_the_limit_a_body_is_refused_whole(granted, upstream):
    sandbox, _, _ = granted
    assert sandbox.sh("(printf 'pad='; head -c 1100000 /dev/zero | tr '\\0' x; printf '&key=%s' $API_KEY) >/tmp/large").exit_code == 0
    upstream.mark()
    answer = curl(sandbox, f"https://{BOUND}/echo", "--data-binary", "@/tmp/large")
    assert (answer.status, answer.reason) == (413, "body_too_large"), answer
    assert upstream.received() == []


def test_where_a_placeholder_is_required_a_key_of_the_guests_own_is_refused(tenant, canary, new_sandbox, upstream):
    value, name = canary.value(), "required"
    binding = secret_pb2.SecretBinding(hosts=[BOUND], targets=["header:authorization", "json:/key"], require=True)
    tenant.secrets.PutSecret(
        secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
    )
    try:
        sandbox = new_sandbox(secrets=[(name, "API_KEY")], egress=policy(BOUND, ALLOWED))
        upstream.mark()
        for options in (("-H", "Authorization: Bearer own"), ("-u", "own:own"), (*JSON, "-d", '{"key": "own"}')):
            answer = curl(sandbox, f"https://{BOUND}/echo", *options)
            assert (answer.status, answer.reason) == (403, "own_credential"), answer
        assert upstream.received() == []
        assert curl(sandbox, f"https://{BOUND}/echo", "-H", "Authorization: Bearer $API_KEY").status == 200
        assert curl(sandbox, f"https://{ALLOWED}/echo", "-H", "Authorization: Bearer own").status == 200
        optional = secret_pb2.SecretBinding(hosts=[BOUND], targets=["header:authorization"])
        with pytest.raises(grpc.RpcError) as refused:
            tenant.secrets.NarrowSecret(
                secret_pb2.NarrowSecretRequest(name=name, bindings=[optional]), timeout=CALL_SECONDS
            )
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value
    finally:
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


def _json(value) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
