"""A program in no sandbox: its only way out is the gateway's explicit proxy, where it uses a key that it does not hold."""

import os
import subprocess

import pytest
from conftest import ALLOWED, BOUND
from test_60_cli import cofferdam

from cofferdam_e2e.mesh import CALL_SECONDS

DENIED = "denied.echo.test"
PROXY = "127.0.0.1:7490"


def run(script: str, *options: str) -> subprocess.CompletedProcess:
    return cofferdam("egress", "run", "--allow-net", BOUND, *options, "--", "sh", "-c", script)


def test_the_upstream_sees_the_key_and_the_program_the_placeholder(new_secret, upstream):
    name, value = new_secret(BOUND)
    upstream.mark()
    done = run(f'echo "$API_KEY"; curl -sS -H "Authorization: Bearer $API_KEY" https://{BOUND}/headers', "--secret", f"{name}=API_KEY")
    assert done.returncode == 0, done
    placeholder, answer = done.stdout.split(b"\n", 1)
    assert placeholder.startswith(b"cofferdam_")
    assert value.encode() in upstream.raw()
    assert placeholder in answer
    assert value.encode() not in done.stdout + done.stderr


def test_another_host_is_refused(stage):
    before = stage.expected()
    done = run(f"curl -sS https://{ALLOWED}/headers; curl -sS https://{DENIED}/; curl -sS http://{DENIED}/")
    # In a tunnel curl tells the status alone; in clear it shows the answer.
    assert done.stderr.count(b"403") == 2, done
    assert b"host_not_allowed" in done.stdout
    assert stage.expected() == before


@pytest.mark.parametrize(
    "attempt",
    [
        f"curl -sS --noproxy '*' --connect-timeout 5 --resolve {BOUND}:443:203.0.113.10 https://{BOUND}/",
        "curl -sS --noproxy '*' --connect-timeout 5 http://169.254.169.254/",
        f"curl -sS --noproxy '*' --connect-timeout 5 http://{PROXY}/",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"203.0.113.53\", 53))'",
        "ip route add default dev lo",
        "ip link add d0 type dummy",
    ],
)
def test_around_the_proxy_there_is_no_way(stage, attempt):
    before = stage.expected()
    assert run(attempt).returncode != 0
    assert stage.expected() == before


@pytest.mark.parametrize("credentials", ["", "any:cfp_" + "x" * 43 + "@"])
def test_who_has_no_session_is_refused(stage, credentials):
    before = stage.expected()
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "", "-x", f"http://{credentials}{PROXY}", f"https://{BOUND}/"],
        capture_output=True,
        timeout=CALL_SECONDS,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode != 0
    assert b"407" in done.stderr
    assert stage.expected() == before


def test_the_commands_code_is_passed_on():
    assert run("exit 7").returncode == 7
    assert run("kill -TERM $$").returncode == 128 + 15


JAVA = """
import java.net.*; import java.net.http.*; import java.util.Base64;
public class Get {
  public static void main(String[] args) throws Exception {
    URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
    String login = Base64.getEncoder().encodeToString(proxy.getUserInfo().getBytes());
    HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.of(new InetSocketAddress(proxy.getHost(), proxy.getPort()))).build();
    HttpRequest request = HttpRequest.newBuilder(URI.create(args[0]))
        .header("Proxy-Authorization", "Basic " + login).header("Authorization", "Bearer " + System.getenv("API_KEY")).build();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
  }
}
"""


def test_a_java_program_trusts_the_root(new_secret, upstream, tmp_path):
    """It reads no PEM: without the key store its handshake fails."""
    name, value = new_secret(BOUND)
    (tmp_path / "Get.java").write_text(JAVA)
    upstream.mark()
    # Basic in a tunnel is what a Java program has to allow by itself.
    java = f"\"${{JAVA_HOME:-/usr}}/bin/java\" -Djdk.http.auth.tunneling.disabledSchemes= {tmp_path}/Get.java https://{BOUND}/headers"
    done = run(java, "--secret", f"{name}=API_KEY")
    assert (done.returncode, done.stdout) == (0, b"200\n"), done
    assert done.stderr.count(b"Picked up JAVA_TOOL_OPTIONS") == 1, done
    assert value.encode() in upstream.raw()
    untrusted = run(f"unset JAVA_TOOL_OPTIONS; {java}", "--secret", f"{name}=API_KEY")
    assert untrusted.returncode != 0
    assert b"PKIX path building failed" in untrusted.stderr, untrusted
