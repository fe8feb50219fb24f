"""The machine as root sees it: the mesh's processes, the namespaces, what is in a process table."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from cofferdam_e2e.waiting import eventually

SERVICES = ("scheduler-svc", "node-agent", "egress-gateway", "edge-gateway", "vault-broker", "node-helper", "postgres")


class Host:
    def __init__(self, state: Path):
        self.state = state

    def pid(self, process: str) -> int:
        return int((self.state / "run" / f"{process}.pid").read_text())

    def kill(self, process: str) -> int:
        """kill -9. The pid that is gone."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not alive(pid), f"the end of {process}, pid {pid}")
        return pid

    def await_restart(self, process: str, old: int) -> None:
        def restarted() -> bool:
            try:
                fresh = self.pid(process)
            except (OSError, ValueError):
                return False
            return fresh != old and alive(fresh)

        eventually(restarted, f"a new {process} after pid {old}")

    @contextmanager
    def without(self, process: str):
        """The process is dead and stays dead for the time of the block: its supervisor is held meanwhile."""
        launcher = self.pid("launcher")
        os.kill(launcher, signal.SIGSTOP)
        old = self.pid(process)
        try:
            self.kill(process)
            yield
        finally:
            os.kill(launcher, signal.SIGCONT)
            # Also when the block failed: the tests after it want a whole mesh.
            self.await_restart(process, old)


def alive(pid: int) -> bool:
    """False for zombies too: they run nothing."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def with_command(text: str) -> list[int]:
    """Every process of the machine whose command line holds text, but this one."""
    return [pid for pid in processes() if pid != os.getpid() and text in command_line(pid)]


def with_open(directory: Path) -> list[int]:
    """Every process that has a file below the directory open. In a jail a file has another name, so the files themselves are
    compared."""
    files = {_identity(path) for path in directory.rglob("*") if path.is_file()} - {None}
    return [pid for pid in processes() if pid != os.getpid() and files & _open_files(pid)]


def _open_files(pid: int) -> set:
    try:
        return {_identity(Path(f"/proc/{pid}/fd/{name}")) for name in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return set()


def _identity(path: Path) -> tuple[int, int] | None:
    """None for what is gone meanwhile."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def mark_namespace(pid: int, mark: str) -> None:
    """Leaves a mark in the network namespace of a process. Names and numbers of slots are used again, and how many there are is the
    pool's affair: the mark is in this one namespace as long as it lives."""
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "set", "dev", "lo", "alias", mark], check=True)


def marked(prefix: str, mark: str) -> bool:
    """Whether a namespace with the mark is left. One that goes while it is looked at is not."""
    shows = (subprocess.run(["ip", "-n", name, "link", "show", "dev", "lo"], capture_output=True, text=True) for name in namespaces(prefix))
    return any(mark in show.stdout for show in shows)


def namespaces(prefix: str) -> set[str]:
    """Named network namespaces, such as those of one mesh: a machine may run several."""
    listing = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return {name for name in (line.split()[0] for line in listing.splitlines()) if name.startswith(prefix)}
