"""Programs in the guest accept the sandbox's root with no step by their user, and the upstream's own CA is no help."""

import os
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from conftest import ALLOWED, BOUND
from test_45_learn import put_tree
from test_53_snapshots_api import drop, take
from test_70_metrics import port_base

from cofferdam.internal.v1 import attachment_pb2, attachment_pb2_grpc
from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.http import NO_ANSWER, curl
from cofferdam_e2e.image import TOOLS
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

PYTHON = """
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer:
    print(json.load(answer)["host"])
"""
REQUESTS = """
import sys, requests
print(requests.get(sys.argv[1], timeout=30).json()["host"])
"""
HTTPX = """
import sys, httpx
print(httpx.get(sys.argv[1], timeout=30).json()["host"])
"""
NODE = """
require("https").get(process.argv[1], (answer) => {
  let text = "";
  answer.on("data", (piece) => (text += piece));
  answer.on("end", () => console.log(JSON.parse(text).host));
}).on("error", (error) => { console.error(error); process.exit(1); });
"""
NODE_FETCH = """
fetch(process.argv[1]).then((answer) => answer.json()).then((body) => console.log(body.host));
"""


BUILT = Path(os.environ["COFFERDAM_ROOT"]) / "testkit" / "target" / "e2e"
GO = "/usr/local/bin/guest-client"
JAVA = "/opt/java"
CLIENTS = {
    "curl": ("curl", "-fsS", "-o", "/dev/null", "-w", BOUND),
    "python ssl": ("python3", "-c", PYTHON),
    "python requests": ("python3", "-c", REQUESTS),
    "python httpx": ("python3", "-c", HTTPX),
    "node https": ("node", "-e", NODE),
    "node fetch": ("node", "-e", NODE_FETCH),
    "go": (GO,),
    "java": (f"{JAVA}/bin/java", "-XX:TieredStopAtLevel=1", "-cp", f"{JAVA}/client", "GuestClient"),
}


def with_clients(sandbox: Sandbox) -> Sandbox:
    """Beside those of the image."""
    put_tree(sandbox, TOOLS / "httpx", sandbox.output("python3 -c 'import site; print(site.getsitepackages()[0])'"))
    sandbox.write(GO, (BUILT / "guest-client").read_bytes(), mode=0o755)
    sandbox.write("/tmp/java.tar.gz", (BUILT / "guest-java.tar.gz").read_bytes())
    sandbox.output(f"mkdir {JAVA} && tar -C {JAVA} -xzf /tmp/java.tar.gz && rm /tmp/java.tar.gz")
    return sandbox


@pytest.fixture(scope="module")
def online(tenant):
    sandbox = Sandbox.create(tenant, egress=policy(BOUND, ALLOWED))
    yield with_clients(sandbox)
    sandbox.delete()


@pytest.mark.parametrize("argv", CLIENTS.values(), ids=CLIENTS.keys())
def test_clients_work_as_they_are(online, upstream, argv):
    upstream.mark()
    done = online.run(*argv, f"https://{BOUND}/headers")
    assert done.exit_code == 0 and done.text.strip() == BOUND, done
    assert [request["host"] for request in upstream.received()] == [BOUND]


def test_git_clones_over_https(online, upstream, tmp_path):
    repository = upstream.directory / "www" / "project.git"
    shutil.rmtree(repository, ignore_errors=True)
    work = tmp_path / "work"
    identity = ["-c", "user.name=Test", "-c", "user.email=test@echo.test", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, "init", "-q", str(work)], check=True)
    (work / "file").write_text("from the upstream\n")
    subprocess.run(["git", "-C", str(work), "add", "file"], check=True)
    subprocess.run(["git", *identity, "-C", str(work), "commit", "-q", "-m", "One file"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(repository)], check=True)
    subprocess.run(["git", "-C", str(repository), "update-server-info"], check=True)
    done = online.sh(f"rm -rf /tmp/project && git clone -q https://{BOUND}/www/project.git /tmp/project && cat /tmp/project/file")
    assert done.exit_code == 0 and done.text == "from the upstream\n", done


def test_the_certificate_is_of_the_sandboxs_own_root(online, upstream):
    """What the guest sees is not what the upstream sent, and a client that trusts only the upstream's CA refuses it."""
    online.write("/tmp/upstream-ca.pem", (upstream.directory / "ca.pem").read_bytes())
    answer = curl(online, f"https://{BOUND}/headers", "--cacert", "/tmp/upstream-ca.pem")
    assert answer.status == NO_ANSWER and answer.curl == 60, answer


def test_two_sandboxes_have_two_roots(online, new_sandbox):
    other = new_sandbox(egress=policy(BOUND))
    fetch = (
        "import ssl, socket, hashlib; c = ssl._create_unverified_context(); "
        f"s = c.wrap_socket(socket.create_connection(('{BOUND}', 443), 20), server_hostname='{BOUND}'); "
        "print(ssl.DER_cert_to_PEM_cert(s.getpeercert(True)))"
    )
    leaf = other.run("python3", "-c", fetch)
    assert leaf.exit_code == 0 and "BEGIN CERTIFICATE" in leaf.text, leaf
    online.write("/tmp/foreign.pem", leaf.stdout)
    verified = online.sh("openssl verify -CApath /etc/ssl/certs /tmp/foreign.pem")
    assert verified.exit_code != 0, f"a leaf of another sandbox's root is trusted here: {verified}"


def test_a_download_arrives_whole(online):
    answer = curl(online, f"https://{BOUND}/bytes/5000000")
    checked = online.output(f"curl -fsS https://{BOUND}/bytes/5000000 | sha256sum | cut -d' ' -f1")
    assert answer.headers["content-sha256"] == checked


def test_an_upload_arrives_whole(online, upstream):
    upstream.mark()
    local = online.output("head -c 5000000 /dev/urandom >/tmp/up && sha256sum </tmp/up | cut -d' ' -f1")
    answer = curl(online, f"https://{BOUND}/upload", "-T", "/tmp/up")
    assert answer.json == {"size": 5000000, "sha256": local}
    assert upstream.received()[0]["body_sha256"] == local


def test_http_2_is_spoken_where_the_upstream_speaks_it(online):
    assert online.output(f"curl -fsS -o /dev/null -w '%{{http_version}}' https://{BOUND}/headers") == "2"


# What the gateway shows, its issuer included.
SHOWN = f"openssl s_client -connect {BOUND}:443 -servername {BOUND} -showcerts </dev/null 2>/dev/null | sed -n '/BEGIN/,/END/p'"


def certificates(shown: str) -> list[str]:
    return shown.split("-----BEGIN CERTIFICATE-----")[1:]


def test_a_snapshot_is_served_after_its_issuers_were_replaced(tenant, host, new_sandbox):
    """A lineage's root stays; the issuers under it live in a gateway's memory and end with it. What was snapshotted under one of
    them is restored, and copied, under another one."""
    sandbox = new_sandbox(egress=policy(BOUND))
    before = sandbox.output(SHOWN)
    assert before.count("BEGIN CERTIFICATE") == 2, "a leaf and its issuer"
    snapshot = take(tenant, sandbox.id)
    try:
        host.await_restart("egress-gateway", host.kill("egress-gateway"))
        eventually(lambda: "BEGIN" in (shown := sandbox.output(SHOWN)) and not set(certificates(shown)) & set(certificates(before)), "another issuer")
        rolled = sandbox_pb2.RollBackSandboxRequest(sandbox=sandbox.id, snapshot=snapshot.id)
        tenant.sandboxes.RollBackSandbox(rolled, timeout=3 * CALL_SECONDS)
        eventually(lambda: curl(sandbox, f"https://{BOUND}/headers").status == 200, "the rolled back one's way out")
        copy = new_sandbox(snapshot=snapshot.id, egress=policy(BOUND))
        eventually(lambda: curl(copy, f"https://{BOUND}/headers").status == 200, "the copy's way out")
    finally:
        drop(tenant, snapshot.id)


OUTSIDE = "outside.echo.test"
# Says who was asked, behind the certificate that it was given.
SERVER = """
import http.server, json, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"host": self.headers["Host"].split(":")[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


def issuer(mesh, sandbox: Sandbox, directory: Path) -> None:
    """What the broker signs for a gateway, asked for with the gateway's own identity: what one that was taken over has."""
    openssl(directory, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "issuer.key")
    openssl(directory, "req", "-new", "-key", "issuer.key", "-subj", "/CN=any", "-outform", "DER", "-out", "issuer.csr")
    own = mesh.state / "gateway"
    credentials = grpc.ssl_channel_credentials(mesh.authority.read_bytes(), (own / "tls.key").read_bytes(), (own / "tls.pem").read_bytes())
    name = mesh.broker.rsplit(":", 1)[0]
    with grpc.secure_channel(f"127.0.0.1:{port_base(mesh) + 10}", credentials, [("grpc.ssl_target_name_override", name)]) as channel:
        request = attachment_pb2.IssueCertificateRequest(
            sandbox=sandbox.id, policy_revision=1, certificate_request=(directory / "issuer.csr").read_bytes()
        )
        signed = attachment_pb2_grpc.AttachmentServiceStub(channel).IssueCertificate(request, timeout=CALL_SECONDS)
    (directory / "issuer.der").write_bytes(signed.certificate)
    openssl(directory, "x509", "-inform", "DER", "-in", "issuer.der", "-out", "issuer.pem")


def leaf(directory: Path, name: str) -> bytes:
    """Key, leaf and issuer in PEM."""
    (directory / "extensions").write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl(directory, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key", "-subj", "/CN=leaf", "-out", "leaf.csr")
    openssl(
        directory, "x509", "-req", "-in", "leaf.csr", "-CA", "issuer.pem", "-CAkey", "issuer.key", "-set_serial", "7", "-days", "1",
        "-extfile", "extensions", "-out", "leaf.pem",
    )  # fmt: skip
    return b"".join((directory / file).read_bytes() for file in ("leaf.key", "leaf.pem", "issuer.pem"))


def openssl(directory: Path, *command: str) -> None:
    subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def constrained(mesh, tenant, tmp_path_factory):
    """A guest in which one server has a leaf for a name of the policy and another one for a name outside, of one issuer."""
    directory = tmp_path_factory.mktemp("issuer")
    sandbox = with_clients(Sandbox.create(tenant, egress=policy(BOUND)))
    issuer(mesh, sandbox, directory)
    sandbox.output(f"echo '127.0.0.1 {BOUND} {OUTSIDE}' >>/etc/hosts")
    for port, name in ((8443, BOUND), (8444, OUTSIDE)):
        sandbox.write(f"/tmp/{port}.pem", leaf(directory, name))
        sandbox.start("python3", "-c", SERVER, str(port), f"/tmp/{port}.pem").until(b"ready\n")
    # A leaf begins now, by this host's clock.
    eventually(lambda: sandbox.run(*CLIENTS["curl"], f"https://{BOUND}:8443/").exit_code == 0, "a leaf whose time has come")
    yield sandbox
    sandbox.delete()


@pytest.mark.parametrize("argv", CLIENTS.values(), ids=CLIENTS.keys())
def test_clients_refuse_names_outside_the_policy(constrained, argv):
    """Whoever has the gateway's key has no more names than the policy intercepts."""
    inside = constrained.run(*argv, f"https://{BOUND}:8443/")
    assert inside.exit_code == 0 and inside.text.strip() == BOUND, inside
    assert constrained.output(f"curl -ksS https://{OUTSIDE}:8444/") == f'{{"host": "{OUTSIDE}"}}', "without a look at the certificate it is there"
    outside = constrained.run(*argv, f"https://{OUTSIDE}:8444/")
    assert outside.exit_code != 0 and OUTSIDE not in outside.text, outside
