"""`run.json`: what was done with every run, what was made, what went wrong."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rixs_pipeline import paths
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.locks import locked
from rixs_pipeline.io.runs import Beamtime

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("rixs_pipeline")


@dataclass
class Summary:
    """Collects while the stages run; written at the end, also after a failure."""

    out: Path
    beamtime: Beamtime
    command: str
    dry_run: bool
    executed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    planned: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    moved: dict[str, bool] = field(
        default_factory=dict
    )  # whether any pixel jumped, by the key of two reference runs
    whole: bool = False  # everything was looked at: what is not mentioned is no longer part of the results

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.previous = read(self.out)

    @property
    def exit_code(self) -> int:
        """0 done, 1 finished but some runs failed."""
        return 1 if self.failed else 0

    def warn(self, text: str) -> None:
        """Tell once."""
        if text not in self.warnings:
            self.warnings.append(text)
            log.warning("%s", text)

    def fresh(self, name: str) -> None:
        """Nothing to do; what was known of it stays known, its warnings too."""
        self.items[name] = self.previous["items"].get(name, {}) | {"status": "fresh"}
        for text in self.items[name].get("warnings", []):
            self.warn(text)

    def stale(self, name: str, path: Path, reason: str) -> bool:
        """Note that a product has to be made, and why; whether to go on and make it (not in a dry run)."""
        self.planned.append(name)
        self.items[name] = {
            "status": "stale",
            "reason": reason,
            "product": str(path.relative_to(self.out)),
        }
        return not self.dry_run

    def made(self, name: str, facts: dict[str, Any], warnings: list[str]) -> None:
        """A product was made."""
        self.items[name] = (
            {"status": "done"} | facts | ({"warnings": warnings} if warnings else {})
        )
        for text in warnings:
            self.warn(text)

    def fail(self, name: str, reason: str) -> None:
        """A run or map failed."""
        self.failed[name] = reason
        self.items[name] = {"status": "failed", "reason": reason}
        log.error("%s", reason if reason.startswith(name) else f"{name}: {reason}")

    def calibrated(self, name: str, dataset: xr.Dataset) -> None:
        """Facts of a calibration: verdicts, cut-flow, lines."""
        statuses = [str(s) for s in dataset["status"].values]
        bad = {
            int(p): s
            for p, s in zip(dataset["pixel"].values, statuses, strict=True)
            if s != "ok"
        }
        facts = {
            "pixels_ok": statuses.count("ok"),
            "pixels_bad": bad,
            "lines": [str(n) for n in dataset["line_name"].values],
            "cuts": _cut_flow(dataset),
        }
        warnings = (
            [] if facts["pixels_ok"] else [f"{name}: no pixel could be calibrated"]
        )
        self.made(name, facts, warnings)

    def binned(self, name: str, dataset: xr.Dataset, warnings: list[str]) -> None:
        """Facts of a scan: photons, pixels, cut-flow, and how each pixel was calibrated."""
        statuses = Counter(str(s) for s in dataset["pixel_status"].values)
        facts = {
            "sample": dataset.attrs["sample"],
            "edge": dataset.attrs["edge"],
            "photons": int(dataset["counts"].values.sum()),
            "elastic_offset": _told(dataset.attrs["elastic_offset"]),
            "elastic_offset_errors": _told(dataset.attrs["elastic_offset_errors"]),
            "points_used": int((dataset["point_status"].values == 0).sum()),
            "points": dataset.sizes["incident_energy"],
            "pixels": dict(statuses),
            "cuts": _cut_flow(dataset),
        }
        self.made(name, facts, warnings)

    def shown_before(self, name: str) -> dict[str, str]:
        """The figures of that name in the last run: file -> digest of what it shows."""
        return dict(self.previous["figures"].get(name, {}).get("shows", {}))

    def figures_fresh(self, name: str, key: str) -> bool:
        """Whether figures of that name were made from the same sources and are still there."""
        before = self.previous["figures"].get(name, {})
        if before.get("key") != key or not all(
            (self.out / p).is_file() for p in self.shown_before(name)
        ):
            return False
        self.figures[name] = before
        return True

    def drawing(self, name: str) -> None:
        """Figures of that name are being made: until `drew`, none of them is known to show what it did."""
        self.figures[name] = {
            "key": "",
            "shows": dict.fromkeys(self.shown_before(name), ""),
        }

    def drew(
        self, name: str, key: str, shows: Mapping[str, str], drawn: Sequence[str]
    ) -> None:
        """Figures were made; those of the same name that an earlier run had and this one has not go.

        `shows`: file -> digest of what it shows; `drawn`: those that were not there as they are.
        """
        for old in self.shown_before(name).keys() - shows.keys():
            (self.out / old).unlink(missing_ok=True)
        self.figures[name] = {"key": key, "shows": dict(shows)}
        self.items[f"{name} figures"] = {"status": "done"}
        self.executed += drawn

    def text(self) -> list[str]:
        """What a user wants to read at the end."""
        states = Counter(item["status"] for item in self.items.values())
        lines = [
            ", ".join(f"{n} {state}" for state, n in states.items()) or "nothing to do"
        ]
        if self.failed:
            lines.append(
                f"failed: {', '.join(self.failed)} (why: above, and in the summary)"
            )
        if self.figures:
            lines.append(f"figures: {self.out / 'figures'}")
        return [*lines, f"results: {self.out}, summary: {self.out / paths.RUN_SUMMARY}"]

    def as_dict(self) -> dict[str, Any]:
        """What run.json holds."""
        return {
            "program_version": provenance.code_version(),
            "environment": provenance.environment(),
            "command": self.command,
            "started": self.started.isoformat(timespec="seconds"),
            "beamtime": str(self.beamtime.path.resolve()),
            "items": self.items,
            "failed": self.failed,
            "executed": self.executed,
            "warnings": self.warnings,
            "problems": self.problems,
            "figures": self.figures,
            "moved": self.moved,
            "timings": self.timings,
        }

    @property
    def problems(self) -> list[str]:
        """What did not fit in the beamtime, one line each."""
        return [
            *self.beamtime.problems,
            *(problem for run in self.beamtime.runs for problem in run.problems),
        ]

    def write(self) -> None:
        """Write run.json. What a partial or interrupted run did not look at stays in it as it is by now.

        Other runs into the same folder may have written theirs since this one began.
        """
        whole = self.as_dict()
        with locked(self.out):
            if not self.whole:
                now = read(self.out)
                whole |= {
                    name: now[name] | whole[name] for name in ("items", "figures")
                }
                whole["failed"] |= {
                    name: why
                    for name, why in now["failed"].items()
                    if name not in self.items
                }
            with products.atomic_path(self.out / paths.RUN_SUMMARY) as temporary:
                temporary.write_text(json.dumps(whole, indent=1), encoding="utf-8")


def read(out: Path) -> dict[str, Any]:
    """The summary of the last run in a folder; with empty `items`, `figures` and `failed` where there is none."""
    path = out / paths.RUN_SUMMARY
    parts: dict[str, Any] = {"items": {}, "figures": {}, "failed": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(found[name], dict) for name in parts):
            raise ValueError("not a summary of rixs-pipeline")
    except FileNotFoundError:
        return parts
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s: not read (%s): the run goes on without it", path, error)
        return parts
    return dict(found)


def _told(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return round(float(value), 4) if value == value else None


def _cut_flow(dataset: xr.Dataset) -> dict[str, int]:
    """Pulses left after each cut, all pixels together."""
    left = dataset["cut_counts"].values.sum(axis=0)
    return {
        str(name): int(n) for name, n in zip(dataset["cut"].values, left, strict=True)
    }
