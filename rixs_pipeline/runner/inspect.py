"""Look at a beamtime, or at a folder of results, without reducing anything."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import Config, template
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime import discovery, inspection
from rixs_pipeline.runner.cluster.submission import read_submission, with_jobs
from rixs_pipeline.runner.config_checks import unmatched_entries, unreached_regions
from rixs_pipeline.runner.log_checks import log_problems
from rixs_pipeline.runner.results import summary_file
from rixs_pipeline.runner.results.last_lines import group_by_kind, summarise_kind
from rixs_pipeline.runner.results.output_folder import config_digest
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.sample.configured_regions import select_regions
from rixs_pipeline.types import Correction

LOG = logging.getLogger("rixs_pipeline")


def inspect_beamtime(beamtime: Path, config: Config, *, as_json: bool) -> Any:
    """Return what is in a beamtime directory.

    Parameters
    ----------
    beamtime : Path
        The beamtime directory.
    config : Config
        May exclude files, and name samples and edges.
    as_json : bool
        As JSON values instead of text.

    Returns
    -------
    str or dict
        Runs, samples, edges, points, pixels, pulses and problems, also those of the
        config in this beamtime and of the scans' I0, as far as logs show them.

    Raises
    ------
    InputError
        Not a beamtime directory.
    """
    discovered = discovery.discover(beamtime, config.beamtime)
    contents = inspection.describe(discovered)
    contents["problems"] += unmatched_entries(discovered, config)
    contents["problems"] += unreached_regions(discovered, config)
    of_scans = group_by_kind(log_problems(discovered, config))
    contents["problems"] += map(summarise_kind, of_scans.values())
    return contents if as_json else inspection.as_text(contents)


def initial_config(beamtime: Path) -> str:
    """Return the text of a commented config that fits a beamtime, to start from.

    Raises
    ------
    InputError
        Not a beamtime directory.
    """
    contents = inspection.describe(discovery.discover(beamtime))
    edges = sorted({run["edge"] for run in contents["runs"] if run["edge"]})
    regions = {edge: select_regions(edge, None) for edge in edges}
    return template.initial_config(contents, regions)


SHOWN_PIXELS = 16  # of one reason
# sentences about what `facts` has as numbers, and what is not of users
NOT_FACTS = ("status", "reason", "results", "product")


@dataclass(frozen=True)
class Status:
    """The state of every product.

    Attributes
    ----------
    states
        Product -> its state, with the reason and what was found, in words.
    items
        Product -> its facts, as in run.json.
    """

    states: Mapping[str, str]
    items: Mapping[str, Mapping[str, Any]]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return `state`, `reason` and the facts of each product as JSON values."""
        values = {}
        for name, text in self.states.items():
            facts = self.items.get(name, {})
            state, _, reason = text.partition(": ")
            if state == "fresh":
                reason = ""
            if " (" in state:  # of a job, such as `queued (job 17_0, Priority)`
                state, _, job = state.removesuffix(")").partition(" (")
                reason = f"{job}: {reason}"
            values[name] = {
                "state": state,
                "reason": reason,
                **{key: facts[key] for key in facts if key not in NOT_FACTS},
            }
        return values


def status(out: Path) -> Status:
    """Return the state of every product, with the reason, and of jobs that make it.

    Parameters
    ----------
    out
        Folder of the results.

    Returns
    -------
    Status

    Raises
    ------
    UsageError
        Not a folder of results.
    InputError
        The folder has no run.json, or a damaged one, and nothing was submitted, or its
        beamtime is no longer there.
    """
    submission = read_submission(out)
    summary_file.check_results(out, with_summary=submission is None)
    last_run = summary_file.read(out)
    if submission and not _is_newer(out / paths.RUN_SUMMARY, out / paths.SUBMISSION):
        last_run["beamtime"] = submission.beamtime
    if "beamtime" not in last_run:
        raise InputError(
            f"{out / paths.RUN_SUMMARY}: damaged; repeat: rixs-pipeline run BEAMTIME "
            f"-o {out}"
        )
    beamtime = Path(last_run["beamtime"])
    if not beamtime.is_dir():
        raise InputError(
            f"{out}: its beamtime {beamtime} is not there; if it has moved, repeat: "
            f"rixs-pipeline run FOLDER -o {out}"
        )
    # a dry run executes nothing, also what earlier versions wrote as `execution`
    config = load_config(out / paths.RESOLVED_CONFIG, is_trusted=True)
    digest = config_digest(config)
    if last_run.get("config_digest", digest) != digest:
        LOG.error(
            "%s: changed since the last reduction; states are those with this config",
            out / paths.RESOLVED_CONFIG,
        )
    current = run(beamtime, config, out, Options(dry_run=True))
    known = {*last_run.get("problems", []), *last_run.get("warnings", [])}
    for line in current.reports:
        if line not in known:
            LOG.error("%s", line)
    states = {name: _describe(name, facts) for name, facts in current.items.items()}
    failed = last_run["failed"] | current.failed
    states |= {name: f"failed: {reason}" for name, reason in failed.items()}
    vanished = last_run["items"].keys() - states.keys()
    states |= dict.fromkeys(sorted(vanished), "no longer part of the beamtime")
    files = {
        name: out / facts["product"]
        for name, facts in current.items.items()
        if "product" in facts
    }
    return Status(with_jobs(out, states, files), current.items)


def _is_newer(path: Path, other: Path) -> bool:
    return path.exists() and path.stat().st_mtime >= other.stat().st_mtime


def _describe(name: str, facts: Mapping[str, Any]) -> str:
    """Return the status, the reason and the results of a product in one line."""
    parts = [str(facts[key]) for key in ("status", "reason") if key in facts]
    details = [*facts.get("results", []), *facts.get("losses", [])]
    details += _unused_pixels(facts)
    details += [str(Correction(**values)) for values in facts.get("corrections", [])]
    details += [
        f"{line} {position:.2f} +- {error:.2f} eV"
        for line, (position, error) in facts.get("line_positions", {}).items()
        if position is not None and error is not None
    ]
    if details:
        parts.append("; ".join(text.removeprefix(f"{name}: ") for text in details))
    return ": ".join(parts)


def _unused_pixels(facts: Mapping[str, Any]) -> list[str]:
    """Return how many pixels of a run are not used, which ones, and why."""
    bad = facts.get("pixels_bad", {})
    if not bad:
        return []
    by_reason: dict[str, list[str]] = {}
    for pixel in sorted(bad, key=int):
        by_reason.setdefault(bad[pixel], []).append(str(pixel))
    reasons = []
    for reason, pixels in by_reason.items():
        more = ", ..." if len(pixels) > SHOWN_PIXELS else ""
        reasons.append(f"{', '.join(pixels[:SHOWN_PIXELS])}{more} ({reason})")
    total = facts.get("pixels_ok", facts.get("pixels_used", 0)) + len(bad)
    return [f"{len(bad)} of {total} pixels not used: {', '.join(reasons)}"]
