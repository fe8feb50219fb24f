"""Templates of OCI images: from a file of the operator's and from a real registry, and what runs in them."""

import secrets as random
import shutil
import tarfile
from collections.abc import Iterator

import pytest
from test_20_bad_input import INVALID, refused
from test_60_cli import cofferdam, output
from test_81_survive import counted

from cofferdam.v1 import sandbox_pb2, template_pb2
from cofferdam_e2e.image import BUSYBOX, KERNELS, Image, Layer, Registry, busybox, digest, registry
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.sandbox import Sandbox
from cofferdam_e2e.waiting import eventually

# The one that testkit/run.sh allows.
ALLOWED = "127.0.0.1:5000"
SMALL = sandbox_pb2.SandboxSize(vcpus=1, memory_mib=256, disk_mib=64)
USER = 1234


def app(mark: str) -> Image:
    """Two layers, of which the second hides a file of the first, and a user of its own."""
    lower = busybox("sh", "id", "pwd", "cat", "stat", "ls")
    lower.file("etc/passwd", f"app:x:{USER}:{USER}::/srv/app:/bin/sh\n".encode())
    lower.file("srv/app/kept", mark.encode(), uid=USER).file("srv/app/hidden", b"x").link("srv/app/same", "srv/app/kept", tarfile.LNKTYPE)
    upper = Layer().file("srv/app/.wh.hidden").file("srv/app/added", b"by the second layer\n")
    return Image(lower.tar(), upper.tar(), Env=["PATH=/bin", "GREETING=hello=world"], WorkingDir="/srv/app", User="app")


def check_app(sandbox: Sandbox, mark: str) -> None:
    told = sandbox.output("id -u; pwd; echo $GREETING; cat kept added; ls; stat -c %h,%u same")
    assert told.splitlines() == [
        str(USER), "/srv/app", "hello=world", mark.strip(), "by the second layer", "added", "kept", "same", f"2,{USER}"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Registry]:
    with registry(ALLOWED, tmp_path_factory.mktemp("registry")) as up:
        yield up


@pytest.fixture
def image_file(mesh):
    """Puts an image where the operator puts them."""
    made = []

    def put(content: bytes) -> str:
        name = f"{random.token_hex(8)}.tar"
        path = mesh.state / "node" / "image-files" / name
        path.write_bytes(content)
        path.chmod(0o644)
        made.append(path)
        return name

    yield put
    for path in made:
        path.unlink()


@pytest.fixture
def new_template(tenant):
    made = []

    def create(owner=tenant, *, name: str = "", **source) -> template_pb2.Template:
        request = template_pb2.CreateTemplateRequest(
            name=name or f"t-{random.token_hex(6)}", source=template_pb2.TemplateSource(**source), default_size=SMALL
        )
        begun = owner.templates.CreateTemplate(request, timeout=CALL_SECONDS)
        assert begun.state == template_pb2.TEMPLATE_STATE_MAKING
        made.append((owner, request.name))
        ended = get(owner, request.name, wait=True)
        assert ended.state != template_pb2.TEMPLATE_STATE_MAKING
        return ended

    yield create
    for owner, name in made:
        if any(each.name == name and each.tenant for each in listed(owner)):
            delete(owner, name)


def ready(template: template_pb2.Template) -> template_pb2.Template:
    assert template.state == template_pb2.TEMPLATE_STATE_READY, template.message
    return template


def get(owner, name: str, *, wait: bool = False) -> template_pb2.Template:
    return owner.templates.GetTemplate(template_pb2.GetTemplateRequest(name=name, wait=wait), timeout=5 * CALL_SECONDS)


def delete(owner, name: str) -> None:
    owner.templates.DeleteTemplate(template_pb2.DeleteTemplateRequest(name=name), timeout=CALL_SECONDS)


def listed(owner) -> list[template_pb2.Template]:
    return list(owner.templates.ListTemplates(template_pb2.ListTemplatesRequest(page_size=1000), timeout=CALL_SECONDS).templates)


def test_an_image_of_a_file_runs_with_what_it_says(new_template, new_sandbox, image_file):
    mark = random.token_hex(8) + "\n"
    image = app(mark)
    template = ready(new_template(file=image_file(image.layout())))
    assert template.digest == digest(image.config)

    sandbox = new_sandbox(template=template.name)
    assert sandbox.record.template == template.name and sandbox.record.size == SMALL
    assert sandbox.record.start.way == sandbox_pb2.START_WAY_RESTORED
    check_app(sandbox, mark)
    # What the caller says comes before what the image says.
    assert sandbox.output("id -u; pwd; echo $GREETING", user="root", working_directory="/bin", env={"GREETING": "mine"}).split() == [
        "0", "/bin", "mine"
    ]  # fmt: skip
    assert sandbox.output("id -u; id -g", user="77:88").split() == ["77", "88"]
    # Another size boots, and is no less of the image.
    larger = new_sandbox(template=template.name, size=sandbox_pb2.SandboxSize(vcpus=1, memory_mib=320, disk_mib=96))
    assert larger.record.start.way == sandbox_pb2.START_WAY_BOOTED
    check_app(larger, mark)


def test_an_image_of_a_registry_by_tag_and_by_digest(new_template, new_sandbox, served):
    mark = random.token_hex(8) + "\n"
    image = app(mark)
    manifest = served.push("team/app", "one", image)
    by_tag = ready(new_template(registry=f"{ALLOWED}/team/app:one"))
    by_digest = ready(new_template(registry=f"{ALLOWED}/team/app@{manifest}"))
    assert by_tag.digest == by_digest.digest == digest(image.config)
    check_app(new_sandbox(template=by_tag.name), mark)
    check_app(new_sandbox(template=by_digest.name), mark)


def test_a_template_that_is_asked_for_is_made_ahead(mesh, new_template, new_sandbox, image_file):
    mark = random.token_hex(8) + "\n"
    template = ready(new_template(file=image_file(app(mark).layout())))
    assert new_sandbox(template=template.name).record.start.way == sandbox_pb2.START_WAY_RESTORED
    depth = 'cofferdam_node_pool_depth{kind="tenant",stage="restored"}'
    eventually(lambda: counted(mesh, depth) > 0, "a machine of the tenant's template, made ahead")
    pooled = new_sandbox(template=template.name)
    assert pooled.record.start.way == sandbox_pb2.START_WAY_POOLED
    check_app(pooled, mark)


def test_an_image_of_one_program_and_nothing_else(new_template, new_sandbox, image_file):
    image = Image(Layer().file("busybox", BUSYBOX.read_bytes(), 0o755).tar())
    template = ready(new_template(file=image_file(image.layout())))
    sandbox = new_sandbox(template=template.name)
    assert sandbox.run("/busybox", "echo", "alone").text == "alone\n"
    assert sandbox.run("/busybox", "id", "-u").text == "0\n"


def test_a_kernel_of_the_operators(mesh, new_template, new_sandbox, image_file):
    (modules,) = KERNELS.glob("*.modules")
    kernel = modules.with_suffix("")
    put = [shutil.copy(file, mesh.state / "node" / "kernels" / file.name) for file in (kernel, modules)]
    try:
        file = image_file(Image(busybox("uname").tar(), Env=["PATH=/bin"]).layout())
        template = ready(new_template(file=file, kernel=kernel.name))
        release = new_sandbox(template=template.name).run("uname", "-r").text.strip()
        assert kernel.name == f"linux-image-{release}"
        assert new_sandbox(template=ready(new_template(file=file)).name).run("uname", "-r").text.strip() != release
        failed = new_template(file=file, kernel="no-such-kernel")
        assert failed.state == template_pb2.TEMPLATE_STATE_FAILED and "no kernel" in failed.message
    finally:
        for path in put:
            path.unlink()


def test_sandboxes_outlive_their_template_asleep_and_awake(tenant, new_template, new_sandbox, image_file):
    mark = random.token_hex(8) + "\n"
    template = ready(new_template(file=image_file(app(mark).layout())))
    sandbox = new_sandbox(template=template.name)
    tenant.sandboxes.SuspendSandbox(sandbox_pb2.SuspendSandboxRequest(sandbox=sandbox.id), timeout=3 * CALL_SECONDS)
    delete(tenant, template.name)
    with refused("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        get(tenant, template.name)
    with refused("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        Sandbox.create(tenant, template=template.name)
    check_app(sandbox, mark)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"registry": "169.254.169.254/latest/meta-data"}, "169.254.169.254 is not one of those allowed"),
        ({"registry": "registry.example/app:1"}, "registry.example is not one of those allowed"),
        ({"registry": "127.0.0.1:5001/app"}, "127.0.0.1:5001 is not one of those allowed"),
        ({"registry": f"{ALLOWED}/team/none:1"}, "404"),
        ({"file": "no-such-file.tar"}, "no image file"),
    ],
)
def test_what_cannot_be_had_is_failed_with_its_reason(tenant, new_template, served, source, why):
    failed = new_template(**source)
    assert failed.state == template_pb2.TEMPLATE_STATE_FAILED
    assert why in failed.message
    with refused("FAILED_PRECONDITION", "TEMPLATE_NOT_READY"):
        Sandbox.create(tenant, template=failed.name)


def test_what_is_no_image_is_failed_with_its_reason(new_template, image_file):
    layer = Layer().file("../../escape", b"x")
    for content, why in ((b"no image at all", ""), (Image(layer.tar()).layout(), "'..'")):
        failed = new_template(file=image_file(content))
        assert failed.state == template_pb2.TEMPLATE_STATE_FAILED
        assert failed.message and why in failed.message


def test_a_template_is_its_tenants_alone(tenant, other_tenant, new_template, image_file):
    name = ready(new_template(file=image_file(app("x").layout()))).name
    assert {(each.name, each.tenant) for each in listed(tenant)} >= {("debian", ""), (name, get(tenant, name).tenant)}
    assert [each.name for each in listed(other_tenant)] == ["debian"]
    with refused("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        get(other_tenant, name)
    with refused("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        Sandbox.create(other_tenant, template=name)
    with refused("ALREADY_EXISTS", "TEMPLATE_EXISTS"):
        new_template(name=name, file="any.tar")
    for bad in ({"file": "../node.key"}, {"file": "/etc/shadow"}, {"registry": "a b"}, {}):
        with refused(INVALID, "INVALID_ARGUMENT"):
            new_template(**bad)


def test_by_the_command_line(image_file):
    name = f"t-{random.token_hex(6)}"
    file = image_file(app("by the command line\n").layout())
    made = output("template", "create", name, "--file", file, "--memory", "256", "--disk", "64")
    try:
        assert made.startswith("sha256:")
        assert output("run", "--template", name, "--", "cat", "kept") == "by the command line\n"
        assert any(line.split()[:3:2] == [name, "ready"] for line in output("template", "ls").splitlines())
    finally:
        output("template", "rm", name)
    failed = cofferdam("template", "create", name, "--image", "169.254.169.254/x")
    try:
        assert failed.returncode == 1 and b"not one of those allowed" in failed.stderr
    finally:
        output("template", "rm", name)
