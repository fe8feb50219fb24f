"""Requests that the broker signs by HMAC: what arrives verifies with the key, which is in no guest."""

import base64
import hashlib
import hmac
import json

import grpc
import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

HOOK = secret_pb2.HmacSignature(
    header="X-Hook-Signature", message="{timestamp}.{body}", value="t={timestamp},v1={signature}"
)
EXCHANGE = secret_pb2.HmacSignature(
    header="X-Access-Sign",
    message="{timestamp}{method}{target}\n{header:x-access-key}\n{body:sha256}",
    hash=secret_pb2.HMAC_HASH_SHA512,
    encoding=secret_pb2.HMAC_ENCODING_BASE64,
    key=secret_pb2.HMAC_ENCODING_BASE64,
    timestamp=secret_pb2.HMAC_TIMESTAMP_UNIX_MILLIS,
    timestamp_header="X-Access-Time",
)


ORDER = secret_pb2.HmacSignature(query="signature", message="{query}{body}")


@pytest.fixture(scope="module")
def granted(tenant, canary):
    """A sandbox with two keys that sign and, for beside them, a secret that is put in."""
    hook, exchange, passphrase, order = (canary.value() for _ in range(4))
    for name, value, binding in (
        ("hook", hook, secret_pb2.SecretBinding(hosts=[BOUND], hmac=HOOK)),
        ("exchange", base64.b64encode(exchange.encode()).decode(), secret_pb2.SecretBinding(hosts=[BOUND], hmac=EXCHANGE)),
        ("order", order, secret_pb2.SecretBinding(hosts=[BOUND], hmac=ORDER)),
        ("passphrase", passphrase, secret_pb2.SecretBinding(hosts=[BOUND], targets=["header:x-passphrase"])),
    ):
        tenant.secrets.PutSecret(
            secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
        )
    sandbox = Sandbox.create(
        tenant,
        secrets=[("hook", "HOOK_KEY"), ("exchange", "EXCHANGE_KEY"), ("passphrase", "PASSPHRASE"), ("order", "ORDER_KEY")],
        egress=policy(BOUND, ALLOWED),
    )
    yield sandbox, hook.encode(), exchange.encode(), passphrase, order.encode()
    sandbox.delete()
    for name in ("hook", "exchange", "passphrase", "order"):
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_webhook_is_signed_with_its_time(granted, canary, upstream, version):
    sandbox, key, *_ = granted
    upstream.mark()
    body = b'{"event": "paid"}'
    answer = curl(sandbox, f"https://{BOUND}/echo", version, "-H", "X-Hook-Signature: $HOOK_KEY", "-d", body.decode())
    assert answer.status == 200, answer
    (record,) = upstream.received()
    (header,) = record["headers"]["X-Hook-Signature"]
    time, signature = (part.split("=", 1)[1] for part in header.split(","))
    assert signature == hmac.new(key, f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    assert "cofferdam_" not in json.dumps(record)
    for text in (answer.head, answer.body):
        assert signature.encode() not in text
        assert [name for name, pattern in canary.patterns().items() if pattern in text] == []


def test_an_exchanges_request_is_signed_beside_another_secret(granted, upstream, tenant):
    sandbox, _, key, passphrase, _ = granted
    events = Events(tenant, sandbox.id)
    upstream.mark()
    answer = curl(
        sandbox,
        f"https://{BOUND}/api/order?side=buy",
        *("-H", "X-Access-Sign: $EXCHANGE_KEY", "-H", "X-Access-Key: public id", "-H", "X-Passphrase: $PASSPHRASE"),
        *("-H", "X-Access-Time: 1", "-d", "price=1"),
    )
    assert answer.status in (200, 404), answer
    (record,) = upstream.received()
    (time,) = record["headers"]["X-Access-Time"]
    message = f"{time}POST/api/order?side=buy\npublic id\n{hashlib.sha256(b'price=1').hexdigest()}"
    expected = base64.b64encode(hmac.new(key, message.encode(), hashlib.sha512).digest()).decode()
    assert record["headers"]["X-Access-Sign"] == [expected]
    assert record["headers"]["X-Passphrase"] == [passphrase]
    assert len(time) == 13
    events.expect("the signature", type=audit_pb2.AUDIT_EVENT_TYPE_USE, secret="exchange", target="hmac:x-access-sign")


def test_an_exchanges_query_is_signed(granted, upstream):
    sandbox, *_, key = granted
    upstream.mark()
    placeholder = sandbox.output("echo $ORDER_KEY")
    answer = curl(sandbox, f"https://{BOUND}/echo?symbol=A%20B&timestamp=1&signature={placeholder}", "-d", "side=buy")
    assert answer.status == 200, answer
    (record,) = upstream.received()
    signature = hmac.new(key, b"symbol=A%20B&timestamp=1side=buy", hashlib.sha256).hexdigest()
    assert record["query"] == f"symbol=A%20B&timestamp=1&signature={signature}"
    assert signature.encode() not in answer.head + answer.body


def test_nothing_else_is_signed_and_the_key_is_put_in_nowhere(granted, upstream):
    sandbox, *_ = granted
    upstream.mark()
    for host, header, reason in (
        (BOUND, "Authorization: Bearer $HOOK_KEY", "placeholder_outside_target"),
        (BOUND, "X-Hook-Signature: sha256=$HOOK_KEY", "placeholder_outside_target"),
        (ALLOWED, "X-Hook-Signature: $HOOK_KEY", "placeholder_host_not_bound"),
        (BOUND, "X-Access-Sign: $EXCHANGE_KEY", "signature_unsupported"),
    ):
        answer = curl(sandbox, f"https://{host}/echo", "-H", header, "-d", "x")
        assert (answer.status, answer.reason) == (403, reason), (header, answer)
    assert upstream.received() == []


def test_a_signature_that_makes_no_sense_is_refused(tenant):
    for signature in (
        secret_pb2.HmacSignature(header="X-Signature", message="{nothing}"),
        secret_pb2.HmacSignature(header="X-Signature", message="{timestamp}{body}"),
        secret_pb2.HmacSignature(header="Host", message="{body}"),
    ):
        request = secret_pb2.PutSecretRequest(
            name="none", value=b"0123456789abcdef0123456789", bindings=[secret_pb2.SecretBinding(hosts=[BOUND], hmac=signature)]
        )
        with pytest.raises(grpc.RpcError) as refused:
            tenant.secrets.PutSecret(request, timeout=CALL_SECONDS)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
