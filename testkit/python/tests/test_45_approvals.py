"""Requests that wait for a person's word, from a real guest to the client on the command line."""


import grpc
import pytest
from conftest import BOUND
from test_60_cli import cofferdam

from cofferdam.v1 import policy_pb2, sandbox_pb2
from cofferdam_e2e.events import ALLOWED as LET
from cofferdam_e2e.events import CHANGE, DECISION, Events
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

APPROVE = policy_pb2.RULE_ACTION_APPROVE
POLICY = policy_pb2.EgressPolicy(
    rules=[
        policy_pb2.EgressRule(host=BOUND, http=policy_pb2.HttpMatch(methods=["GET"])),
        policy_pb2.EgressRule(host=BOUND, action=APPROVE),
    ]
)


@pytest.fixture
def sandbox(tenant, new_secret):
    name, value = new_secret(BOUND)
    made = Sandbox.create(tenant, secrets=[(name, "KEY")], egress=POLICY)
    made.secret = (name, value)
    yield made
    made.delete()


def delete(sandbox: Sandbox, path: str):
    """A request under way, whose status is printed in the end."""
    return sandbox.start(
        "sh", "-c", f'curl -sS --max-time 300 -X DELETE -H "Authorization: Bearer $KEY" -D - -o /dev/null -w "%{{http_code}}" https://{BOUND}{path}'
    )


def waiting(sandbox: Sandbox, path: str) -> list[str]:
    """Its line, as words, once it waits."""

    def line():
        listed = cofferdam("approvals", "--sandbox", sandbox.id)
        assert listed.returncode == 0, listed
        return next((text.split() for text in listed.stdout.decode().splitlines() if path in text), None)

    def missing() -> str:
        events = Events(sandbox.tenant, sandbox.id)
        events.read()
        return f"a request for {path} waits; on record:\n{events}"

    return eventually(line, missing)


def test_a_write_waits_and_goes_on_when_approved(sandbox, tenant, upstream):
    name, value = sandbox.secret
    upstream.mark()
    assert sandbox.sh(f"curl -fsS -o /dev/null https://{BOUND}/headers").exit_code == 0, "what is read waits for nobody"
    request = delete(sandbox, "/headers?a=1")
    line = waiting(sandbox, "/headers")
    assert line[1:5] == [sandbox.id, "waiting", "DELETE", f"https://{BOUND}:443/headers"]
    assert f"secrets={name}" in line and value not in " ".join(line)
    assert len(upstream.received()) == 1, "nothing leaves before"

    approved = cofferdam("approve", line[0])
    assert approved.returncode == 0, approved
    assert request.wait().text.endswith("200")
    assert upstream.received()[-1]["headers"]["Authorization"] == [f"Bearer {value}"]
    again = cofferdam("approve", line[0])
    assert again.returncode == 1 and b"APPROVAL_OVER" in again.stderr, again

    events = Events(tenant, sandbox.id)
    answered = events.expect("who approved", type=CHANGE, approval=line[0], verdict=LET)
    assert answered.token.startswith("tk-") and answered.method == "DELETE"
    events.expect("what it let go", type=DECISION, approval=line[0], status=200)


def test_what_is_denied_never_leaves(sandbox, upstream):
    upstream.mark()
    request = delete(sandbox, "/echo")
    line = waiting(sandbox, "/echo")
    assert cofferdam("deny", line[0]).returncode == 0
    done = request.wait()
    assert done.text.endswith("403") and "approval_denied" in done.text, done
    assert upstream.received() == []


def test_an_approval_is_of_one_request(sandbox, upstream):
    upstream.mark()
    first, second = delete(sandbox, "/headers?first"), delete(sandbox, "/echo?second")
    of_second = waiting(sandbox, "/echo")
    of_first = waiting(sandbox, "/headers")
    assert of_first[0] != of_second[0]
    assert cofferdam("approve", of_second[0]).returncode == 0
    assert second.wait().text.endswith("200")
    assert [request["path"] for request in upstream.received()] == ["/echo"]
    assert cofferdam("deny", of_first[0]).returncode == 0
    assert "approval_denied" in first.wait().text


def test_what_is_remembered_waits_no_more(sandbox, upstream):
    request = delete(sandbox, "/headers")
    assert cofferdam("approve", waiting(sandbox, "/headers")[0], "--for", "10m").returncode == 0
    assert request.wait().text.endswith("200")
    assert delete(sandbox, "/headers").wait().text.endswith("200")
    other = delete(sandbox, "/echo")
    assert cofferdam("deny", waiting(sandbox, "/echo")[0]).returncode == 0
    assert "approval_denied" in other.wait().text


def test_a_guest_that_leaves_and_an_update_end_the_question(sandbox, tenant):
    left = sandbox.start("sh", "-c", f"curl -sS --max-time 300 -X DELETE -o /dev/null https://{BOUND}/headers & echo $!; wait")
    left.until(b"\n")
    line = waiting(sandbox, "/headers")
    assert sandbox.sh(f"kill {bytes(left.stdout).decode().split()[0]}").exit_code == 0
    eventually(lambda: not cofferdam("approvals", "--sandbox", sandbox.id).stdout, "the question of a guest that left is over")
    late = cofferdam("approve", line[0])
    assert late.returncode == 1 and b"APPROVAL_OVER" in late.stderr, late

    request = delete(sandbox, "/echo")
    waiting(sandbox, "/echo")
    tenant.sandboxes.UpdateSandboxPolicy(
        sandbox_pb2.UpdateSandboxPolicyRequest(
            sandbox=sandbox.id, egress_policy=policy_pb2.EgressPolicy(rules=[policy_pb2.EgressRule(host=BOUND, http=policy_pb2.HttpMatch(methods=["GET"]))])
        ),
        timeout=CALL_SECONDS,
    )
    assert "request_not_allowed" in request.wait().text
    eventually(lambda: not cofferdam("approvals", "--sandbox", sandbox.id).stdout, "nothing waits any more")


def test_who_may_create_sandboxes_may_not_answer(new_token):
    """The scheduler takes no token that may answer."""
    with pytest.raises(grpc.RpcError) as refused:
        new_token("default", ("sandboxes:write", "approvals"), broker=False)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
