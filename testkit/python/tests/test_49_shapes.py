"""Placeholders that look like the keys they stand for: clients that check the form of a key take them."""

import json
import re

import grpc
import pytest
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

HEX = secret_pb2.PLACEHOLDER_ALPHABET_HEX
SHAPES = {
    "model": (secret_pb2.PlaceholderShape(prefix="sk-", length=51), r"sk-[A-Za-z0-9]{48}"),
    "forge": (secret_pb2.PlaceholderShape(prefix="ghp_", length=40), r"ghp_[A-Za-z0-9]{36}"),
    "deno": (
        secret_pb2.PlaceholderShape(prefix="DENO_SECRET_PLACEHOLDER_", length=88, alphabet=HEX),
        r"DENO_SECRET_PLACEHOLDER_[0-9a-f]{64}",
    ),
}


@pytest.fixture(scope="module")
def granted(tenant, canary):
    """Two sandboxes with the same secrets, each with placeholders of its own."""
    values = {name: canary.value() for name in SHAPES}
    for name, (shape, _) in SHAPES.items():
        binding = secret_pb2.SecretBinding(hosts=[BOUND])
        tenant.secrets.PutSecret(
            secret_pb2.PutSecretRequest(name=name, value=values[name].encode(), bindings=[binding], shape=shape),
            timeout=CALL_SECONDS,
        )
    secrets = [(name, name.upper()) for name in SHAPES]
    first, second = (Sandbox.create(tenant, secrets=secrets, egress=policy(BOUND, ALLOWED)) for _ in range(2))
    yield first, second, values
    for sandbox in (first, second):
        sandbox.delete()
    for name in SHAPES:
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


@pytest.mark.parametrize("name", SHAPES)
def test_the_value_takes_the_place_of_all_of_it(granted, canary, upstream, name):
    sandbox, _, values = granted
    placeholder = sandbox.output(f"echo ${name.upper()}")
    assert re.fullmatch(SHAPES[name][1], placeholder), placeholder
    upstream.mark()
    for options in (("-H", f"Authorization: Bearer {placeholder}"), ("-u", f"user:{placeholder}")):
        answer = curl(sandbox, f"https://{BOUND}/echo", *options)
        assert answer.status == 200, answer
        assert [n for n, pattern in canary.patterns().items() if pattern in answer.head + answer.body] == []
    bearer, basic = upstream.received()
    assert bearer["headers"]["Authorization"] == [f"Bearer {values[name]}"]
    assert placeholder not in json.dumps(basic)


@pytest.mark.parametrize("name", SHAPES)
def test_anywhere_else_and_anybody_elses_it_is_refused(granted, upstream, tenant, name):
    sandbox, other, _ = granted
    events = Events(tenant, sandbox.id)
    own, foreign = (box.output(f"echo ${name.upper()}") for box in (sandbox, other))
    assert own != foreign
    prefix = SHAPES[name][0].prefix
    upstream.mark()
    for host, options, reason in (
        (BOUND, ("-H", f"Authorization: Bearer {foreign}"), "placeholder_foreign"),
        (BOUND, ("-d", f"key={foreign}"), "placeholder_foreign"),
        (BOUND, ("-A", own), "placeholder_outside_target"),
        (BOUND, ("-d", own), "placeholder_outside_target"),
        (BOUND, ("-H", f"Authorization: Bearer {own[len(prefix) :]}"), "placeholder_outside_target"),
        (BOUND, ("-H", f"Authorization: Bearer {own}x"), "placeholder_outside_target"),
        (ALLOWED, ("-H", f"Authorization: Bearer {own}"), "placeholder_host_not_bound"),
    ):
        answer = curl(sandbox, f"https://{host}/echo", *options)
        assert (answer.status, answer.reason) == (403, reason), (options, answer)
    assert upstream.received() == []
    event = events.expect("another's", reason=audit_pb2.EGRESS_REASON_PLACEHOLDER_FOREIGN)
    assert foreign not in str(event)


def test_what_could_be_guessed_is_refused(tenant):
    request = secret_pb2.PutSecretRequest(
        name="short",
        value=b"0123456789abcdef0123456789abcdef",
        bindings=[secret_pb2.SecretBinding(hosts=[BOUND])],
        shape=secret_pb2.PlaceholderShape(prefix="AKIA", length=20),
    )
    with pytest.raises(grpc.RpcError) as refused:
        tenant.secrets.PutSecret(request, timeout=CALL_SECONDS)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "39 to 512" in refused.value.details()
