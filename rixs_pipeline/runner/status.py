"""What is done, stale or failed in a folder of results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import InputError
from rixs_pipeline.runner import summary
from rixs_pipeline.runner.run import Options, run


def status(out: Path) -> dict[str, str]:
    """Return the state of every product, with the reason.

    Raises
    ------
    InputError
        The folder has no run.json, or its beamtime is no longer there.
    """
    last_run = summary.read(out)
    if "beamtime" not in last_run:
        raise InputError(
            f"{out}: no {paths.RUN_SUMMARY}; not a folder that `rixs-pipeline run` wrote"
        )
    config = load_config(out / paths.RESOLVED_CONFIG)
    current = run(Path(last_run["beamtime"]), config, out, Options(dry_run=True))
    states = {name: _describe(item) for name, item in current.items.items()}
    failed = last_run["failed"] | current.failed
    return states | {name: f"failed: {reason}" for name, reason in failed.items()}


def _describe(item: Mapping[str, Any]) -> str:
    """Return the status, the reason and the results of a product in one line."""
    parts = [str(item[key]) for key in ("status", "reason") if key in item]
    if item.get("results"):
        parts.append("; ".join(item["results"]))
    return ": ".join(parts)
