"""SSH into sandboxes, by OpenSSH's own client: with a key of the tenant's, and with nothing else. What a signature opens is
tested in scheduler-svc, what an SSH server has to refuse in edge-gateway; here are real guests."""

import fcntl
import hashlib
import os
import pty
import secrets as random
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from deno_sandbox import DenoDeploy
from test_60_cli import cofferdam, output
from test_61_deno_sdk import own_id, run_javascript

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.waiting import eventually


# In the guest: greets whoever connects, with what they said.
HELLO = """
import socketserver

class Hello(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello" + self.request.recv(99))

socketserver.TCPServer(("127.0.0.1", 8089), Hello).serve_forever()
"""


class Identity:
    """A key, its name at the mesh, and hosts that were met with it."""

    def __init__(self, directory: Path):
        self.file = directory / f"key-{random.token_hex(4)}"
        self.name = self.file.name
        self.hosts = directory / "known_hosts"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@home", "-f", self.file], check=True)

    def command(self, user: str, *words: str, strict: str = "accept-new") -> list[str]:
        options = (f"UserKnownHostsFile={self.hosts}", f"StrictHostKeyChecking={strict}", "IdentitiesOnly=yes", "BatchMode=yes", "SendEnv=LC_ALL")
        return ["ssh", "-F", "none", "-p", str(port()), "-i", str(self.file), *[word for option in options for word in ("-o", option)], f"{user}@127.0.0.1", *words]

    def run(self, user: str, *words: str, stdin: bytes = b"", **more) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(user, *words, **more), input=stdin, capture_output=True, timeout=3 * CALL_SECONDS)

    def said(self, user: str, *words: str) -> str:
        done = self.run(user, *words)
        assert done.returncode == 0, done
        return done.stdout.decode()


def port() -> int:
    return int(os.environ["COFFERDAM_PORTS_DOMAIN"].rpartition(":")[2]) + 1


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    made = Identity(tmp_path_factory.mktemp("ssh"))
    assert output("ssh-key", "add", made.name, f"{made.file}.pub")
    yield made
    output("ssh-key", "rm", made.name)


def test_a_command_has_its_streams_and_its_status(sandbox, identity):
    done = identity.run(sandbox.id, "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"out\n") and done.stderr.endswith(b"err\n")
    data = os.urandom(10 << 20)
    done = identity.run(sandbox.id, "cat", stdin=data)
    assert (done.returncode, hashlib.sha256(done.stdout).digest()) == (0, hashlib.sha256(data).digest())
    assert identity.said(sandbox.id, "sha256sum | cut -c1-8").strip() == hashlib.sha256(b"").hexdigest()[:8]
    assert identity.run(sandbox.id, "kill -9 $$").returncode == 137
    assert identity.run(sandbox.id, "no-such-program").returncode == 127
    assert identity.said(sandbox.id, "whoami; pwd").split() == ["root", "/root"]


def test_nothing_of_the_clients_environment_but_its_language(sandbox, identity, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    said = subprocess.run(
        identity.command(sandbox.id, "env", strict="accept-new")[:1] + ["-o", "SendEnv=SECRET_OF_MINE"] + identity.command(sandbox.id, "env")[1:],
        capture_output=True, text=True, timeout=CALL_SECONDS,
    ).stdout
    assert "LC_ALL=C.UTF-8" in said and "SECRET_OF_MINE" not in said


def test_a_shell_has_a_terminal_that_changes_its_size(sandbox, identity):
    near, far = pty.openpty()
    fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    shell = subprocess.Popen(identity.command(sandbox.id), stdin=far, stdout=far, stderr=far, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(far)
    seen = b""

    def until(what: bytes) -> None:
        nonlocal seen
        while what not in seen:
            seen += os.read(near, 4096)

    try:
        os.write(near, b"stty size; tty\n")
        until(b"33 101")
        until(b"/dev/pts/")
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 90, 0, 0))
        os.kill(shell.pid, signal.SIGWINCH)

        def resized() -> bool:
            os.write(near, b"stty size\n")
            until(b"stty size")
            return b"20 90" in seen or b"20 90" in os.read(near, 4096)

        eventually(resized, "the new size")
        os.write(near, b"exit 9\n")
        assert shell.wait(CALL_SECONDS) == 9
    finally:
        shell.kill()
        os.close(near)


def test_ports_of_the_sandbox_and_of_nobody_else(sandbox, identity):
    sandbox.write("/root/hello.py", HELLO.encode())
    sandbox.start("python3", "/root/hello.py")
    tunnel = identity.command(sandbox.id)
    tunnel.insert(-1, "-W")

    def through(target: str) -> subprocess.CompletedProcess:
        return subprocess.run([*tunnel[:-1], target, tunnel[-1]], input=b" you", capture_output=True, timeout=CALL_SECONDS)

    eventually(lambda: through("localhost:8089").stdout.startswith(b"hello"), "a port that answers")
    for elsewhere in ("169.254.169.254:80", "203.0.113.10:80", "example.test:80"):
        done = through(elsewhere)
        assert done.returncode != 0 and done.stdout == b"" and b"prohibited" in done.stderr, done
    assert through("localhost:1").returncode != 0


def test_what_is_not_served_is_refused(sandbox, identity):
    command = identity.command(sandbox.id, "true")
    at = command.index(f"{sandbox.id}@127.0.0.1")
    forward = [*command[:at], "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:1", *command[at:]]
    assert subprocess.run(forward, capture_output=True, timeout=CALL_SECONDS).returncode != 0
    sftp = [*command[:at], "-s", command[at], "sftp"]
    done = subprocess.run(sftp, capture_output=True, timeout=CALL_SECONDS)
    assert done.returncode == 127 and b"no sftp-server" in done.stderr, done


def test_nobody_else_gets_in(tenant, identity, tmp_path, other_tenant, new_token, new_sandbox):
    sandbox, foreign = new_sandbox(), new_sandbox(owner=other_tenant)
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id), timeout=3 * CALL_SECONDS)
    stranger, short = Identity(tmp_path), Identity(tmp_path)
    token = new_token("default", ("exec",), broker=False)
    output("ssh-key", "add", short.name, f"{short.file}.pub", env={"COFFERDAM_TOKEN": token})
    assert short.said(foreign_free := new_sandbox().id, "echo in") == "in\n"
    tried = [stranger.run(sandbox.id, "true"), identity.run(foreign.id, "true"), identity.run("sb-" + "a" * 20, "true"), identity.run("root", "true")]
    output("ssh-key", "rm", short.name)
    tried.append(short.run(foreign_free, "true"))
    assert [done.returncode for done in tried] == [255] * 5 and all(b"Permission denied (publickey)" in done.stderr for done in tried), tried
    assert b"ssh-key add" in tried[0].stderr
    state = tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS).state
    assert state == sandbox_pb2.SANDBOX_STATE_SUSPENDED, "a stranger wakes nobody"
    assert identity.said(sandbox.id, "echo awake") == "awake\n"


def test_what_is_left_behind_is_hung_up_and_what_ends_is_told(identity, new_sandbox):
    sandbox = new_sandbox()
    left = subprocess.Popen(identity.command(sandbox.id, "exec sleep 4242"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = "cat /proc/[0-9]*/comm 2>/dev/null; true"
    eventually(lambda: "sleep" in sandbox.output(running), "the command")
    left.kill()
    left.wait()
    eventually(lambda: "sleep" not in sandbox.output(running), "its end")
    stays = subprocess.Popen(identity.command(sandbox.id, "echo in; exec sleep 4242"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert stays.stdout.readline() == b"in\n"
    sandbox.delete()
    _, err = stays.communicate(timeout=CALL_SECONDS)
    assert stays.returncode == 255, err


def test_the_sdks_tell_where(identity, tenant):
    sdk = DenoDeploy()
    with sdk.sandbox.create(ssh=True) as sandbox:
        where = sandbox.expose_ssh()
        assert (where["hostname"], where["username"], where["port"]) == ("localhost", own_id(sandbox.id), port())
        sandbox.fs.write_text_file("/root/kept", "kept")
        assert identity.said(where["username"], "cat /root/kept") == "kept"
    run_javascript("ssh")


def test_its_key_is_the_same_after_the_edges_restart(host, identity, sandbox):
    """The last of the file: sockets that are open end with the edge."""
    assert identity.said(sandbox.id, "echo before") == "before\n"
    host.await_restart("edge-gateway", host.kill("edge-gateway"))
    eventually(lambda: identity.run(sandbox.id, "true", strict="yes").returncode == 0, "an edge that listens again")
    listed = output("ssh-key", "ls")
    assert identity.name in listed and "SHA256:" in listed
    private = cofferdam("ssh-key", "add", "other", str(identity.file))
    assert private.returncode != 0 and b"PRIVATE" not in private.stderr
