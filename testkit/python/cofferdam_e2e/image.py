"""OCI images that a test makes itself, and a registry to put them into: Debian's docker-registry on loopback."""

import base64
import crypt
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cofferdam_e2e.waiting import eventually

TOOLS = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam")) / "tools"
BUSYBOX = TOOLS / "registry" / "bin" / "busybox"
REGISTRY = TOOLS / "registry" / "usr" / "bin" / "docker-registry"
KERNELS = TOOLS / "kernels"

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Layer:
    """A tar archive in the making."""

    def __init__(self):
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.PAX_FORMAT)

    def file(self, name: str, content: bytes = b"", mode: int = 0o644, uid: int = 0) -> "Layer":
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, uid, uid
        self._tar.addfile(entry, io.BytesIO(content))
        return self

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> "Layer":
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        self._tar.addfile(entry)
        return self

    def tar(self) -> bytes:
        self._tar.close()
        return self._bytes.getvalue()


class Image:
    """Layers and what the image says of its processes."""

    def __init__(self, *layers: bytes, **process):
        self.blobs: dict[str, bytes] = {}
        packed = [gzip.compress(layer, mtime=0) for layer in layers]
        self.config = json.dumps(
            {
                "os": "linux",
                "architecture": "amd64",
                "config": process,
                "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob(self.config, CONFIG),
                "layers": [self._blob(layer, LAYER) for layer in packed],
            }
        ).encode()

    def _blob(self, content: bytes, kind: str) -> dict:
        self.blobs[digest(content)] = content
        return {"mediaType": kind, "digest": digest(content), "size": len(content)}

    def layout(self) -> bytes:
        """A tar of an OCI layout."""
        made = Layer().file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        made.file(
            "index.json",
            json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": digest(self.manifest)}]}).encode(),
        )
        for content in (self.manifest, *self.blobs.values()):
            made.file("blobs/sha256/" + digest(content).removeprefix("sha256:"), content)
        return made.tar()


class Registry:
    def __init__(self, address: str, user: str = ""):
        self.address = address
        self.headers = {"Authorization": basic(user)} if user else {}

    def push(self, name: str, tag: str, image: Image) -> str:
        """As `docker push` does; returns the manifest's digest."""
        for known, content in image.blobs.items():
            begun = self._call("POST", f"/v2/{name}/blobs/uploads/")
            place = begun.headers["Location"]
            separator = "&" if "?" in place else "?"
            self._call("PUT", f"{place}{separator}digest={urllib.parse.quote(known)}", content, "application/octet-stream")
        self._call("PUT", f"/v2/{name}/manifests/{tag}", image.manifest, MANIFEST)
        return digest(image.manifest)

    def ready(self) -> bool:
        try:
            return self._call("GET", "/v2/").status == 200
        except urllib.error.URLError:
            return False

    def _call(self, method: str, path: str, content: bytes | None = None, kind: str = ""):
        url = path if path.startswith("http") else f"http://{self.address}{path}"
        request = urllib.request.Request(url, data=content, method=method, headers=self.headers | ({"Content-Type": kind} if kind else {}))
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return answer


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


@contextmanager
def registry(address: str, directory: Path, user: str = "") -> Iterator[Registry]:
    """One that lets everybody in, or `name:password` alone."""
    passwords = directory / "htpasswd"
    if user:
        name, password = user.split(":")
        passwords.write_text(f"{name}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
    settings = directory / "registry.yml"
    settings.write_text(
        f"""\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {directory / "registry"}}}}}
http: {{addr: {address}, secret: of-this-test}}
"""
        + (f"auth: {{htpasswd: {{realm: it, path: {passwords}}}}}\n" if user else "")
    )
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([REGISTRY, "serve", settings], stdout=log, stderr=log)
        try:
            served = Registry(address, user)
            eventually(served.ready, "the registry answers")
            yield served
        finally:
            process.kill()
            process.wait()


def busybox(*names: str) -> Layer:
    """A layer with one program under these names."""
    layer = Layer().file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    for name in names:
        layer.link(f"bin/{name}", "busybox")
    return layer
