"""OAuth 2.0 client credentials: what arrives is an access token that the broker fetched; the client's secret is nowhere else."""

import hashlib
import json

import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import DENIED, USE, Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

TOKENS = "/oauth/token"


def client(url=f"https://{ALLOWED}{TOKENS}", **fields):
    return secret_pb2.ClientCredentials(**{"token_url": url, "client_id": "me", "scope": "read write", **fields})


def token_of(secret: str) -> str:
    """As testkit/upstream makes it."""
    middle = (len(secret) - 8) // 2
    return secret[:middle] + hashlib.sha256(secret.encode()).hexdigest()[:8] + secret[middle + 8 :]


@pytest.fixture
def granted(tenant, canary):
    """Sandboxes with a client, each of its own."""
    made = []

    def grant(name: str, spec) -> tuple[Sandbox, str]:
        value = canary.value()
        tenant.secrets.PutSecret(
            secret_pb2.PutSecretRequest(
                name=name, value=value.encode(), bindings=[secret_pb2.SecretBinding(hosts=[BOUND])], oauth=spec
            ),
            timeout=CALL_SECONDS,
        )
        made.append((name, None))
        # The token endpoint is no host of the sandbox's.
        sandbox = Sandbox.create(tenant, secrets=[(name, "TOKEN")], egress=policy(BOUND))
        made[-1] = (name, sandbox)
        return sandbox, value

    yield grant
    for name, sandbox in made:
        if sandbox is not None:
            sandbox.delete()
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


def use(sandbox, path="/headers"):
    return curl(sandbox, f"https://{BOUND}{path}", "-H", "Authorization: Bearer $TOKEN")


def test_a_token_is_fetched_once_and_put_in(granted, tenant, canary, upstream):
    sandbox, secret = granted("oauth-client", client())
    events = Events(tenant, sandbox.id)
    upstream.mark()
    answers = [use(sandbox), use(sandbox, "/gzip"), use(sandbox, "/encoded?form=base64")]
    assert [answer.status for answer in answers] == [200, 200, 200]
    asked, *arrived = upstream.received()
    assert (asked["method"], asked["host"], asked["path"]) == ("POST", ALLOWED, TOKENS)
    assert [record["headers"]["Authorization"] for record in arrived] == [[f"Bearer {token_of(secret)}"]] * 3
    # Neither of the two is anywhere in what the guest got.
    for answer in answers:
        for text in (answer.head, answer.body):
            assert [name for name, pattern in canary.patterns().items() if pattern in text] == []
    assert "cofferdam_" not in json.dumps(arrived)
    uses = events.all(type=USE, secret="oauth-client")
    sent = [event for event in uses if event.target == "oauth:token"]
    assert [(event.host, event.method, event.path) for event in sent] == [(ALLOWED, "POST", TOKENS)]
    assert [event.access_token for event in uses if event.target != "oauth:token"] == [
        audit_pb2.ACCESS_TOKEN_SOURCE_ENDPOINT,
        audit_pb2.ACCESS_TOKEN_SOURCE_CACHE,
        audit_pb2.ACCESS_TOKEN_SOURCE_CACHE,
    ]


def test_a_rotated_client_has_another_token(granted, tenant, canary, upstream):
    sandbox, secret = granted("oauth-rotated", client(authentication=secret_pb2.CLIENT_AUTHENTICATION_POST))
    assert use(sandbox).status == 200
    newer = canary.value()
    tenant.secrets.RotateSecret(
        secret_pb2.RotateSecretRequest(name="oauth-rotated", value=newer.encode()), timeout=CALL_SECONDS
    )
    upstream.mark()
    assert use(sandbox).status == 200
    asked, arrived = upstream.received()
    assert asked["path"] == TOKENS
    assert arrived["headers"]["Authorization"] == [f"Bearer {token_of(newer)}"]
    assert token_of(secret) != token_of(newer)


@pytest.mark.parametrize(
    ("name", "spec", "reason", "why"),
    [
        ("oauth-refused", client(client_id="refused"), "token_refused", "status 401, invalid_client"),
        ("oauth-moved", client(f"https://{ALLOWED}/redirect?to=/echo"), "token_unavailable", "redirects are not followed"),
        ("oauth-broken", client(f"https://{ALLOWED}/headers"), "token_unavailable", "cannot be used"),
        ("oauth-wrong", client(f"https://wrong-name.echo.test{TOKENS}"), "token_unavailable", "no verified TLS connection"),
        ("oauth-expired", client(f"https://expired.echo.test{TOKENS}"), "token_unavailable", "no verified TLS connection"),
    ],
)
def test_without_a_token_nothing_leaves(granted, tenant, canary, upstream, name, spec, reason, why):
    sandbox, _ = granted(name, spec)
    events = Events(tenant, sandbox.id)
    upstream.mark()
    answer = use(sandbox)
    assert (answer.status, answer.reason) == (502, reason), answer
    assert [pattern for pattern, text in canary.patterns().items() if text in answer.head + answer.body] == []
    assert b"invalid_client" not in answer.body
    assert [record for record in upstream.received() if record["host"] == BOUND] == []
    denied = events.expect("the refusal", type=USE, verdict=DENIED, secret=name)
    assert why in denied.message
