"""What may not stand in requests: searched at the gateway, from a real guest, by a policy in a file."""

import hashlib

import grpc
import pytest
from conftest import ALLOWED, BOUND
from test_44_signing import KEY_ID, Arrived, granted, python  # noqa: F401
from test_60_cli import cofferdam

from cofferdam.v1 import policy_pb2, sandbox_pb2
from cofferdam_e2e.events import ALLOWED as LET
from cofferdam_e2e.events import DECISION, DENIED, Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox

MAIL = "jane.doe@example.com"
CARD = "4111 1111 " + "1111 1111"
# In two parts, so that nobody takes it for somebody's.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0" * 2

RULES = """
# A key leaves nowhere, persons are left out of what one host is told and reported on at the other.
rules: [api.echo.test, other.echo.test]
data:
  - detectors: [credentials, private_keys]
    headers: true
  - hosts: [api.echo.test]
    detectors: [email_addresses, card_numbers]
    patterns: ['(?i)\\bproject-[0-9]{4}\\b']
    action: redact
  - hosts: [other.echo.test]
    detectors: [email_addresses]
    action: report
"""


@pytest.fixture(scope="module")
def ruled(tenant, tmp_path_factory):
    file = tmp_path_factory.mktemp("policy") / "data.yaml"
    file.write_text(RULES)
    done = cofferdam("sandbox", "create", "--policy", str(file))
    assert done.returncode == 0, done
    record = tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=done.stdout.decode().strip()), timeout=CALL_SECONDS)
    sandbox = Sandbox(tenant, record)
    yield sandbox
    sandbox.delete()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    ("options", "path"),
    [
        (("--data-raw", f"key={TOKEN}"), "/echo"),
        (("--data-raw", f'{{"key": "{TOKEN.replace("_", chr(92) + "u005f")}"}}'), "/echo"),
        (("--data-raw", f"key={TOKEN.replace('_', '%5f')}"), "/echo"),
        (("-F", f"key={TOKEN}"), "/echo"),
        (("-H", f"X-Key: {TOKEN}"), "/headers"),
        ((), f"/headers?key={TOKEN}"),
        ((), f"/headers/{TOKEN}"),
    ],
    ids=["form", "json", "percent", "multipart", "header", "query", "path"],
)
def test_a_key_does_not_leave(ruled, tenant, upstream, version, options, path):
    events = Events(tenant, ruled.id).from_now()
    upstream.mark()
    answer = curl(ruled, f"https://{ALLOWED}{path}", version, *options)
    assert (answer.status, answer.reason) == (403, "data_not_allowed"), answer
    assert TOKEN not in answer.text
    assert upstream.received() == []
    told = events.expect("a request with a key", type=DECISION, verdict=DENIED, host=ALLOWED)
    assert list(told.data) == ["1:credentials"]
    assert TOKEN not in str(events.seen)


def test_a_packed_one_is_found_and_what_cannot_be_unpacked_is_refused(ruled, upstream):
    upstream.mark()
    ruled.output(f"printf 'key={TOKEN}' | gzip >/tmp/body.gz")
    body = ("--data-binary", "@/tmp/body.gz")
    packed = curl(ruled, f"https://{ALLOWED}/echo", *body, "-H", "Content-Encoding: gzip")
    assert (packed.status, packed.reason) == (403, "data_not_allowed"), packed
    for coding in ("br", "zstd"):
        other = curl(ruled, f"https://{ALLOWED}/echo", *body, "-H", f"Content-Encoding: {coding}")
        assert (other.status, other.reason) == (415, "content_encoding"), other
    assert upstream.received() == []


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_persons_are_left_out(ruled, tenant, upstream, version):
    upstream.mark()
    text = '{"to": "%s", "card": "%s", "about": "Project-1234"}'
    body = text % (MAIL, CARD)
    left = '{"to": "[redacted]", "card": "[redacted]", "about": "[redacted]"}'
    answer = curl(ruled, f"https://{BOUND}/upload", version, "--data-raw", body)
    assert answer.status == 200, answer
    (record,) = upstream.received()
    assert (record["body_sha256"], record["body_bytes"]) == (sha256(left), len(left))
    told = Events(tenant, ruled.id).expect("a redacted request", type=DECISION, verdict=LET, host=BOUND, path="/upload")
    assert sorted(told.data) == ["2:card_numbers", "2:email_addresses", "2:pattern-1"]
    # Not in the URL, which nobody writes anew.
    assert curl(ruled, f"https://{BOUND}/headers?to={MAIL}", version).reason == "data_not_allowed"


def test_a_long_body_is_redacted_as_it_goes(ruled, upstream):
    """Five megabytes with an address in every line: none is left, and nothing else is changed."""
    upstream.mark()
    ruled.output(f"yes 'one line of many, to {MAIL}, and so on' | head -c 5000001 >/tmp/lines")
    answer = curl(ruled, f"https://{BOUND}/upload", "-T", "/tmp/lines")
    assert answer.status == 200, answer
    (record,) = upstream.received()
    line = f"one line of many, to {MAIL}, and so on\n"
    expected = (line * (5000001 // len(line) + 1))[:5000001].replace(MAIL, "[redacted]")
    assert record["body_sha256"] == sha256(expected)


def test_a_report_lets_it_pass(ruled, tenant, upstream):
    upstream.mark()
    answer = curl(ruled, f"https://{ALLOWED}/upload", "--data-raw", f"to={MAIL}")
    assert answer.status == 200, answer
    assert upstream.received()[0]["body_sha256"] == sha256(f"to={MAIL}")
    told = Events(tenant, ruled.id).expect("a reported request", type=DECISION, verdict=LET, host=ALLOWED, path="/upload")
    assert list(told.data) == ["3:email_addresses"]
    lines = cofferdam("events", "--sandbox", ruled.id)
    assert b"data=3:email_addresses" in lines.stdout, lines


def test_in_base64_it_leaves(ruled, upstream):
    """A documented limit: this is a net for mishaps."""
    upstream.mark()
    ruled.output(f"printf '{TOKEN}' | base64 -w0 >/tmp/hidden")
    assert curl(ruled, f"https://{ALLOWED}/upload", "--data-binary", "@/tmp/hidden").status == 200
    assert len(upstream.received()) == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (dict(), "data rule 1: neither detectors nor patterns"),
        (dict(patterns=["a(?=b)"]), "data rule 1: the pattern 'a(?=b)' is none of RE2"),
        (dict(patterns=["[0-9]{600}"]), "data rule 1: patterns of "),
        (dict(hosts=["pass.echo.test"], patterns=["x"]), "data rule 1: a rule passes pass.echo.test through"),
    ],
    ids=["nothing", "look-ahead", "costs", "passthrough"],
)
def test_a_rule_that_makes_no_sense_is_refused_and_the_old_ones_stay(ruled, tenant, data, expected):
    rules = [policy_pb2.EgressRule(host=ALLOWED), policy_pb2.EgressRule(host="pass.echo.test", passthrough=True)]
    changed = policy_pb2.EgressPolicy(rules=rules, data=[policy_pb2.DataRule(**data)])
    with pytest.raises(grpc.RpcError) as refused:
        tenant.sandboxes.UpdateSandboxPolicy(
            sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=ruled.id, egress_policy=changed), timeout=CALL_SECONDS
        )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert expected in refused.value.details()
    assert curl(ruled, f"https://{ALLOWED}/headers?key={TOKEN}").reason == "data_not_allowed"


def test_what_is_redacted_is_signed_as_it_leaves(granted, tenant, upstream):  # noqa: F811
    sandbox, secret, _ = granted
    redact = policy_pb2.DataRule(detectors=[policy_pb2.DATA_DETECTOR_EMAIL_ADDRESSES], action=policy_pb2.DATA_ACTION_REDACT)
    changed = policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=BOUND)], data=[redact])
    tenant.sandboxes.UpdateSandboxPolicy(
        sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=changed), timeout=CALL_SECONDS
    )
    upstream.mark()
    call = f"put_item(TableName='t', Item={{'to': {{'S': '{MAIL}'}}}})"
    assert python(sandbox, f"print(refusal(lambda: client('dynamodb').{call}))") == "404"
    (record,) = upstream.received()
    arrived = Arrived(record)
    assert arrived.key_id == KEY_ID
    # Over the hash of what arrived, which is not what the SDK signed.
    assert arrived.signature == arrived.by(KEY_ID, secret)
    sent = f'{{"TableName": "t", "Item": {{"to": {{"S": "{MAIL}"}}}}}}'
    assert record["body_sha256"] in {sha256(text.replace(MAIL, "[redacted]")) for text in (sent, sent.replace(": ", ":").replace(", ", ","))}
    # Chunks with checksums behind them cannot be searched.
    upstream.mark()
    assert python(sandbox, "print(refusal(lambda: client('s3').put_object(Bucket='b', Key='k', Body=b'x')))") == "content_encoding"
    assert upstream.received() == []
