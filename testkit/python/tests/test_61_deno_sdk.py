"""The SDKs of Deno Sandbox, as their registries have them, against the edge; and clients that behave as no SDK would. What the
one for JavaScript does is in testkit/javascript/deno_sdk.mjs."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import re
import secrets as random
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ALLOWED, BOUND
from deno_sandbox import AsyncDenoDeploy, DenoDeploy
from deno_sandbox.errors import AuthenticationError, HTTPStatusError, ProcessAlreadyExited, RpcValidationError, UnknownRpcMethod
from websockets import State
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cofferdam.v1 import sandbox_pb2, secret_pb2, snapshot_pb2
from cofferdam_e2e.mesh import CALL_SECONDS, API_SCOPES
from cofferdam_e2e.waiting import eventually

JAVASCRIPT_SDK = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam")) / "tools" / "deno-sdk"
JAVASCRIPT = Path(__file__).parents[2] / "javascript" / "deno_sdk.mjs"
CHECKS = re.findall(r"^  async (\w+)\(\) \{", JAVASCRIPT.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def sdk() -> DenoDeploy:
    return DenoDeploy()


@pytest.fixture(scope="module")
def shared(sdk):
    with sdk.sandbox.create() as sandbox:
        yield sandbox


def own_id(foreign: str) -> str:
    return "sb-" + foreign[8:].translate(str.maketrans("018", "ilo"))


def state(tenant, foreign: str) -> int:
    return tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=own_id(foreign)), timeout=CALL_SECONDS).state


def ended(tenant, foreign: str) -> bool:
    return state(tenant, foreign) == sandbox_pb2.SANDBOX_STATE_ENDED


def sh(sandbox, script: str, **spec) -> str:
    process = sandbox.spawn("sh", args=["-c", script], stdout="piped", stderr="piped", **spec)
    status = process.wait()
    output = process.stdout.read()
    assert status["success"], (status, output, process.stderr.read())
    return output.decode()


def test_a_process_with_its_streams(shared):
    process = shared.spawn("sh", args=["-c", "echo out; echo err >&2; exit 3"], stdout="piped", stderr="piped")
    assert process.wait() == {"success": False, "code": 3, "signal": None}
    assert (process.stdout.read(), process.stderr.read()) == (b"out\n", b"err\n")
    assert sh(shared, "pwd; echo $NAME", cwd="/tmp", env={"NAME": "value"}) == "/tmp\nvalue\n"
    assert sh(shared, "echo [$HOSTNAME]", clear_env=True) == "[]\n"
    process = shared.spawn("sh", args=["-c", "kill -9 $$"], stdout="null", stderr="null")
    assert process.wait() == {"success": False, "code": 137, "signal": "SIGKILL"}


def test_input_and_output_at_once(shared):
    """The SDK sends all of its input before it looks at the output."""
    data = random.token_bytes(2 << 20)
    process = shared.spawn("cat", stdout="piped", stderr="null", stdin_data=io.BytesIO(data))
    assert process.wait()["success"]
    assert hashlib.sha256(process.stdout.read()).digest() == hashlib.sha256(data).digest()


def test_output_is_no_faster_than_its_reader(shared):
    process = shared.spawn("head", args=["-c", str(8 << 20), "/dev/zero"], stdout="piped", stderr="null")
    assert process.wait()["success"]
    assert len(process.stdout.read()) == 8 << 20


def test_files(shared):
    shared.fs.mkdir("/tmp/d/e", recursive=True)
    shared.fs.write_text_file("/tmp/d/text", "grüße\n")
    assert shared.fs.read_text_file("/tmp/d/text") == "grüße\n"
    data = random.token_bytes(3 << 20)
    shared.fs.write_file("/tmp/d/bytes", io.BytesIO(data), mode=0o600)
    assert sh(shared, "sha256sum </tmp/d/bytes; stat -c %a /tmp/d/bytes").split() == [hashlib.sha256(data).hexdigest(), "-", "600"]
    shared.fs.write_file("/tmp/d/small", b"\0\1\2")
    assert shared.fs.read_file("/tmp/d/small") == b"\0\1\2"
    assert sorted((entry["name"], entry["is_directory"]) for entry in shared.fs.read_dir("/tmp/d")) == [
        ("bytes", False),
        ("e", True),
        ("small", False),
        ("text", False),
    ]
    # More than its socket takes in one message: an error of this call, and no end of all others.
    with pytest.raises(Exception, match="EFBIG"):
        shared.fs.read_file("/tmp/d/bytes")
    shared.fs.rename("/tmp/d/small", "/tmp/d/moved")
    shared.fs.remove("/tmp/d", recursive=True)
    with pytest.raises(Exception, match="NotFound.*ENOENT|ENOENT.*NotFound"):
        shared.fs.read_file("/tmp/d/moved")


def test_upload_of_a_tree(shared, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_text("1")
    (tmp_path / "a" / "b" / "two").write_bytes(b"2" * 100_000)
    (tmp_path / "a" / "link").symlink_to("b/two")
    shared.fs.upload(str(tmp_path / "a"), "/tmp/up")
    assert sh(shared, "cd /tmp/up && find . -type f | sort && wc -c <link && readlink link").split() == ["./b/two", "./one", "100000", "b/two"]
    entries = {entry["path"]: entry for entry in shared.fs.walk("/tmp/up")}
    assert list(entries) == ["/tmp/up", "/tmp/up/b", "/tmp/up/b/two", "/tmp/up/link", "/tmp/up/one"]
    assert entries["/tmp/up/link"] == {"path": "/tmp/up/link", "name": "link", "is_file": False, "is_directory": False, "is_symlink": True}
    assert [entry["name"] for entry in shared.fs.walk("/tmp/up", max_depth=1, include_dirs=False, include_symlinks=False)] == ["one"]
    with pytest.raises(Exception, match="ENOENT"):
        shared.fs.walk("/tmp/none")
    assert shared.fs.expand_glob("**/{one,tw[n-p]}", root="/tmp/up") == ["/tmp/up/b/two", "/tmp/up/one"]
    assert shared.fs.expand_glob("/tmp/up/*", exclude=["/tmp/up/b"]) == ["/tmp/up/link", "/tmp/up/one"]
    assert shared.fs.expand_glob("/tmp/none/*") == []


def test_what_is_said_of_files(shared):
    fs = shared.fs
    fs.mkdir("/tmp/said")
    fs.write_text_file("/tmp/said/file", "0123456789")
    fs.chmod("/tmp/said/file", 0o4640)
    fs.chown("/tmp/said/file", uid=1, gid=2)
    fs.chmod("/tmp/said/file", 0o640)
    fs.utime("/tmp/said/file", "2001-09-09T01:46:40Z", "2001-09-09T01:46:41.5Z")
    info = fs.stat("/tmp/said/file")
    assert len(info) == 21 and (info["is_file"], info["size"], info["nlink"], info["uid"], info["gid"]) == (True, 10, 1, 1, 2)
    assert (info["mode"], info["atime"], info["mtime"]) == (0o100640, "2001-09-09T01:46:40Z", "2001-09-09T01:46:41.500Z")
    assert sh(shared, "stat -c '%a %u %g %X %Y %i' /tmp/said/file").split() == ["640", "1", "2", "1000000000", "1000000001", str(info["ino"])]
    fs.symlink("file", "/tmp/said/link")
    fs.link("/tmp/said/file", "/tmp/said/hard")
    assert (fs.read_link("/tmp/said/link"), fs.real_path("/tmp/said/link")) == ("file", "/tmp/said/file")
    assert fs.lstat("/tmp/said/link")["is_symlink"] and fs.stat("/tmp/said/link")["ino"] == info["ino"]
    assert fs.stat("/tmp/said/hard")["nlink"] == 2
    with pytest.raises(Exception, match="AlreadyExists.*EEXIST|EEXIST.*AlreadyExists"):
        fs.symlink("other", "/tmp/said/link")
    fs.truncate("/tmp/said/link", 4)
    fs.copy_file("/tmp/said/file", "/tmp/said/copy")
    assert fs.read_text_file("/tmp/said/copy") == "0123"
    fs.write_text_file("/tmp/said/copy", "45", append=True)
    fs.write_file("/tmp/said/copy", io.BytesIO(b"6" * 200_000), append=True)
    assert sh(shared, "head -c 8 /tmp/said/copy; wc -c </tmp/said/copy") == "01234566200006\n"
    fs.write_text_file("/tmp/said/new", "new", create_new=True, mode=0o600)
    with pytest.raises(Exception, match="EEXIST"):
        fs.write_text_file("/tmp/said/new", "other", create_new=True)
    with pytest.raises(Exception, match="ENOENT"):
        fs.write_text_file("/tmp/said/none", "", append=True, create=False)
    assert sh(shared, "cat /tmp/said/new; stat -c %a /tmp/said/new") == "new600\n"
    fs.write_text_file("/tmp/said/link", "through the link")
    assert (fs.read_text_file("/tmp/said/hard"), fs.lstat("/tmp/said/link")["is_symlink"]) == ("through the link", True)
    made = fs.make_temp_dir(prefix="a-"), fs.make_temp_file(dir=fs.make_temp_dir(), suffix=".txt")
    assert re.fullmatch(r"/tmp/a-\w+", made[0]) and made[1].endswith(".txt")
    assert sh(shared, f"stat -c %a {made[0]} {made[1]}").split() == ["700", "600"]
    assert (fs.stat("/dev/null")["is_char_device"], fs.stat("/tmp")["is_directory"]) == (True, True)


def test_umask(sdk):
    with sdk.sandbox.create() as sandbox:
        assert (sandbox.fs.umask(), sandbox.fs.umask(0o077), sandbox.fs.umask()) == (0o022, 0o022, 0o077)
        sandbox.fs.write_text_file("/tmp/masked", "")
        sandbox.fs.mkdir("/tmp/masked-dir", mode=0o751)
        sandbox.fs.create("/tmp/masked-too")
        sandbox.fs.write_text_file("/tmp/named", "", mode=0o755)
        assert sh(sandbox, "cd /tmp; stat -c %a masked masked-dir masked-too named").split() == ["600", "700", "600", "755"]


def test_an_open_file(shared):
    with shared.fs.open("/tmp/open", read=True, write=True, create=True) as file:
        assert file.write(b"hello world") == 11
        assert (file.seek(6, 0), file.read(100), file.read(100)) == (6, b"world", b"")
        assert (file.seek(-5, 2), file.seek(1, 1), file.read(2)) == (6, 7, b"or")
        file.truncate(5)
        file.utime(1_000_000_000, 1_000_000_001.5)
        info = file.stat()
        assert (info["size"], info["mtime"]) == (5, "2001-09-09T01:46:41.500Z")
        file.sync()
        file.sync_data()
        file.lock(True)
        assert sh(shared, "flock -n /tmp/open true || echo locked") == "locked\n"
        file.unlock()
        assert sh(shared, "flock -n /tmp/open true && cat /tmp/open") == "hello"
        with pytest.raises(Exception, match="EINVAL"):
            file.seek(-1, 0)
        file.lock(True)
    eventually(lambda: sh(shared, "flock -n /tmp/open echo free || true") == "free\n", "the end of the lock with its file")
    with pytest.raises(Exception, match="EBADF"):
        file.read(1)
    with shared.fs.create("/tmp/open") as file:
        data = random.token_bytes(300_000)
        assert file.write(data) == len(data)
        file.seek(0, 0)
        assert file.read(len(data)) == data
    with shared.fs.open("/tmp/open") as file, pytest.raises(Exception, match="EACCES"):
        file.write(b"x")


def test_env(sdk):
    with sdk.sandbox.create(env={"AT_CREATE": "yes"}) as sandbox:
        assert sandbox.env.get("AT_CREATE") == "yes"
        sandbox.env.set("later", "1")
        assert sh(sandbox, "echo $AT_CREATE $later") == "yes 1\n"
        assert sandbox.env.as_dict()["later"] == "1"
        sandbox.env.delete("AT_CREATE")
        assert sandbox.env.get("AT_CREATE") is None
        assert sh(sandbox, "echo [$AT_CREATE]") == "[]\n"


def test_errors_are_the_sdks_own(shared, sdk):
    with pytest.raises(UnknownRpcMethod):
        shared.fs.download("/etc/hostname", "/tmp/never")
    with pytest.raises(RpcValidationError, match="command"):
        shared.spawn(5)
    with pytest.raises(Exception, match="ENOENT"):
        shared.spawn("no-such-program")
    with pytest.raises(ProcessAlreadyExited):
        shared._bridge.run(shared._rpc.call("processKill", {"pid": 999_999}))
    with pytest.raises(HTTPStatusError) as refused:
        sdk.apps.list()
    assert (refused.value.status_code, refused.value.code) == (501, "NOT_SERVED") and refused.value.trace_id


def test_a_token_that_is_none(monkeypatch):
    for token in ("ddo_nobody", "ddo_" + os.environ["COFFERDAM_SECRETS_TOKEN"], os.environ["COFFERDAM_TOKEN"]):
        stranger = DenoDeploy({"token": token})
        with pytest.raises(AuthenticationError), stranger.sandbox.create():
            pass
        with pytest.raises(HTTPStatusError) as refused:
            stranger.sandbox.list()
        assert (refused.value.status_code, refused.value.code) == (401, "INVALID_TOKEN")


def test_a_sandbox_is_its_tenants_alone(sdk, shared, new_token, tenant):
    stranger = DenoDeploy({"token": "ddo_" + new_token(f"other-{random.token_hex(4)}", API_SCOPES)})
    with pytest.raises(InvalidStatus, match="404"), stranger.sandbox.connect(shared.id):
        pass
    assert stranger.sandbox.list().items == []
    assert state(tenant, shared.id) == sandbox_pb2.SANDBOX_STATE_RUNNING


def test_a_session_is_the_sandboxes_life(sdk, tenant):
    with sdk.sandbox.create() as sandbox:
        assert state(tenant, sandbox.id) == sandbox_pb2.SANDBOX_STATE_RUNNING
    eventually(lambda: ended(tenant, sandbox.id), "its end")


def test_a_timeout_outlives_the_session(sdk, tenant):
    label = random.token_hex(6)
    with sdk.sandbox.create(timeout="10m", labels={"deno-test": label}, region="ams1", debug=True) as sandbox:
        sh(sandbox, "echo kept >/root/kept")
        until = sandbox.extend_timeout(900)
    listed = sdk.sandbox.list(labels={"deno-test": label}).items
    assert [(item["id"], item["region"], item["status"]) for item in listed] == [(sandbox.id, "ams1", "running")]
    found = tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox=own_id(sandbox.id)), timeout=CALL_SECONDS)
    assert abs(found.expire_time.ToSeconds() - until.timestamp()) < 60
    with sdk.sandbox.connect(sandbox.id) as again:
        assert sh(again, "cat /root/kept") == "kept\n"
        again.kill()
        # Its socket ends with it. (A call that crosses the close the SDK would wait for without end.)
        eventually(lambda: again._rpc._transport._ws.state is State.CLOSED, "the end of the socket")
        with pytest.raises(ConnectionClosed):
            again.env.set("a", "b")
    assert ended(tenant, sandbox.id)
    assert [item["status"] for item in sdk.sandbox.list(labels={"deno-test": label}).items] == ["stopped"]


def test_a_volume_outlives_its_sandboxes(sdk, tenant):
    slug = f"deno-{random.token_hex(4)}"
    made = sdk.volumes.create(slug, "ord", "64MiB")
    assert (made["id"], made["capacity"], made["is_bootable"]) == (slug, 64 << 20, False)
    assert sdk.volumes.get(slug) == made and sdk.volumes.list(search=slug).items == [made]
    with sdk.sandbox.create(volumes={"/data": slug}) as sandbox:
        sandbox.fs.write_text_file("/data/kept", "kept")
        with pytest.raises(HTTPStatusError) as refused:
            sdk.volumes.delete(slug)
        assert (refused.value.status_code, refused.value.code) == (409, "VOLUME_IN_USE")
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    with sdk.sandbox.create(volumes={"/data": slug}) as sandbox:
        assert sandbox.fs.read_text_file("/data/kept") == "kept"
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    sdk.volumes.delete(slug)
    assert sdk.volumes.get(slug) is None


def test_a_snapshot_of_a_volume_stays_what_it_was(sdk, tenant):
    slug, snapshot, copy = (f"deno-{kind}-{random.token_hex(4)}" for kind in ("v", "s", "c"))
    sdk.volumes.create(slug, "ord", "64MiB")
    with sdk.sandbox.create(volumes={"/data": slug}) as sandbox:
        sandbox.fs.write_text_file("/data/kept", "before")
        made = sdk.volumes.snapshot(slug, slug=snapshot)
        assert (made["slug"], made["is_bootable"], made["flattened_size"]) == (snapshot, False, 64 << 20)
        sandbox.fs.write_text_file("/data/kept", "after")
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    assert sdk.snapshots.get(snapshot) == made and sdk.snapshots.list(search=snapshot).items == [made]
    assert snapshot not in [volume["slug"] for volume in sdk.volumes.list().items]
    with pytest.raises(HTTPStatusError) as refused:
        sdk.volumes.snapshot(slug, slug=snapshot)
    assert (refused.value.status_code, refused.value.code) == (409, "SNAPSHOT_EXISTS")
    with pytest.raises(InvalidStatus, match="404"), sdk.sandbox.create(volumes={"/data": f"deno-snapshot-{snapshot}"}):
        pass
    assert sdk.volumes.create(copy, "ord", "64MiB", from_snapshot=snapshot)["base_snapshot"]["slug"] == snapshot
    with sdk.sandbox.create(volumes={"/data": copy}) as sandbox:
        assert sandbox.fs.read_text_file("/data/kept") == "before"
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    sdk.snapshots.delete(snapshot)
    assert sdk.snapshots.get(snapshot) is None
    for volume in (slug, copy):
        sdk.volumes.delete(volume)


@contextlib.contextmanager
def booted(sdk, root: str) -> Iterator:
    """This SDK gives a create up after ten seconds, which a boot may take where others boot beside it: what came of that ends
    once it runs, and then it is asked again."""
    entered = []

    def created() -> bool:
        manager = sdk.sandbox.create(root=root)
        try:
            entered.append((manager, manager.__enter__()))
        except TimeoutError:
            return False
        except InvalidStatus as refused:
            assert refused.response.status_code == 409, refused
            return False
        return True

    eventually(created, "a sandbox that has booted", seconds=4 * CALL_SECONDS)
    manager, sandbox = entered[0]
    try:
        yield sandbox
    finally:
        manager.__exit__(None, None, None)


def test_boot_from_a_volume_and_from_snapshots_of_it(sdk, tenant):
    slug, snapshot = (f"deno-{kind}-{random.token_hex(4)}" for kind in ("v", "s"))
    made = sdk.volumes.create(slug, "ord", "300MiB", from_snapshot="builtin:debian-13")
    assert (made["is_bootable"], made["base_snapshot"]) == (True, None)
    with booted(sdk, slug) as sandbox:
        sh(sandbox, "echo tool >/usr/local/bin/tool")
        with pytest.raises(InvalidStatus, match="409"), sdk.sandbox.create(root=slug):
            pass
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    assert sdk.volumes.snapshot(slug, slug=snapshot)["is_bootable"]
    with booted(sdk, slug) as sandbox:
        assert sh(sandbox, "cat /usr/local/bin/tool; echo later >/usr/local/bin/tool") == "tool\n"
    # Any number of a snapshot, each with a disk of its own, which goes with it.
    for _ in range(2):
        with booted(sdk, snapshot) as copy:
            assert sh(copy, "cat /usr/local/bin/tool; echo mine >/usr/local/bin/tool") == "tool\n"
    eventually(lambda: ended(tenant, sandbox.id), "its end")
    for root in (f"none-{slug}", f"deno-snapshot-{snapshot}"):
        with pytest.raises(InvalidStatus, match="404"), sdk.sandbox.create(root=root):
            pass
    sdk.snapshots.delete(snapshot)
    sdk.volumes.delete(slug)


def test_boot_from_a_snapshot_of_a_sandbox(sdk, tenant):
    with sdk.sandbox.create() as sandbox:
        sandbox.fs.write_text_file("/root/kept", "kept")
        request = snapshot_pb2.CreateSnapshotRequest(sandbox=own_id(sandbox.id), kind=snapshot_pb2.SNAPSHOT_KIND_DISK)
        taken = tenant.snapshots.CreateSnapshot(request, timeout=2 * CALL_SECONDS).id
    try:
        assert sdk.snapshots.get(taken)["is_bootable"] and taken in [one["id"] for one in sdk.snapshots.list(search=taken).items]
        with booted(sdk, taken) as sandbox:
            assert sandbox.fs.read_text_file("/root/kept") == "kept"
    finally:
        sdk.snapshots.delete(taken)
    assert sdk.snapshots.get(taken) is None
    with pytest.raises(InvalidStatus, match="404"), sdk.sandbox.create(root=taken):
        pass


def deno_secrets(tenant) -> list[str]:
    listed = tenant.secrets.ListSecrets(secret_pb2.ListSecretsRequest(page_size=1000), timeout=CALL_SECONDS)
    return [secret.name for secret in listed.secrets if secret.name.startswith("deno-")]


def test_a_secret_is_used_and_never_held(sdk, tenant, canary, upstream):
    before = set(deno_secrets(tenant))
    value = canary.value()
    config = {"API_KEY": {"hosts": [BOUND], "value": value}}
    with sdk.sandbox.create(secrets=config, allow_net=[BOUND, ALLOWED]) as sandbox:
        inside = sh(sandbox, 'printf %s "$API_KEY"')
        assert re.fullmatch("DENO_SECRET_PLACEHOLDER_[0-9a-f]{64}", inside)
        upstream.mark()
        echo = sh(sandbox, f'curl -sm 30 -H "X-Any-Header: $API_KEY" https://{BOUND}/headers')
        assert value in upstream.raw().decode()
        assert inside in echo and value not in echo
        refused = sh(sandbox, f'curl -sm 30 -o /dev/null -w "%{{http_code}} %header{{cofferdam-reason}}" -H "A: $API_KEY" https://{ALLOWED}/headers')
        assert refused == "403 placeholder_host_not_bound"
        assert set(deno_secrets(tenant)) > before
    eventually(lambda: set(deno_secrets(tenant)) <= before, "the secret's end with its sandbox")


def test_fetch_leaves_from_the_sandbox(sdk, canary, upstream):
    value = canary.value()
    with sdk.sandbox.create(secrets={"API_KEY": {"hosts": [BOUND], "value": value}}, allow_net=[BOUND]) as sandbox:
        upstream.mark()
        answer = sandbox.fetch(f"https://{BOUND}/headers", headers={"X-Any": sh(sandbox, 'printf %s "$API_KEY"')})
        assert answer.status_code == 200 and value in upstream.raw().decode()
        assert value not in str(answer.headers)
        with pytest.raises(Exception, match="TypeError.*ENOTFOUND|ENOTFOUND.*TypeError"):
            sandbox.fetch(f"https://{ALLOWED}/headers")


def test_without_the_secrets_token_nothing_is_put(tenant):
    half = DenoDeploy({"token": "ddo_" + os.environ["COFFERDAM_TOKEN"]})
    with pytest.raises(InvalidStatus, match="403"), half.sandbox.create(secrets={"K": {"hosts": [BOUND], "value": "x" * 20}}):
        pass


def test_nothing_leaves_that_was_not_allowed(shared):
    assert sh(shared, f"curl -sm 30 -o /dev/null https://{ALLOWED}/ || echo refused") == "refused\n"


def test_a_thousand_calls_at_a_time(shared):
    for i in range(10):
        shared.fs.write_text_file(f"/tmp/number-{i}", str(i))

    async def all_of_them():
        calls = [shared._rpc.call("readTextFile", {"path": f"/tmp/number-{i % 10}"}) for i in range(1000)]
        return await asyncio.gather(*calls)

    assert shared._bridge.run(all_of_them()) == [str(i % 10) for i in range(1000)]


def test_the_asynchronous_client():
    async def main() -> bytes:
        sdk = AsyncDenoDeploy()
        async with sdk.sandbox.create() as sandbox:
            process = await sandbox.spawn("echo", args=["hello"], stdout="piped")
            await process.wait()
            return await process.stdout.read()

    assert asyncio.run(main()) == b"hello\n"


class Raw:
    """A socket whose client need not behave."""

    def __init__(self, config: dict | None, path: str = "/api/v3/sandboxes/create"):
        host, port = os.environ["DENO_SANDBOX_ENDPOINT"].removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=CALL_SECONDS)
        encoded = base64.b64encode(json.dumps(config).encode()).decode()
        configuration = "" if config is None else f"X-Deno-Sandbox-Config: {encoded}\r\n"
        self.socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(random.token_bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
                f"Authorization: Bearer {os.environ['DENO_DEPLOY_TOKEN']}\r\n{configuration}\r\n"
            ).encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.socket.recv(4096)
            assert part, head
            head += part
        assert head.startswith(b"HTTP/1.1 101 "), head
        [line] = [line for line in head.decode().splitlines() if line.lower().startswith("x-deno-sandbox-id:")]
        self.id = line.split(":", 1)[1].strip()

    def call(self, number: int, method: str, params: dict) -> None:
        text = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
        mask = random.token_bytes(4)
        length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + struct.pack("!H", len(text))
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text)))

    def vanish(self) -> None:
        """Without a close, and with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def test_a_client_that_vanishes_in_the_middle_of_a_stream(tenant):
    raw = Raw({})
    raw.call(1, "spawn", {"command": "yes", "stdout": "piped", "stderr": "null"})
    answer = raw.socket.recv(65536)
    pid = json.loads(answer[answer.index(b"{") :])["result"]["ok"]["pid"]
    raw.call(2, "processWait", {"pid": pid})
    raw.socket.recv(65536)
    raw.vanish()
    eventually(lambda: ended(tenant, raw.id), "the end of its sandbox")


def test_a_client_that_reads_nothing(tenant):
    raw = Raw({})
    raw.call(1, "spawn", {"command": "yes", "stdout": "piped", "stderr": "null"})
    answer = raw.socket.recv(65536)
    pid = json.loads(answer[answer.index(b"{") :])["result"]["ok"]["pid"]
    raw.call(2, "processWait", {"pid": pid})
    eventually(lambda: ended(tenant, raw.id), "the end of its sandbox", seconds=120)
    raw.vanish()


def test_sockets_that_together_want_more_than_there_is(shared):
    """Each is within its own limits: a message of 16 MiB that does not end. Forty are more than twice the edge's heap."""
    greedy = [Raw(None, f"/api/v3/sandbox/{shared.id}/connect") for _ in range(40)]
    part = bytes(1 << 20)
    for raw in greedy:
        try:
            raw.socket.sendall(b"\x81\xff" + struct.pack("!Q", 16 << 20) + bytes(4))
            for _ in range(15):
                raw.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            continue
        assert shared.env.get("PATH")

    def over(raw: Raw) -> bool:
        raw.socket.setblocking(False)
        try:
            # Nothing else was to be said to it than a close.
            return raw.socket.recv(1, socket.MSG_PEEK) in (b"", b"\x88")
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    eventually(lambda: sum(map(over, greedy)) >= 34, "the end of those that hold what there is no room for")
    for raw in greedy:
        raw.vanish()
    assert sh(shared, "echo alive") == "alive\n"


def run_javascript(check: str, **environment: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name.startswith("DENO_") or name == "PATH"}
    done = subprocess.run(
        [JAVASCRIPT_SDK / "node/bin/node", JAVASCRIPT, check],
        env=variables | environment | {"DENO_SDK": str(JAVASCRIPT_SDK)}, capture_output=True, text=True, timeout=280,
    )
    assert done.returncode == 0 and done.stdout.endswith(f"ok {check}\n"), f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("check", [name for name in CHECKS if name not in ("secret", "expose", "ssh", "vscode")])
def test_javascript(check):
    run_javascript(check)


def test_javascript_uses_a_secret_and_never_holds_it(canary, upstream):
    upstream.mark()
    value = canary.value()
    run_javascript("secret", SECRET_VALUE=value, BOUND=BOUND, OTHER=ALLOWED)
    assert value in upstream.raw().decode()
