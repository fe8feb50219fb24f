"""A repository of Debian packages of a test's own, and who serves it in the outside world."""

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cofferdam_e2e.stage import SCRIPT, Stage
from cofferdam_e2e.waiting import eventually


def package(directory: Path, name: str, version: str, files: dict[str, str], postinst: str = "") -> None:
    """Makes a package of scripts. `directory` is the repository's."""
    root = directory.parent / f"{name}.tree"
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755)
    control = root / "DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text(
        textwrap.dedent(f"""\
            Package: {name}
            Version: {version}
            Architecture: all
            Maintainer: Nobody <nobody@example.invalid>
            Description: of this test
            """)
    )
    (control / "postinst").write_text(f"#!/bin/sh\nset -e\n{postinst}\n")
    (control / "postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, directory / f"{name}_{version}_all.deb"], check=True, capture_output=True)


def index(directory: Path) -> None:
    """Packages and Release of a flat repository (sources.list(5), "the repository format")."""
    stanzas = []
    for file in sorted(directory.glob("*.deb")):
        content = file.read_bytes()
        fields = subprocess.run(["dpkg-deb", "--field", file], check=True, capture_output=True, text=True).stdout.rstrip()
        stanzas.append(f"{fields}\nFilename: ./{file.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n")
    listed = "\n".join(stanzas).encode()
    (directory / "Packages").write_bytes(listed)
    (directory / "Release").write_text(f"Origin: test\nArchitectures: amd64 all\nSHA256:\n {hashlib.sha256(listed).hexdigest()} {len(listed)} Packages\n")


@contextmanager
def served(stage: Stage, address: str, directory: Path) -> Iterator[None]:
    """By plain HTTP at the address, which is one of the outside world's."""
    command = [SCRIPT, "outside", stage.name, sys.executable, "-m", "http.server", "--bind", address, "--directory", directory, "80"]
    with (directory.parent / "served.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            eventually(lambda: answers(stage, address), f"{address} serves packages")
            yield
        finally:
            process.kill()
            process.wait()


def answers(stage: Stage, address: str) -> bool:
    """Asked from within the outside world, so that no packet has to get there."""
    probe = f"import urllib.request; urllib.request.urlopen('http://{address}/Release', timeout=10).read()"
    return subprocess.run([SCRIPT, "outside", stage.name, sys.executable, "-c", probe], capture_output=True).returncode == 0
