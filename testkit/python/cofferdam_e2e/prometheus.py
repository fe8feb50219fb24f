"""A real Prometheus beside the mesh, with the configuration and the rules that operators get, only in a hurry."""

import json
import math
import os
import re
import subprocess
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cofferdam_e2e.waiting import eventually

DEPLOYED = Path(os.environ.get("COFFERDAM_ROOT", ".")) / "deploy"
PROGRAMS = Path(os.environ.get("COFFERDAM_CACHE", "/var/cache/cofferdam")) / "tools" / "prometheus" / "usr" / "bin"
STANDARD_PORTS = 7400
LISTEN = "127.0.0.1:9090"


@dataclass(frozen=True)
class Sample:
    labels: dict[str, str]
    value: float


class Prometheus:
    """Scrapes every second and waits for no alert's `for`: that is what `promtool test rules` is for."""

    def __init__(self, directory: Path, port_base: int):
        rules = (DEPLOYED / "prometheus" / "cofferdam.rules.yml").read_text()
        (directory / "cofferdam.rules.yml").write_text(re.sub(r"\n +for: \S+", "", rules))
        config = (DEPLOYED / "prometheus" / "prometheus.yml").read_text()
        config = re.sub(r"scrape_interval: \S+", "scrape_interval: 1s\n  evaluation_interval: 1s", config)
        config = re.sub(r"scrape_timeout: \S+", "scrape_timeout: 1s", config)
        config = re.sub(r"127\.0\.0\.1:(\d+)", lambda m: f"127.0.0.1:{int(m[1]) - STANDARD_PORTS + port_base}", config)
        (directory / "prometheus.yml").write_text(config)
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen(
            [PROGRAMS / "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data", f"--web.listen-address={LISTEN}"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # Not the canary, which has to be nowhere.
            env={"PATH": os.environ["PATH"]},
        )
        eventually(self._ready, f"a Prometheus that answers; its log: {directory}/log")

    def _ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            with urllib.request.urlopen(f"http://{LISTEN}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    def _get(self, path: str, **arguments: str):
        with urllib.request.urlopen(f"http://{LISTEN}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        """Now. Without what is not a number, as of a quantile of nothing."""
        result = self._get("query", query=expression)["result"]
        samples = [Sample(series["metric"], float(series["value"][1])) for series in result]
        return [sample for sample in samples if not math.isnan(sample.value)]

    def targets(self) -> dict[str, str]:
        """Health by service."""
        return {target["labels"]["service"]: target["health"] for target in self._get("targets")["activeTargets"]}

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}


def promtool(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([PROGRAMS / "promtool", *arguments], cwd=DEPLOYED / "prometheus", capture_output=True, text=True)
