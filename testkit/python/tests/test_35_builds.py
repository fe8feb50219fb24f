"""Templates that are built: Debian with packages and steps, in a sandbox that nothing is left of."""

import contextlib
import secrets as random
from collections.abc import Iterator

import grpc
import pytest
from conftest import DENIED
from test_20_bad_input import refused
from test_34_templates import delete, get, ready
from test_60_cli import cofferdam, output

from cofferdam.v1 import sandbox_pb2, template_pb2
from cofferdam_e2e import packages
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

# testkit/run.sh gives them an address of the outside world.
REPOSITORY = "packages.echo.test"
ADDRESS = "203.0.113.11"
SOURCE = f"deb [trusted=yes] http://{REPOSITORY}/ ./"
BUILDER = "cofferdam.dev/builds"
# An emulated guest reads some hundred MB of files.
BUILD_SECONDS = 15 * CALL_SECONDS

# What a package for servers does when it is installed: keys and an identity of this one machine, and a service.
POSTINST = """
mkdir -p /etc/ssh /var/lib/dbus
echo private >/etc/ssh/ssh_host_ed25519_key
cp /etc/machine-id /var/lib/dbus/machine-id
/usr/sbin/policy-rc.d greet start && touch /etc/was-started || echo "not started: $?" >/etc/was-not-started
"""


@pytest.fixture(scope="module")
def repository(stage, tmp_path_factory) -> Iterator[None]:
    directory = tmp_path_factory.mktemp("packages") / "served"
    directory.mkdir()
    packages.package(directory, "greet", "1.2-1", {"usr/bin/greet": "#!/bin/sh\necho hello from $(cat /etc/greeting)\n"}, POSTINST)
    packages.package(directory, "g++", "0", {"usr/bin/never": "#!/bin/sh\n"})
    packages.index(directory)
    with packages.served(stage, ADDRESS, directory):
        yield


@pytest.fixture
def new_build(tenant):
    made = []

    def begin(*, wait: bool = True, egress=None, **debian) -> template_pb2.Template:
        name = f"b-{random.token_hex(6)}"
        source = template_pb2.DebianSource(egress_policy=egress, **debian)
        request = template_pb2.CreateTemplateRequest(name=name, source=template_pb2.TemplateSource(debian=source))

        def begun():
            # Another test may just have killed what is asked: UNAVAILABLE means try again, and that nothing was made.
            try:
                return tenant.templates.CreateTemplate(request, timeout=2 * CALL_SECONDS)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                return None

        eventually(begun, "a build begins")
        made.append(name)
        return ended(tenant, name) if wait else get(tenant, name)

    yield begin
    for name in made:
        with contextlib.suppress(grpc.RpcError):
            delete(tenant, name)
    eventually(lambda: not builders(tenant), "no builder is left")


def ended(tenant, name: str) -> template_pb2.Template:
    """A scheduler that is killed meanwhile answers again later."""

    def look():
        try:
            template = get(tenant, name, wait=True)
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error
            return None
        return template if template.state != template_pb2.TEMPLATE_STATE_MAKING else None

    return eventually(look, f"the end of the build of {name}", seconds=BUILD_SECONDS)


def failed(template: template_pb2.Template) -> str:
    assert template.state == template_pb2.TEMPLATE_STATE_FAILED
    return template.message


def builders(tenant) -> list[sandbox_pb2.Sandbox]:
    """Those that have not ended."""
    request = sandbox_pb2.ListSandboxesRequest(page_size=1000)
    found = tenant.sandboxes.ListSandboxes(request, timeout=CALL_SECONDS).sandboxes
    return [each for each in found if BUILDER in each.labels and each.state != sandbox_pb2.SANDBOX_STATE_ENDED]


def authorities(sandbox: Sandbox) -> tuple[str, str]:
    """The one that the agent made known, and how often its certificate is in the bundle."""
    own = sandbox.read("/usr/local/share/ca-certificates/cofferdam.crt").decode()
    bundle = sandbox.read("/etc/ssl/certs/ca-certificates.crt").decode()
    return own, str(bundle.count(own.strip()))


def test_packages_and_steps_run_in_what_is_made_of_it(tenant, stage, repository, new_build, new_sandbox, mesh):
    before = stage.unexpected()
    template = ready(
        new_build(
            egress=policy(REPOSITORY),
            sources=[SOURCE],
            packages=["greet=1.2-1"],
            steps=[
                "echo 'the first step' >/etc/greeting; id -un >/etc/built-by; cat /usr/local/share/ca-certificates/cofferdam.crt >/etc/builders-authority",
                "mkdir /srv/app; chown 1234:77 /srv/app; chmod 2750 /srv/app; echo x >/srv/app/a; ln /srv/app/a /srv/app/b; ln -s a /srv/app/c;"
                " touch /tmp/of-the-build /var/tmp/of-the-build; cp /etc/machine-id /etc/builders-id;"
                " python3 -c \"import os; os.setxattr('/srv/app/a', 'user.mark', b'kept')\"",
            ],
        )
    )
    assert template.digest.startswith("sha256:")
    # It was gone before anybody was told.
    assert builders(tenant) == []
    assert not list((mesh.state / "node" / "data" / "builds").iterdir())

    # Without a way out: what holds for the build holds for nothing else.
    one, two = (new_sandbox(template=template.name) for _ in range(2))
    for sandbox in (one, two):
        assert sandbox.output("greet") == "hello from the first step"
        assert sandbox.output("cat /etc/built-by /etc/was-not-started") == "root\nnot started: 101"
        assert sandbox.output("stat -c %u:%g:%a /srv/app; stat -c %h /srv/app/a; readlink /srv/app/c").split() == ["1234:77:2750", "2", "a"]
        assert sandbox.output("python3 -c \"import os; print(os.getxattr('/srv/app/a', 'user.mark').decode())\"") == "kept"
        assert sandbox.output("cat /etc/apt/sources.list") == SOURCE
        # Nothing of the sandbox that it was built in.
        gone = "/etc/ssh/ssh_host_ed25519_key /var/lib/dbus/machine-id /tmp/of-the-build /var/tmp/of-the-build /usr/sbin/policy-rc.d"
        assert sandbox.output(f"for f in {gone}; do [ ! -e $f ] || echo $f; done; ls /var/lib/apt/lists") == ""
    identities = [sandbox.output("cat /etc/machine-id") for sandbox in (one, two)] + [one.output("cat /etc/builders-id")]
    assert len(set(identities)) == 3 and all(len(each) == 32 for each in identities)
    roots = [authorities(sandbox) for sandbox in (one, two)]
    builders_own = one.read("/etc/builders-authority").decode()
    assert builders_own.startswith("-----BEGIN CERTIFICATE-----")
    assert len({roots[0][0], roots[1][0], builders_own}) == 3 and [count for _, count in roots] == ["1", "1"]
    assert builders_own.strip() not in one.read("/etc/ssl/certs/ca-certificates.crt").decode()
    assert one.sh(f"curl -sS -m 5 http://{REPOSITORY}/Release").exit_code != 0
    assert stage.unexpected() == before, stage.describe()


def test_what_no_policy_allows_is_not_there_for_a_build_either(tenant, stage, repository, new_build):
    before = stage.unexpected()
    # Neither for packages: without a policy nothing is reached.
    message = failed(new_build(sources=[SOURCE], packages=["greet"]))
    assert message.startswith("installing the packages ended with 100") and REPOSITORY in message
    probe = f"curl -fsS -m 5 http://{DENIED}/ || echo denied; curl -fsS -m 5 http://203.0.113.66/ || echo unreached; exit 5"
    message = failed(new_build(egress=policy(REPOSITORY), steps=[probe]))
    assert message.startswith("step 1 ended with 5") and "denied" in message and "unreached" in message
    assert stage.unexpected() == before, stage.describe()
    assert builders(tenant) == []


def test_what_fails_is_told_with_the_end_of_its_output(tenant, repository, new_build):
    message = failed(new_build(steps=["true", "for n in $(seq 2000); do echo line $n; done; echo 'at last' >&2; false; echo not reached"]))
    assert message.startswith("step 2 ended with 1: ") and "line 2000" in message and "at last" in message
    assert "not reached" not in message and "line 1 |" not in message
    # What was written last is last, into whichever of its two outputs.
    message = failed(new_build(steps=["for n in $(seq 300); do echo out $n; echo err $n >&2; done; exit 4"]))
    assert message.endswith(" | out 299 | err 299 | out 300 | err 300")
    # Not taken for a pattern, of which "greet" would be one.
    message = failed(new_build(egress=policy(REPOSITORY), sources=[SOURCE], packages=["gr.et"]))
    assert message.startswith("installing the packages ended with 100") and "gr.et" in message
    template = new_build(steps=["exit 3"])
    with refused("FAILED_PRECONDITION", "TEMPLATE_NOT_READY"):
        Sandbox.create(tenant, template=template.name)


@pytest.mark.parametrize("process", ["scheduler-svc", "node-agent"])
def test_a_build_ends_with_its_builder_whoever_is_killed(process, tenant, host, new_build):
    template = new_build(wait=False, steps=["until [ -e /go ]; do sleep 0.2; done; echo went on; exit 7"])
    (builder,) = builders(tenant)
    assert builder.labels[BUILDER] == template.name
    sandbox = Sandbox(tenant, builder)
    eventually(lambda: sandbox.sh("pgrep -f '[u]ntil' >/dev/null").exit_code == 0, "the step runs")
    host.await_restart(process, host.kill(process))
    if process == "scheduler-svc":
        # The build goes on without it, and the next one waits for its end.
        eventually(lambda: written(sandbox, "/go"), "the builder is reached again")
        assert failed(ended(tenant, template.name)) == "step 1 ended with 7: went on"
    else:
        assert failed(ended(tenant, template.name)) == "the node stopped while it was being built"
    eventually(lambda: not builders(tenant), "no builder is left")
    eventually(lambda: not list(host.state.rglob(f"{builder.id}*")), f"nothing of {builder.id} is left on the node")


def written(sandbox: Sandbox, path: str) -> bool:
    try:
        sandbox.write(path, b"")
        return True
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def test_by_the_command_line(repository):
    name = f"b-{random.token_hex(6)}"
    done = cofferdam("template", "create", name, "--debian", "--source", SOURCE, "--allow-net", REPOSITORY, "--package", "greet", "--step", "greet; exit 4")
    try:
        assert done.returncode == 1 and b"step 1 ended with 4" in done.stderr, done
        assert any(line.split()[:3:2] == [name, "failed"] for line in output("template", "ls").splitlines())
    finally:
        output("template", "rm", name)
