"""How figures are shown: a table for people, JSON for programs, and the machine they are of."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import psutil


def print_figures(figures: Mapping[str, float]) -> None:
    """Print one figure a line, each behind its name."""
    width = max(map(len, figures))
    for what, figure in figures.items():
        print(f"{what:<{width}}  {figure:>10,.2f}", flush=True)


def write_json(path: Path, machine: Mapping[str, str], figures: Mapping[str, float]) -> None:
    """Write everything of one run."""
    path.write_text(json.dumps({"machine": dict(machine), "figures": dict(figures)}, indent=2))


def describe_machine(*, is_awake: bool) -> dict[str, str]:
    """Say on what the figures were taken, and what else went on there."""
    one, five, _ = os.getloadavg()
    return {
        "processor": f"{psutil.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "processor kept awake": "yes" if is_awake else "no: only root may",
        "load before the run": f"{one:.2f} in one minute, {five:.2f} in five",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
