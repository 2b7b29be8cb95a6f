"""Readings and passes spoilt so that their errors matter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def edit_scan_log(root: Path, number: int, change: Callable[[dict[str, Any]], None]):
    """Rewrite the log of a scan."""
    path = root / "logs" / f"scan{number:04d}.json"
    log = json.loads(path.read_text())
    change(log)
    path.write_text(json.dumps(log))


def add_reading_noise(
    root: Path, number: int, channel: str, relative: float, seed: int
) -> None:
    """Multiply a reading of a scan with noise of a relative size."""
    rng = np.random.default_rng([seed, number])

    def change(log: dict[str, Any]) -> None:
        for reading in log["point_extras"].values():
            reading[channel] *= rng.normal(1.0, relative)

    edit_scan_log(root, number, change)


def add_spike(root: Path, number: int, channel: str, factor: float) -> None:
    """Multiply the largest reading of a scan, as a glitch of an amplifier does."""

    def change(log: dict[str, Any]) -> None:
        readings = log["point_extras"].values()
        largest = max(readings, key=lambda reading: reading[channel] / reading["i0"])
        largest[channel] *= factor

    edit_scan_log(root, number, change)


def tilt_reading(root: Path, number: int, channel: str, size: float) -> None:
    """Let a reading drift by a relative size over the scan, bent as charging is."""

    def change(log: dict[str, Any]) -> None:
        readings = log["point_extras"].values()
        places = np.linspace(0, 1, len(readings))
        for place, reading in zip(places, readings, strict=True):
            reading[channel] *= 1 + size * place**3

    edit_scan_log(root, number, change)
