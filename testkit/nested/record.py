#!/usr/bin/env python3
"""Records what a real Cloud Hypervisor answers, for the tests that replay it (RecordedCloudHypervisorTest).

run.sh with COFFERDAM_RECORD=1 runs it inside the outer machine. Prints each recording between lines "RECORDING name" and "RECORDED name".

A recording is text: the version; then, for each exchange, lines with "> " (method and target, then the body if there is one) and lines with
"< " (status line, headers, an empty one, the body). Exchanges stand in the order in which the answers came.
"""
import json
import os
import shutil
import socket
import subprocess
import threading
import time

BINARY = "/suite/cloud-hypervisor"
MACHINE = {
    "cpus": {"boot_vcpus": 1, "max_vcpus": 1, "nested": False},
    "memory": {"size": 128 << 20, "thp": False},
    "payload": {"kernel": "/image/vmlinuz", "initramfs": "/image/initrd", "cmdline": "quiet"},
    "disks": [
        {"id": "root", "path": "/image/rootfs.erofs", "readonly": True, "image_type": "Raw"},
        {"id": "disk", "path": "/sandbox/disk.ext4", "image_type": "Raw"},
    ],
    "net": [{"id": "net0", "tap": "tap0", "mac": "02:cf:00:00:00:15"}],
    "rng": {"src": "/dev/urandom"},
    "serial": {"mode": "Null"},
    "console": {"mode": "Off"},
    "landlock_enable": False,
}
SNAPSHOT = {"destination_url": "file:///sandbox"}


class Vmm:
    """One process, and the text of what was exchanged with it."""

    def __init__(self, name, **how):
        self.name, self.path, self.lines, self.lock = name, f"/tmp/{name}.sock", [], threading.Lock()
        self.process = subprocess.Popen([BINARY, "--api-socket", f"path={self.path}", "--seccomp", "true"], env={}, stdin=subprocess.DEVNULL, **how)
        while not os.path.exists(self.path):
            if self.process.poll() is not None:
                raise SystemExit(f"{name}: Cloud Hypervisor ended with {self.process.returncode}")
            time.sleep(0.01)

    def ask(self, call, body=None, method="PUT", raw=None):
        head = f"{method} /api/v1/{call} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        text = "" if body is None else json.dumps(body, separators=(",", ":"))
        if raw is not None:
            text = raw
        if text:
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            try:
                s.settimeout(5)
                s.sendall((head + "\r\n" + text).encode())
            except OSError:
                pass  # It reads no more of what is too long; what it said is there all the same.
            s.settimeout(None)
            answer = self.read(s)
        with self.lock:
            self.lines.append(f"> {method} /api/v1/{call}")
            if text:
                self.lines.append("> " + (text if len(text) < 4096 else f"({len(text)} bytes)"))
            self.lines += ["< " + line for line in answer.split("\r\n")]
            self.lines.append("")
        return answer

    @staticmethod
    def read(s):
        data = b""
        while b"\r\n\r\n" not in data:
            part = s.recv(65536)
            if not part:
                return data.decode()
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.decode().split("\r\n"):
            if line.lower().startswith("content-length:"):
                length = int(line.split(":")[1])
        while len(body) < length:
            body += s.recv(65536)
        return (head + b"\r\n\r\n" + body[:length]).decode()

    def ask_until_done(self, call, body):
        """As ask, again and again while it is refused; of refusals that are all alike two are kept."""
        refused = 0
        while True:
            before = len(self.lines)
            if self.ask(call, body).startswith("HTTP/1.1 204"):
                return
            refused += 1
            if refused > 2:
                del self.lines[before:]
            time.sleep(0.2)

    def get(self, call):
        return self.ask(call, method="GET")

    def end(self):
        self.process.kill()
        self.process.wait()
        version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"RECORDING {self.name}\n{version.splitlines()[0]}\n\n" + "\n".join(self.lines).rstrip() + f"\nRECORDED {self.name}", flush=True)


def clean():
    for name in ("config.json", "state.json", "memory-ranges"):
        if os.path.exists("/sandbox/" + name):
            os.remove("/sandbox/" + name)


def lay():
    clean()
    for name in ("config.json", "state.json", "memory-ranges"):
        shutil.copy("/template/" + name, "/sandbox")
        os.chmod("/sandbox/" + name, 0o644)


def lifecycle():
    v = Vmm("lifecycle")
    v.get("vmm.ping")
    v.get("vm.info")
    v.ask("vm.boot")
    v.ask("vm.create", MACHINE)
    v.ask("vm.create", MACHINE)
    v.get("vm.info")
    v.ask("vm.boot")
    v.get("vm.counters")
    v.ask("vm.snapshot", SNAPSHOT)
    v.ask("vm.add-disk", {"id": "disk", "path": "/sandbox/disk.ext4", "image_type": "Raw"})
    v.ask("vm.remove-device", {"id": "nothing"})
    v.ask("vm.resize", {"desired_vcpus": 9, "desired_ram": 128 << 20})
    v.ask("vm.pause")
    v.get("vm.info")
    clean()
    v.ask("vm.snapshot", SNAPSHOT)
    v.ask("vm.snapshot", SNAPSHOT)
    v.ask("vm.resume")
    v.ask("vm.shutdown")
    v.ask("vmm.shutdown")
    v.end()


def restore():
    shutil.rmtree("/template", ignore_errors=True)
    os.mkdir("/template")
    for name in ("config.json", "state.json", "memory-ranges"):
        shutil.copy("/sandbox/" + name, "/template")
    lay()
    v = Vmm("restore")
    v.get("vmm.ping")
    source = {"source_url": "file:///sandbox", "prefault": False}
    v.ask("vm.restore", {**source, "memory_restore_mode": "CopyOnWrite"})
    v.ask("vm.restore", {**source, "memory_restore_mode": "OnDemand"})
    v.get("vm.info")
    clean()
    v.ask_until_done("vm.snapshot", SNAPSHOT)
    v.get("vm.info")
    v.end()
    lay()
    with open("/sandbox/state.json", "w") as f:
        f.write('{"snapshots":')
    v = Vmm("corrupt")
    v.get("vmm.ping")
    v.ask("vm.restore", {**source, "memory_restore_mode": "CopyOnWrite"})
    v.ask("vm.restore", {**source, "memory_restore_mode": "OnDemand"})
    v.end()
    lay()
    # Nothing to bring memory in with.
    os.chmod("/dev/userfaultfd", 0)
    device = os.stat("/dev/userfaultfd").st_rdev
    os.remove("/dev/userfaultfd")
    v = Vmm("no-userfaultfd", user=65534, group=65534, extra_groups=[])
    v.get("vmm.ping")
    v.ask("vm.restore", {**source, "memory_restore_mode": "CopyOnWrite"})
    v.ask("vm.restore", {**source, "memory_restore_mode": "OnDemand"})
    v.ask("vm.restore", source)
    v.end()
    os.mknod("/dev/userfaultfd", 0o600 | 0o020000, device)


def one_at_a_time():
    v = Vmm("one-at-a-time")
    v.ask("vm.create", MACHINE)
    v.ask("vm.boot")
    v.ask("vm.pause")
    clean()
    snapshot = threading.Thread(target=v.ask, args=("vm.snapshot", SNAPSHOT))
    snapshot.start()
    time.sleep(0.02)
    v.get("vmm.ping")
    snapshot.join()
    v.end()


def limits():
    v = Vmm("limits")
    v.ask("vm.create", raw=" " * 60000)
    v.ask("vm.create", raw=" " * ((4 << 20) + 1))
    v.ask("vm.create", raw="{")
    v.ask("vm.create")
    v.ask("vm.boot", {})
    v.get("vm.nothing")
    v.end()


os.makedirs("/image", exist_ok=True)
os.makedirs("/sandbox", exist_ok=True)
for name in ("vmlinuz", "initrd", "rootfs.erofs"):
    if not os.path.exists("/image/" + name):
        os.symlink("/suite/images/0123456789abcdef/" + name, "/image/" + name)
with open("/sandbox/disk.ext4", "wb") as disk:
    disk.truncate(64 << 20)
subprocess.run(["ip", "tuntap", "add", "tap0", "mode", "tap", "user", "65534"], check=True)
subprocess.run(["ip", "link", "set", "tap0", "up"], check=True)
for path in ("/sandbox", "/sandbox/disk.ext4", "/dev/kvm", "/dev/net/tun", "/tmp"):
    os.chmod(path, 0o777)
limits()
lifecycle()
one_at_a_time()
restore()
