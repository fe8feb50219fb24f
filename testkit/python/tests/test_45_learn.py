"""Mode LEARN: real package managers and git find out what they need, the proposal is accepted, and then it is the policy."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import grpc
import pip
import pytest
from conftest import ALLOWED, BOUND, DENIED
from test_60_cli import cofferdam

from cofferdam.v1 import audit_pb2, policy_pb2, sandbox_pb2
from cofferdam_e2e.events import DECISION, Events
from cofferdam_e2e.events import DENIED as REFUSED
from cofferdam_e2e.http import curl
from cofferdam_e2e.image import TOOLS
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

LEARN = policy_pb2.EgressPolicy(mode=policy_pb2.POLICY_MODE_LEARN)
LIBRARY = "cofferdam-left-pad"


# The guest has node and Python, for which npm and pip are programs.
NPM_PROGRAM = TOOLS / "npm"
PIP_PROGRAM = Path(pip.__file__).parent


def put_tree(sandbox: Sandbox, source: Path, target: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(source, arcname=".", filter=lambda entry: None if entry.name.endswith("__pycache__") else entry)
    sandbox.write("/tmp/tree.tar.gz", packed.getvalue())
    sandbox.output(f"mkdir -p {target} && tar -C {target} -xzf /tmp/tree.tar.gz && rm /tmp/tree.tar.gz")


@pytest.fixture(scope="module")
def registries(upstream):
    """What npm, pip and git ask, as static files: index and packages on two hosts."""
    www = upstream.directory / "www"
    npm_package(www / "npm")
    wheel(www / "simple" / LIBRARY)
    return www


def npm_package(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    manifest = {"name": LIBRARY, "version": "1.0.0", "main": "index.js"}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in (("package.json", json.dumps(manifest)), ("index.js", "module.exports = () => 'padded by npm';\n")):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    content = packed.getvalue()
    (directory / "left-pad-1.0.0.tgz").write_bytes(content)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    # Packages of real registries lie on another host than their index, too.
    dist = {"tarball": f"https://{ALLOWED}/www/npm/left-pad-1.0.0.tgz", "integrity": integrity}
    (directory / LIBRARY).write_text(json.dumps({"name": LIBRARY, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**manifest, "dist": dist}}}))


def wheel(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    name = LIBRARY.replace("-", "_")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{name}.py", "def pad():\n    return 'padded by pip'\n")
        info = f"{name}-1.0.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {LIBRARY}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    file = f"{name}-1.0.0-py3-none-any.whl"
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    (directory / file).write_bytes(packed.getvalue())
    (directory / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="https://{ALLOWED}/www/simple/{LIBRARY}/{file}#sha256={digest}">{file}</a></body></html>')


@pytest.fixture(scope="module")
def repository(registries, tmp_path_factory):
    work = tmp_path_factory.mktemp("git") / "work"
    bare = registries / "learned.git"
    shutil.rmtree(bare, ignore_errors=True)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@echo.test", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q", work], check=True)
    (work / "file").write_text("cloned by git\n")
    subprocess.run([*git, "-C", work, "add", "file"], check=True)
    subprocess.run([*git, "-C", work, "commit", "-q", "-m", "One file"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], check=True)
    subprocess.run(["git", "-C", bare, "update-server-info"], check=True)
    return bare


def propose(tenant, sandbox: str) -> audit_pb2.PolicyProposal:
    return tenant.audit.ProposePolicy(audit_pb2.ProposePolicyRequest(sandbox=sandbox), timeout=CALL_SECONDS)


NPM = f"""
set -e
rm -rf /tmp/npm-work && mkdir /tmp/npm-work && cd /tmp/npm-work
export HOME=/tmp/npm-home npm_config_cache=/tmp/npm-work/cache
node /opt/npm/bin/npm-cli.js install --registry https://{BOUND}/www/npm/ --no-audit --no-fund --no-update-notifier \
  --fetch-retries=0 {LIBRARY} >&2
node -e "console.log(require('{LIBRARY}')())"
"""
PIP = f"""
set -e
rm -rf /tmp/pip-work
PYTHONPATH=/opt/pip python3 -m pip install -q --no-cache-dir --disable-pip-version-check --retries 0 --no-deps \
  --index-url https://{BOUND}/www/simple/ --target /tmp/pip-work {LIBRARY} >&2
PYTHONPATH=/tmp/pip-work python3 -c "import cofferdam_left_pad; print(cofferdam_left_pad.pad())"
"""
GIT = f"""
set -e
rm -rf /tmp/learned
git clone -q https://{BOUND}/www/learned.git /tmp/learned
cat /tmp/learned/file
"""


@pytest.fixture(scope="module")
def learning(tenant):
    sandbox = Sandbox.create(tenant, egress=LEARN)
    yield sandbox
    sandbox.delete()


def learned(tenant, sandbox: Sandbox, requests: int) -> audit_pb2.PolicyProposal:
    """Once the record holds as many requests: gateways report in their own time."""

    def complete():
        proposal = propose(tenant, sandbox.id)
        return proposal if proposal.requests >= requests else None

    return eventually(complete, f"a proposal from {requests} requests; there is\n{propose(tenant, sandbox.id)}")


@pytest.mark.parametrize(
    ("program", "script", "expected", "hosts"),
    [
        ((NPM_PROGRAM, "/opt/npm"), NPM, "padded by npm", {BOUND, ALLOWED}),
        ((PIP_PROGRAM, "/opt/pip/pip"), PIP, "padded by pip", {BOUND, ALLOWED}),
        (None, GIT, "cloned by git", {BOUND}),
    ],
    ids=["npm install", "pip install", "git clone"],
)
def test_learnt_proposed_accepted_enforced(tenant, new_sandbox, repository, upstream, program, script, expected, hosts):
    sandbox = new_sandbox(egress=LEARN)
    if program:
        put_tree(sandbox, *program)
    upstream.mark()
    done = sandbox.sh(script)
    assert done.exit_code == 0 and done.text.strip() == expected, done
    seen = upstream.received()
    assert {request["host"] for request in seen} == hosts

    proposal = learned(tenant, sandbox, len(seen))
    assert {rule.rule.host for rule in proposal.rules} == hosts
    assert len(proposal.rules) == len(hosts), "one rule for each host that was only read from"
    assert proposal.policy.mode == policy_pb2.POLICY_MODE_ENFORCE
    accepted = cofferdam("sandbox", "proposal", sandbox.id, "--accept")
    assert accepted.returncode == 0, accepted

    assert script_output(sandbox, script) == expected
    refused = curl(sandbox, f"https://{DENIED}/headers")
    assert refused.status != 200
    Events(tenant, sandbox.id).expect("the name of another host", type=DECISION, verdict=REFUSED, host=DENIED)
    # Nor may what was read be written to.
    assert curl(sandbox, f"https://{BOUND}/upload", "-X", "POST", "-d", "x").reason == "request_not_allowed"


def script_output(sandbox: Sandbox, script: str) -> str:
    done = sandbox.sh(script)
    assert done.exit_code == 0, done
    return done.text.strip()


def again(tenant, sandbox: Sandbox, egress) -> None:
    tenant.sandboxes.UpdateSandboxPolicy(
        sandbox_pb2.UpdateSandboxPolicyRequest(sandbox=sandbox.id, egress_policy=egress), timeout=CALL_SECONDS
    )


def test_what_is_printed_is_a_policy_for_another_sandbox(tenant, new_sandbox, upstream, tmp_path):
    done = cofferdam("run", "--learn", "--", "curl", "-fsS", "-o", "/dev/null", f"https://{ALLOWED}/headers")
    assert done.returncode == 0, done
    identifier = done.stderr.decode().split()[-1]
    eventually(lambda: propose(tenant, identifier).requests == 1, "the request of the run is in its proposal")
    printed = cofferdam("sandbox", "proposal", identifier)
    assert printed.returncode == 0, printed
    file = tmp_path / "proposed.yaml"
    file.write_bytes(printed.stdout)
    assert b"# Rule 1: 1 requests to other.echo.test" in printed.stdout
    for host, code in ((ALLOWED, 0), (BOUND, 6)):
        ran = cofferdam("run", "--policy", str(file), "--", "curl", "-sS", "-o", "/dev/null", f"https://{host}/headers")
        assert ran.returncode == code, ran


def test_no_secret_is_used_while_learning(tenant, new_secret, new_sandbox, upstream):
    name, value = new_secret(BOUND)
    sandbox = new_sandbox(secrets=[(name, "KEY")], egress=LEARN)
    upstream.mark()
    for header in ("Authorization: Bearer $KEY", "X-Api-Key: $KEY", "X-Else: $KEY"):
        for host in (BOUND, ALLOWED):
            done = sandbox.sh(f'curl -sS -o /dev/null -w "%{{http_code}}" -H "{header}" https://{host}/headers')
            assert done.text == "403", done
    for body in ('--data-raw "$KEY"', '-H "Content-Type: application/json" --data-raw "{\\"a\\": \\"$KEY\\"}"'):
        done = sandbox.sh(f'curl -sS -o /dev/null -w "%{{http_code}}" {body} https://{ALLOWED}/upload')
        assert done.text == "403", done
    assert upstream.received() == []
    Events(tenant, sandbox.id).expect("a request that needs a secret", reason=audit_pb2.EGRESS_REASON_LEARNING, secret=name)
    proposal = eventually(lambda: next(iter(propose(tenant, sandbox.id).rules), None), "a rule for what needed the secret")
    assert (proposal.rule.host, list(proposal.secrets)) == (BOUND, [name])

    # What was proposed is what the secret may be used under.
    accepted = propose(tenant, sandbox.id)
    again(tenant, sandbox, accepted.policy)
    assert sandbox.sh(f'curl -fsS -o /dev/null -H "Authorization: Bearer $KEY" https://{BOUND}/headers').exit_code == 0
    assert [request["headers"]["Authorization"] for request in upstream.received()] == [[f"Bearer {value}"]]


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "127.0.0.1", "192.0.2.1"])
def test_learning_reaches_no_address(learning, tenant, address):
    again(tenant, learning, LEARN)
    assert curl(learning, f"http://{address}/latest/meta-data/", "--max-time", "20").status in (0, 403)


def test_nothing_is_passed_through_beside_learning(tenant, learning):
    for rule in (
        policy_pb2.EgressRule(host=ALLOWED, passthrough=True),
        policy_pb2.EgressRule(cidr="203.0.113.0/24", ports=[443]),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            again(tenant, learning, policy_pb2.EgressPolicy(mode=policy_pb2.POLICY_MODE_LEARN, rules=[rule]))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_many_names_are_bounded(tenant, new_sandbox):
    """A guest that asks for names without end gets addresses up to a bound, and no rule by asking."""
    sandbox = new_sandbox(egress=LEARN)
    asked = """
import socket
given = 0
for i in range(4200):
    try:
        socket.gethostbyname(f"n{i}.echo.test")
        given += 1
    except socket.gaierror:
        break
print(given)
"""
    # Of the 4096 the sandbox itself may have used some.
    assert 4000 < int(sandbox.run("python3", "-c", asked).text) <= 4096
    assert not propose(tenant, sandbox.id).policy.rules
    again(tenant, sandbox, policy(ALLOWED))
    assert curl(sandbox, f"https://{ALLOWED}/headers").status == 200, "names of rules are not taken away by it"


def test_another_tenant_gets_no_proposal(learning, other_tenant):
    with pytest.raises(grpc.RpcError) as refused:
        propose(other_tenant, learning.id)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
