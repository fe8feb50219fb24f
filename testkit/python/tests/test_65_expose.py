"""`exposeHttp` of both SDKs of Deno Sandbox: a host name of its own for a port, which is for everybody; and Python's port of a
create, which is for everybody under the URL that says it. What the one for JavaScript does is a check of
testkit/javascript/deno_sdk.mjs; how requests are parsed is tested in edge-gateway."""

import http.client
import json
import os
import re
import secrets as random
import socket

import pytest
from deno_sandbox import DenoDeploy
from deno_sandbox.errors import HTTPStatusError, RpcValidationError
from test_61_deno_sdk import own_id, run_javascript
from test_62_port_urls import LARGE, PORT, SERVER, domain
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cofferdam.v1 import port_key_pb2, sandbox_pb2
from cofferdam_e2e.mesh import API_SCOPES, CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually


@pytest.fixture(scope="module")
def sdk() -> DenoDeploy:
    return DenoDeploy()


@pytest.fixture(scope="module")
def shared(sdk):
    with sdk.sandbox.create() as sandbox:
        serve(sandbox)
        yield sandbox


def serve(sandbox) -> None:
    sandbox.fs.write_text_file("/root/pages.py", SERVER)
    sandbox.spawn("sh", args=["-c", f"exec python3 /root/pages.py {LARGE} >/tmp/ready"], stdout="null", stderr="null")
    eventually(lambda: b"ready" in read(sandbox, "/tmp/ready"), "a server that listens")


def read(sandbox, path: str) -> bytes:
    try:
        return sandbox.fs.read_file(path)
    except Exception:
        return b""


def foreign_id(sandbox: Sandbox) -> str:
    return "sbx_ord_" + sandbox.id[3:].translate(str.maketrans("ilo", "018"))


def authority(url: str) -> str:
    assert url.startswith("https://")
    return url.removeprefix("https://")


def ask(url: str, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """Without TLS, which the tests' edge has none of, and to this machine, as a browser resolves `.localhost`."""
    connection = http.client.HTTPConnection("127.0.0.1", domain()[1], timeout=CALL_SECONDS)
    connection.request("GET", path, headers={"Host": authority(url)} | headers)
    return connection.getresponse()


def whole(answer: http.client.HTTPResponse) -> tuple:
    return answer.status, sorted(header for header in answer.getheaders() if header[0].lower() != "date"), answer.read()


def test_a_name_lasts_as_long_as_its_sandbox(tenant, sdk, new_sandbox, host):
    """The first of the file: no other socket may be open when the edge is killed."""
    sandbox = new_sandbox()
    sandbox.write("/root/pages.py", SERVER.encode())
    sandbox.start("python3", "/root/pages.py", str(LARGE)).until(b"ready")
    with sdk.sandbox.connect(foreign_id(sandbox)) as connected:
        url = connected.expose_http(port=PORT)
        taken_back = connected.expose_http(port=PORT)
    host.await_restart("edge-gateway", host.kill("edge-gateway"))

    def status() -> int:
        try:
            return ask(url).status
        except ConnectionError:
            return 0

    eventually(status, "an edge that listens again")
    assert status() == 200
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS)
    assert ask(url).status == 200, "it wakes"
    keys = tenant.port_keys.ListPortKeys(port_key_pb2.ListPortKeysRequest(sandbox=sandbox.id), timeout=CALL_SECONDS).keys
    assert {key.host for key in keys} == {authority(each).split(".")[0] for each in (url, taken_back)}
    for key in keys:
        if key.host == authority(taken_back).split(".")[0]:
            tenant.port_keys.DeletePortKey(port_key_pb2.DeletePortKeyRequest(id=key.id), timeout=CALL_SECONDS)
    never = whole(ask("https://" + "a" * 12 + authority(url)[12:]))
    assert never[0] == 404
    assert whole(ask(taken_back)) == never
    assert ask(url).status == 200
    sandbox.delete()
    assert whole(ask(url)) == never, "nobody is told that it was there"


def test_a_port_has_a_name_for_everybody(shared):
    url = shared.expose_http(port=PORT)
    name, listening = domain()
    assert re.fullmatch(rf"https://[a-z2-7]{{12}}-{own_id(shared.id)[3:]}\.{name}:{listening}", url)
    secret = os.environ["COFFERDAM_TOKEN"]
    answer = ask(url, "/a?b=c&cofferdam_key=cfk_x", **{"Proxy-Authorization": f"Bearer {secret}", "Authorization": "Bearer mine", "Cookie": "cofferdam-port=cfk_y; a=b"})
    text = answer.read().decode()
    assert answer.status == 200, text
    asked = json.loads(text)
    headers = {name.lower(): value for name, value in asked["headers"]}
    assert asked["path"] == "/a?b=c"
    assert (headers["host"], headers["authorization"], headers["cookie"]) == (authority(url), "Bearer mine", "a=b")
    assert not re.search(rf"{secret}|cfk_|proxy-auth", text, re.IGNORECASE)
    again = shared.expose_http(port=PORT)
    assert again != url
    assert [ask(each).status for each in (url, again)] == [200, 200]
    assert ask(f"https://{PORT}-{own_id(shared.id)}.{name}:{listening}").status == 401, "the port's own URL"


def test_a_port_of_the_create_is_for_everybody(tenant, sdk):
    with sdk.sandbox.create(port=PORT) as sandbox:
        serve(sandbox)
        name, listening = domain()
        own = own_id(sandbox.id)
        assert ask(f"https://{PORT}-{own}.{name}:{listening}", "/a").status == 200
        assert ask(f"https://{PORT + 1}-{own}.{name}:{listening}").status == 401, "no other port"
        keys = tenant.port_keys.ListPortKeys(port_key_pb2.ListPortKeysRequest(sandbox=own), timeout=CALL_SECONDS).keys
        assert [(key.port, key.public, key.host) for key in keys] == [(PORT, True, "")]


def refused_create(deploy: DenoDeploy, port: int) -> tuple[int, dict]:
    with pytest.raises(InvalidStatus) as refused, deploy.sandbox.create(port=port):
        pass
    return refused.value.response.status_code, json.loads(refused.value.response.body)


def test_a_port_of_the_create_that_is_none(sdk):
    for port in (0, 65536, 1024):
        status, answer = refused_create(sdk, port)
        assert (status, answer["code"]) == (400, "INVALID_PORT")


def test_a_sandbox_whose_port_may_not_be_public_is_taken_back(new_token):
    without = DenoDeploy({"token": "ddo_" + new_token(f"other-{random.token_hex(4)}", [scope for scope in API_SCOPES if scope != "ports"])})
    status, answer = refused_create(without, PORT)
    assert (status, answer["code"]) == (403, "SCOPE_MISSING")
    assert f"port {PORT} could not be made public" in answer["message"]
    assert [made["status"] for made in without.sandbox.list().items] == ["stopped"]


def test_websockets_too(shared):
    url = shared.expose_http(port=PORT)
    with connect(f"ws://{authority(url)}/", sock=socket.create_connection(("127.0.0.1", domain()[1]), CALL_SECONDS), compression=None) as client:
        client.send("one")
        assert client.recv(timeout=CALL_SECONDS) == "one"


def test_a_port_that_is_none(shared):
    for port in (0, 65536, -1):
        with pytest.raises(HTTPStatusError, match="port") as refused:
            shared.expose_http(port=port)
        assert (refused.value.status_code, refused.value.code) == (400, "INVALID_REQUEST")
    with pytest.raises(Exception, match="EINVAL|TypeError"):
        shared.expose_http(port=1024)
    for params in ({"domain": "shop.localhost", "port": 80}, {"domain": authority(shared.expose_http(port=PORT)), "port": 0}):
        with pytest.raises(RpcValidationError):
            shared._bridge.run(shared._rpc.call("exposeHttp", params))


def test_a_name_is_of_one_port_of_one_sandbox(sdk, shared):
    url = shared.expose_http(port=PORT)
    with pytest.raises(Exception, match="HOST_TAKEN"):
        shared._bridge.run(shared._rpc.call("exposeHttp", {"domain": authority(url), "port": 81}))
    with sdk.sandbox.create() as other, pytest.raises(RpcValidationError, match="domain"):
        other._bridge.run(other._rpc.call("exposeHttp", {"domain": authority(url), "port": PORT}))
    assert ask(url).status == 200


def test_a_deno_process_by_its_pid(shared):
    process = shared.deno.run(code="Deno.serve(() => new Response('of deno', { status: 203 }))", stdout="null", stderr="null")
    url = shared.expose_http(pid=process.pid)
    assert process.wait_http_ready()
    answer = ask(url)
    assert (answer.status, answer.read()) == (203, b"of deno")
    shared._bridge.run(process._async.kill())
    sleeper = shared.spawn("sleep", args=["1000"], stdout="null", stderr="null")
    for pid in (sleeper.pid, 999_999):
        with pytest.raises(Exception, match=f"no Deno process {pid}"):
            shared.expose_http(pid=pid)


def test_nobody_exposes_anothers(shared, other_tenant):
    endpoint = os.environ["DENO_SANDBOX_ENDPOINT"].removeprefix("http://")
    for token, expected in (("ddo_" + other_tenant.token, 404), ("ddo_nobody", 401)):
        connection = http.client.HTTPConnection(endpoint, timeout=CALL_SECONDS)
        connection.request("POST", f"/api/v3/sandbox/{shared.id}/expose/http", b"{}", {"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == expected


def test_javascript_exposes_too():
    run_javascript("expose", PORTS_PORT=str(domain()[1]))
