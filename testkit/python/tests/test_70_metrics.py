"""What is seen from outside: a real Prometheus scrapes the mesh, every panel of every dashboard has something to show, and
alerts fire when their cause is made. Causes that take longer than a test may, such as a full disk or an old certificate, are
made up in deploy/prometheus/cofferdam.test.yml; both together cover every rule."""

import json
import os
import re
import secrets as random
import signal
import urllib.request
from collections.abc import Iterator

import grpc
import pytest
from conftest import ALLOWED, BOUND, DENIED
from test_32_ports import Connection, serve
from test_49_oauth import client
from test_52_sleep import pause, resume, suspend

from cofferdam.v1 import sandbox_pb2, secret_pb2
from cofferdam_e2e import host as machine
from cofferdam_e2e.http import curl
from cofferdam_e2e.mesh import CALL_SECONDS
from cofferdam_e2e.prometheus import DEPLOYED, Prometheus, promtool
from cofferdam_e2e.sandbox import Sandbox, policy
from cofferdam_e2e.waiting import eventually

SERVICES = {"scheduler-svc": 1, "vault-broker": 12, "node-agent": 21, "egress-gateway": 31, "edge-gateway": 81}
DASHBOARDS = sorted((DEPLOYED / "grafana" / "dashboards").glob("*.json"))
RULES = (DEPLOYED / "prometheus" / "cofferdam.rules.yml").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES)
# Every label of Cofferdam's own series. A new one is a decision: it must not hold what a tenant chose.
LABELS = set(
    "__name__ instance job service le quantile sandbox state use stage step way found why driver isolation direction protocol verb outcome listener "
    "method code reason rpc_service check presence verdict act reported_by kind detector side".split()
)


def port_base(mesh) -> int:
    properties = dict(line.split("=", 1) for line in (mesh.state / "mesh.properties").read_text().splitlines() if "=" in line)
    return int(properties["port-base"])


@pytest.fixture(scope="module")
def prometheus(mesh, tmp_path_factory) -> Iterator[Prometheus]:
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), port_base(mesh))
    try:
        yield started
    finally:
        started.close()


class Life:
    """Does, each time it is asked, one of everything that dashboards tell of."""

    def __init__(self, tenant, canary):
        self.tenant = tenant
        self.canary = canary
        self.sandboxes: list[Sandbox] = []
        self.secrets: list[tuple[str, str]] = []

    def happens(self) -> None:
        name, value = f"metrics-{random.token_hex(6)}", self.canary.value()
        put = secret_pb2.PutSecretRequest(name=name, value=value.encode(), bindings=[secret_pb2.SecretBinding(hosts=(BOUND,))])
        self.tenant.secrets.PutSecret(put, timeout=CALL_SECONDS)
        self.secrets.append((name, value))
        fetching = f"{name}-oauth"
        put = secret_pb2.PutSecretRequest(
            name=fetching, value=self.canary.value().encode(), bindings=[secret_pb2.SecretBinding(hosts=(BOUND,))], oauth=client()
        )
        self.tenant.secrets.PutSecret(put, timeout=CALL_SECONDS)
        self.secrets.append((fetching, put.value.decode()))
        sandbox = Sandbox.create(self.tenant, secrets=[(name, "API_KEY"), (fetching, "TOKEN")], egress=policy(BOUND, ALLOWED))
        self.sandboxes.append(sandbox)
        for key in ("$API_KEY", "$TOKEN"):
            answer = curl(sandbox, f"https://{BOUND}/headers", "-H", f"Authorization: Bearer {key}")
            assert answer.status == 200 and value not in answer.text
        curl(sandbox, f"https://{DENIED}/headers")
        sandbox.run("bash", "-c", "echo x >/dev/udp/203.0.113.66/9")
        pause(sandbox)
        resume(sandbox)
        suspend(sandbox)
        assert sandbox.lives(), "a call wakes it"
        with pytest.raises(grpc.RpcError):
            self.tenant.sandboxes.GetSandbox(sandbox_pb2.GetSandboxRequest(sandbox="sb-aaaaaaaaaaaaaaaaaaaa"), timeout=CALL_SECONDS)

    def end(self) -> None:
        for sandbox in self.sandboxes:
            sandbox.delete()
        for name, _ in self.secrets:
            self.tenant.secrets.DeleteSecret(secret_pb2.DeleteSecretRequest(name=name), timeout=CALL_SECONDS)


@pytest.fixture(scope="module")
def life(prometheus, tenant, canary) -> Iterator[Life]:
    """Twice, with a scrape between: a rate is the difference of two readings."""
    life = Life(tenant, canary)
    try:
        life.happens()
        first = life.sandboxes[0].id
        eventually(lambda: prometheus.query(f'cofferdam_sandbox_cpu_seconds_total{{sandbox="{first}"}}'), "a reading of the first sandbox")
        eventually(lambda: prometheus.query("cofferdam_broker_audit_lag_seconds_count{reported_by='node'} > 0"), "the first drops on record")
        life.happens()
        # What was there at the second reading is told by now.
        eventually(lambda: prometheus.query("sum(increase(cofferdam_node_drops_total[5m])) > 0"), "the second drops")
        yield life
    finally:
        life.end()


def page(mesh, service: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port_base(mesh) + SERVICES[service]}/metrics", timeout=30) as answer:
        return answer.read().decode()


def panels() -> list:
    found = []
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                found.append(pytest.param(target["expr"], id=f"{file.stem}: {panel['title']} {target['refId']}"))
    return found


def test_every_service_is_scraped(prometheus):
    eventually(lambda: prometheus.targets() == dict.fromkeys(SERVICES, "up"), "every target up")
    eventually(lambda: {sample.labels["service"] for sample in prometheus.query('up{job="cofferdam"} == 1')} == set(SERVICES), "up of each")


def test_every_panel_has_data(prometheus, life):
    silent = {}
    for panel in panels():
        [expression] = panel.values
        # As Grafana fills them in, for a window that holds all of this run.
        filled = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
        assert "$" not in filled, f"{panel.id}: a variable that nobody fills in"
        try:
            eventually(lambda filled=filled: prometheus.query(filled), panel.id, seconds=15)
        except AssertionError:
            silent[panel.id] = filled
    assert not silent


def test_dashboards_are_what_grafana_takes():
    """Without a Grafana: the fields that it needs, ids that are used once, panels that do not lie on each other."""
    dashboards = [json.loads(file.read_text()) for file in DASHBOARDS]
    assert len(dashboards) == 3 and len({dashboard["uid"] for dashboard in dashboards}) == 3
    for dashboard in dashboards:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)), dashboard["title"]
        taken = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
            taken |= cells
            assert panel["type"] == "row" or panel["datasource"]["uid"] == "cofferdam" and panel["targets"], panel["title"]


def test_a_sandbox_is_told_of_while_it_lives_and_no_longer(prometheus, new_sandbox):
    sandbox = new_sandbox()
    series = f'{{__name__=~"cofferdam_sandbox_.+", sandbox="{sandbox.id}"}}'
    eventually(lambda: len(prometheus.query(series)) == 5, "CPU, memory, disk and network both ways")
    memory = prometheus.query(f'cofferdam_sandbox_memory_bytes{{sandbox="{sandbox.id}"}}')[0].value
    assert 1 << 20 < memory < 1 << 30

    def cpu() -> float:
        return prometheus.query(f'cofferdam_sandbox_cpu_seconds_total{{sandbox="{sandbox.id}"}}')[0].value

    before, disk = cpu(), prometheus.query(f'cofferdam_sandbox_disk_bytes{{sandbox="{sandbox.id}"}}')[0].value
    sandbox.output("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; dd if=/dev/urandom of=/root/fill bs=1M count=8 2>/dev/null; sync")
    eventually(lambda: cpu() > before, "time that the guest was busy")
    eventually(lambda: prometheus.query(f'cofferdam_sandbox_disk_bytes{{sandbox="{sandbox.id}"}} > {disk + (4 << 20)}'), "what the guest wrote")
    sandbox.delete()
    eventually(lambda: not prometheus.query(series), "the end of its series")
    assert sandbox.id not in page(sandbox.tenant.mesh, "node-agent")


def test_streams_are_counted_while_they_last(prometheus, new_sandbox):
    sandbox = new_sandbox()
    serve(sandbox)
    open_streams = 'cofferdam_rpc_server_active{listener="api", rpc_service="cofferdam.v1.PortService"}'
    with Connection(sandbox, 7) as connection:
        connection.connected()
        eventually(lambda: prometheus.query(f"{open_streams} == 1"), "an open stream")
    eventually(lambda: prometheus.query(f"{open_streams} == 0"), "no open stream")


def test_metrics_hold_nothing_that_a_tenant_chose(mesh, life, prometheus):
    placeholders = {sandbox.output("echo $API_KEY") for sandbox in life.sandboxes}
    for service in SERVICES:
        text = page(mesh, service)
        for name, value in life.secrets:
            assert name not in text and value not in text, service
        for word in (*placeholders, BOUND, DENIED, mesh.token, mesh.secrets_token, 'tenant="'):
            assert word not in text, f"{service} tells {word}"
        labels = {label for line in text.splitlines() if line.startswith("cofferdam_") for label in re.findall(r'[{,](\w+)="', line)}
        assert labels <= LABELS, f"{service}: {labels - LABELS}"


def test_rules_hold_and_each_is_tested():
    for arguments in (("check", "rules", "cofferdam.rules.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "cofferdam.test.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r'alertname="(\w+)"', (DEPLOYED / "prometheus" / "cofferdam.test.yml").read_text()))
    assert tested == set(ALERTS)
    explained = re.findall(r"^### (\w+)$", (DEPLOYED.parent / "docs" / "operating.md").read_text(), re.MULTILINE)
    assert explained == ALERTS, "docs/operating.md, one section an alert, in the order of the rules"
    for alert in re.split(r"- alert: ", RULES)[1:]:
        name = alert.split()[0]
        assert "summary:" in alert and f"docs/operating.md#{name.lower()}" in alert, name


def tried(tenant, made: list[Sandbox]) -> None:
    """A create, which may succeed as long as a machine made ahead is left."""
    try:
        made.append(Sandbox.create(tenant))
    except grpc.RpcError:
        pass


def creates_again(tenant) -> bool:
    try:
        sandbox = Sandbox.create(tenant)
    except grpc.RpcError:
        return False
    sandbox.delete()
    return True


def deleted(sandbox: Sandbox) -> bool:
    try:
        sandbox.delete()
        return True
    except grpc.RpcError:
        return False


@pytest.mark.parametrize(
    ("process", "creates", "expected"),
    [
        ("scheduler-svc", False, {"CofferdamSchedulerDown", "CofferdamNotReady"}),
        ("vault-broker", True, {"CofferdamServiceDown", "CofferdamBrokerUnreachable", "CofferdamCircuitOpen", "CofferdamCreateFailures"}),
        ("node-agent", False, {"CofferdamServiceDown", "CofferdamNodeLost"}),
        ("node-helper", True, {"CofferdamStartFailures"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_alert_fires_when_its_cause_is_made(prometheus, host, tenant, process, creates, expected):
    if creates:
        # From a first reading on a counter's growth is seen.
        sandbox = Sandbox.create(tenant)
        sandbox.delete()
    down = {"CofferdamSchedulerDown", "CofferdamServiceDown", "CofferdamNodeLost", "CofferdamNotReady"}
    eventually(lambda: not prometheus.firing() & down, "a mesh that is whole")
    made: list[Sandbox] = []
    with host.without(process):
        seen: set[str] = set()

        def fired() -> bool:
            if creates:
                tried(tenant, made)
            seen.update(prometheus.firing())
            return expected <= seen

        eventually(fired, f"{expected} without {process}")
    for sandbox in made:
        eventually(lambda: deleted(sandbox), f"the end of {sandbox.id}")
    eventually(lambda: not prometheus.firing() & down, f"their end with {process} back")
    # Whoever asks for what was away may still be told so for a while.
    eventually(lambda: creates_again(tenant), f"a create with {process} back")


def test_a_lost_sandbox_is_an_alert(mesh, prometheus, new_sandbox):
    sandbox = new_sandbox()
    directory = mesh.state / "node" / "sandboxes" / sandbox.id
    vmm = [pid for pid in machine.with_open(directory) if "qemu" in machine.command_line(pid) or "cloud-hypervisor" in machine.command_line(pid)]
    assert vmm, f"nobody has {directory} open"
    os.kill(vmm[0], signal.SIGKILL)
    eventually(lambda: "CofferdamSandboxLost" in prometheus.firing(), "the alert")


def test_upstreams_that_cannot_be_verified_are_an_alert(prometheus, new_sandbox):
    expired = "expired.echo.test"
    sandbox = new_sandbox(egress=policy(expired))

    def fires() -> bool:
        assert curl(sandbox, f"https://{expired}/headers").reason == "upstream_certificate"
        return "CofferdamUpstreamHandshakes" in prometheus.firing()

    eventually(fires, "the alert")


def test_a_spool_that_fills_and_then_loses_is_an_alert(prometheus, host, tenant, new_sandbox):
    """A guest's requests, on one connection, while nobody takes the decisions. What is refused over and over is told in sums
    and fills nothing."""
    sandbox = new_sandbox(egress=policy(ALLOWED, ports=(80,)))
    asked = f"GET /headers HTTP/1.1\\r\\nHost: {ALLOWED}\\r\\n"
    script = f"""
        for i in {{1..100}}; do printf '{asked}\\r\\n'; done >hundred
        exec 3<>/dev/tcp/{ALLOWED}/80
        (for i in {{1..21}}; do cat hundred; done; printf '{asked}Connection: close\\r\\n\\r\\n') >&3 &
        grep -ac '^HTTP/1.1 200' <&3
        """
    alerts = {"CofferdamSpoolFilling", "CofferdamAuditGaps"}
    eventually(lambda: not prometheus.firing() & alerts, "a mesh that is whole")
    capacity = eventually(lambda: prometheus.query("cofferdam_gateway_spool_capacity"), "a reading of the spool")[0].value
    assert capacity < 2101, "the mesh under test has a small one"
    with host.without("vault-broker"):
        answered = sandbox.run("bash", "-c", script)
        assert answered.text.strip() == "2101", answered
        eventually(lambda: alerts <= prometheus.firing(), "both alerts")
    eventually(lambda: "CofferdamSpoolFilling" not in prometheus.firing(), "its end with the broker back")
    eventually(lambda: creates_again(tenant), "a create with the broker back")
