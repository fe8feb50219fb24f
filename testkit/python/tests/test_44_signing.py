"""AWS Signature Version 4 without the key in the guest: an SDK there signs with a placeholder, and what arrives is signed by the key."""

import datetime
import io
import json
import tarfile
from pathlib import Path

import boto3
import botocore
import dateutil
import grpc
import jmespath
import pytest
import s3transfer
import six
import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import ALLOWED, BOUND

from cofferdam.v1 import audit_pb2, secret_pb2
from cofferdam_e2e.events import Events
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy

KEY_ID = "AKIACOFFERDAMREALKEY"
REGION = "eu-central-1"
# Of botocore's data what these services need; all of it would be a hundred times as much.
SERVICES = ("s3", "dynamodb")
CLIENT = f"""
import os, sys
sys.path.insert(0, "/opt/sdk")
os.environ["AWS_CA_BUNDLE"] = "/etc/ssl/certs/ca-certificates.crt"
import boto3, botocore.exceptions, json
from botocore.config import Config
def client(service, region="{REGION}", host="{BOUND}"):
    config = Config(s3={{"addressing_style": "path"}}, retries={{"total_max_attempts": 1}}, parameter_validation=True)
    return boto3.client(service, region_name=region, endpoint_url="https://" + host, config=config)
def refusal(call):
    try:
        call()
    except botocore.exceptions.ClientError as e:
        return e.response["ResponseMetadata"]["HTTPHeaders"].get("cofferdam-reason", str(e.response["ResponseMetadata"]["HTTPStatusCode"]))
    return "none"
"""


def sdk() -> bytes:
    """boto3 and all that it needs, as a tar of /opt/sdk."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for module in (boto3, botocore, dateutil, jmespath, s3transfer, six, urllib3):
            file = Path(module.__file__)
            root = file.parent if file.name == "__init__.py" else file

            def wanted(entry: tarfile.TarInfo):
                parts = Path(entry.name).parts
                data = "data" in parts and entry.isdir() and parts[-2] == "data" and parts[-3] == "botocore"
                skip = "__pycache__" in parts or (data and parts[-1] not in SERVICES)
                return None if skip else entry

            tar.add(root, arcname=f"opt/sdk/{root.name}", filter=wanted)
    return packed.getvalue()


@pytest.fixture(scope="module")
def granted(tenant, canary):
    """A sandbox whose AWS_ACCESS_KEY_ID is a placeholder, with an SDK in it; the same key with a session's token beside it."""
    secret = canary.value()
    token = canary.value()
    for name, value, targets in (
        ("aws", f"{KEY_ID}:{secret}", [f"aws4:{REGION}/*"]),
        ("aws-session", f"{KEY_ID}:{secret}:{token}", ["aws4:*/s3"]),
    ):
        binding = secret_pb2.SecretBinding(hosts=[BOUND], targets=targets)
        tenant.secrets.PutSecret(
            secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[binding]), timeout=CALL_SECONDS
        )
    sandbox = Sandbox.create(
        tenant,
        secrets=[("aws", "AWS_ACCESS_KEY_ID"), ("aws-session", "SESSION_KEY_ID")],
        env={"AWS_SECRET_ACCESS_KEY": "none-of-your-business", "AWS_EC2_METADATA_DISABLED": "true"},
        egress=policy(BOUND, ALLOWED),
    )
    sandbox.write("/tmp/sdk.tgz", sdk())
    sandbox.output("tar -C / -xzf /tmp/sdk.tgz")
    sandbox.write("/opt/client.py", CLIENT.encode())
    yield sandbox, secret, token
    sandbox.delete()
    for name in ("aws", "aws-session"):
        tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


def python(sandbox: Sandbox, code: str) -> str:
    done = sandbox.run("python3", "-c", f"exec(open('/opt/client.py').read())\n{code}")
    assert done.exit_code == 0, done
    return done.text.strip()


class Arrived:
    """A request as it arrived, and what botocore would have signed of it with a key of the test's choice."""

    def __init__(self, record: dict):
        self.record = record
        self.headers = {name.lower(): ",".join(values) for name, values in record["headers"].items()}
        scheme, fields = self.headers["authorization"].split(" ", 1)
        assert scheme == "AWS4-HMAC-SHA256"
        parts = dict(field.strip().split("=", 1) for field in fields.split(","))
        self.key_id, self.day, self.region, self.service, ending = parts["Credential"].split("/")
        assert ending == "aws4_request"
        self.signed = parts["SignedHeaders"].split(";")
        self.signature = parts["Signature"]

    def by(self, key_id: str, secret: str, token: str | None = None) -> str:
        query = f"?{self.record['query']}" if self.record.get("query") else ""
        request = AWSRequest(method=self.record["method"], url=f"https://{self.record['host']}{self.record['path']}{query}")
        for name in self.signed:
            if name != "host":
                request.headers[name] = self.headers[name]
        request.context["timestamp"] = self.headers["x-amz-date"]
        kind = S3SigV4Auth if self.service == "s3" else SigV4Auth
        record = self.record

        class Verifier(kind):
            # The request's body is not kept by the outside world, its hash is.
            def payload(self, request):
                return record["headers"].get("X-Amz-Content-Sha256", [record["body_sha256"]])[0]

        auth = Verifier(Credentials(key_id, secret, token), self.service, self.region)
        assert auth.signed_headers(auth.headers_to_sign(request)) == ";".join(self.signed)
        return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("s3", "put_object(Bucket='b', Key='a folder/käse+~.txt', Body=b'hello', Metadata={'a': 'b  c'})"),
        ("s3", "put_object(Bucket='b', Key='k', Body=b'x' * 3_000_000)"),
        ("s3", "delete_object(Bucket='b', Key='k', VersionId='a/b=c d')"),
        ("s3", "get_object(Bucket='b', Key='k', Range='bytes=0-9')"),
        ("dynamodb", "delete_table(TableName='t')"),
    ],
)
def test_an_sdk_signs_with_a_placeholder(granted, upstream, service, call):
    sandbox, secret, _ = granted
    upstream.mark()
    # The outside world is no AWS: it knows nothing of what was asked for, but was asked.
    assert python(sandbox, f"print(refusal(lambda: client('{service}').{call}))") == "404"
    (record,) = upstream.received()
    arrived = Arrived(record)
    assert (arrived.key_id, arrived.region, arrived.service) == (KEY_ID, REGION, service)
    assert arrived.signature == arrived.by(KEY_ID, secret)
    assert arrived.signature != arrived.by(KEY_ID, "none-of-your-business")
    assert "cofferdam_" not in json.dumps(record)
    if "x-amz-content-sha256" in arrived.headers and arrived.headers["x-amz-content-sha256"][0] not in "US":
        assert arrived.headers["x-amz-content-sha256"] == record["body_sha256"]


def test_a_sessions_token_is_added_and_signed(granted, upstream, canary):
    sandbox, secret, token = granted
    upstream.mark()
    out = python(
        sandbox,
        "os.environ['AWS_ACCESS_KEY_ID'] = os.environ['SESSION_KEY_ID']\n"
        "os.environ['AWS_SESSION_TOKEN'] = 'of the guest'\n"
        "print(client('s3', 'us-west-2').get_bucket_policy(Bucket='headers')['Policy'])",
    )
    (record,) = upstream.received()
    arrived = Arrived(record)
    assert arrived.headers["x-amz-security-token"] == token
    assert "x-amz-security-token" in arrived.signed
    assert arrived.signature == arrived.by(KEY_ID, secret, token)
    for leaked in (token, KEY_ID, arrived.signature, *(p.decode("latin-1") for p in canary.patterns().values())):
        assert leaked not in out


def test_a_presigned_url_is_signed_as_the_request_that_it_stands_for(granted, upstream):
    sandbox, secret, _ = granted
    upstream.mark()
    url = python(
        sandbox,
        "from botocore.client import Config\n"
        "config = Config(signature_version='s3v4', s3={'addressing_style': 'path'})\n"
        f"s3 = boto3.client('s3', region_name='{REGION}', endpoint_url='https://{BOUND}', config=config)\n"
        "print(s3.generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'a b', 'VersionId': 'v/1'}))",
    )
    assert "X-Amz-Signature=" in url
    assert curl(sandbox, url).status == 404
    (record,) = upstream.received()
    arrived = Arrived(record)
    assert arrived.signature == arrived.by(KEY_ID, secret)
    assert record["query"] == "versionId=v%2F1"
    assert "cofferdam_" not in json.dumps(record)


def test_outside_its_scope_nothing_is_signed(granted, upstream, tenant):
    sandbox, _, _ = granted
    events = Events(tenant, sandbox.id)
    upstream.mark()
    for arguments, reason in (
        ("'s3', 'us-east-1'", "placeholder_outside_target"),
        (f"'s3', host='{ALLOWED}'", "placeholder_host_not_bound"),
    ):
        refused = python(sandbox, f"print(refusal(lambda: client({arguments}).head_object(Bucket='b', Key='k')))")
        assert refused == reason
    presigned = python(sandbox, f"print(client('s3', host='{ALLOWED}').generate_presigned_url('get_object', Params={{'Bucket': 'b', 'Key': 'k'}}))")
    answer = curl(sandbox, presigned)
    assert (answer.status, answer.reason) == (403, "placeholder_host_not_bound"), answer
    day = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    stamp = day.strftime("%Y%m%dT%H%M%SZ")
    credential = f"Credential=$AWS_ACCESS_KEY_ID/{stamp[:8]}/{REGION}/s3/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
    signed = ("-H", f"Authorization: AWS4-HMAC-SHA256 {credential}", "-H", f"X-Amz-Date: {stamp}")
    late = curl(sandbox, f"https://{BOUND}/b/k", *signed)
    assert (late.status, late.reason) == (403, "signature_date"), late
    chunks = curl(sandbox, f"https://{BOUND}/b/k", *signed, "-H", "X-Amz-Content-SHA256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "-d", "x")
    assert (chunks.status, chunks.reason) == (403, "signature_unsupported"), chunks
    assert upstream.received() == []
    events.expect("a date that is off", secret="aws", reason=audit_pb2.EGRESS_REASON_SIGNATURE_DATE)


def test_what_is_no_credential_is_refused(tenant):
    binding = secret_pb2.SecretBinding(hosts=[BOUND], targets=["aws4:*/*"])
    request = secret_pb2.PutSecretRequest(name="none", value=b"0123456789abcdef0123456789", bindings=[binding])
    with pytest.raises(grpc.RpcError) as refused:
        tenant.secrets.PutSecret(request, timeout=CALL_SECONDS)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "<access key id>:<secret access key>" in refused.value.details()
