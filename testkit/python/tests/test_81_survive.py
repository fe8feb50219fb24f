"""What a node does without its scheduler, and what is left of what it was doing when it was killed."""

from contextlib import contextmanager

from test_51_lifecycle import get, watch
from test_52_sleep import PAUSED, pause, resume
from test_70_metrics import page
from test_80_kill import created

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.waiting import eventually

# It counts for as long as it runs, and somebody else can read how far it is.
COUNTER = "n=0; while :; do n=$((n+1)); echo $n >/dev/shm/count.new; mv /dev/shm/count.new /dev/shm/count; sleep 0.05; done"


@contextmanager
def node_settings(mesh, host, lines: str):
    """The node agent with other settings, for the time of the block."""
    file = mesh.state / "node" / "service.properties"
    before = file.read_text()

    def restart(text: str) -> None:
        file.write_text(text)
        host.await_restart("node-agent", host.kill("node-agent"))

    restart(before + lines)
    try:
        yield
    finally:
        restart(before)


def in_state(mesh, state: str) -> int:
    """How many sandboxes the node itself counts in a state; -1 while it does not answer."""
    try:
        lines = page(mesh, "node-agent").splitlines()
    except OSError:
        return -1
    prefix = f'cofferdam_node_sandboxes{{state="{state}"}} '
    return int(float(next(line for line in lines if line.startswith(prefix)).removeprefix(prefix)))


def test_a_node_that_is_to_pause_its_sandboxes_does_so_without_its_scheduler_and_resumes_them_with_it(mesh, host, new_sandbox):
    running, paused = new_sandbox(), new_sandbox()
    process = running.start("sh", "-c", COUNTER)
    next(process.events())
    pause(paused)
    with node_settings(mesh, host, "on-partition=pause\non-partition.after=2s\n"):
        eventually(running.lives, "a command under the new settings")
        before = int(running.output("cat /dev/shm/count"))
        with host.without("scheduler-svc"):
            eventually(lambda: in_state(mesh, "paused") == 2, "a node with nothing but paused sandboxes")
            assert in_state(mesh, "running") == 0
        eventually(running.lives, "the return of what the node paused")
        assert running.sh(f"kill -0 {process.pid}").exit_code == 0
        eventually(lambda: int(running.output("cat /dev/shm/count")) > before, "its process goes on")
        assert get(paused).state == PAUSED, "its user has not resumed it"
        told = [(event.type, event.message) for event in watch(running.tenant, sandbox=running.id, follow=False)]
        assert sandbox_pb2.SANDBOX_EVENT_TYPE_PAUSED in [kind for kind, _ in told], told
        assert told[-1] == (sandbox_pb2.SANDBOX_EVENT_TYPE_RESUMED, "its node is no longer cut off"), told
    eventually(running.lives, "the node under its old settings")
    resume(paused)
    assert paused.lives()
    created(new_sandbox)
