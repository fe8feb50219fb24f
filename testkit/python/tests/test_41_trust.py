"""Programs in the guest accept the sandbox's root with no step by their user, and the upstream's own CA is no help."""

import shutil
import subprocess

import pytest
from conftest import ALLOWED, BOUND

from cofferdam_e2e.http import NO_ANSWER, curl
from cofferdam_e2e.sandbox import Sandbox, policy

PYTHON = """
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer:
    print(json.load(answer)["host"])
"""
REQUESTS = """
import sys, requests
print(requests.get(sys.argv[1], timeout=30).json()["host"])
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


@pytest.fixture(scope="module")
def online(tenant):
    sandbox = Sandbox.create(tenant, egress=policy(BOUND, ALLOWED))
    yield sandbox
    sandbox.delete()


@pytest.mark.parametrize(
    "argv",
    [
        ("curl", "-fsS", "-o", "/dev/null", "-w", BOUND),
        ("python3", "-c", PYTHON),
        ("python3", "-c", REQUESTS),
        ("node", "-e", NODE),
        ("node", "-e", NODE_FETCH),
    ],
    ids=["curl", "python ssl", "python requests", "node https", "node fetch"],
)
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
