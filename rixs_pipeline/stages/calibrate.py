"""Calibrates reference runs, and tells which of them scans may rest on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rixs_pipeline import paths, progress
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.reference import reference_table as references
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run
from rixs_pipeline.types import are_ok


def calibrate(work: Work) -> set[Path]:
    """Calibrate what is not fresh; returns the products of reference runs that scans may rest on."""
    stale = []
    for one in work.beamtime.calibrations:
        path = work.product_of(one)
        with work.ledger.attempt(one.name, path):
            key = {} if work.is_plainly_stale(path) else _key(work, one)
            if work.ledger.wanted(one.name, path, key):
                stale.append(one)
    task = partial(
        calibrate_run, reference=work.reference, config=work.config.calibration
    )
    with progress.shown("calibrating", len(stale), "reference runs") as tell:
        for one, outcome in zip(
            stale, work.executor.outcomes(task, stale, tell), strict=True
        ):
            path = work.product_of(one)
            with work.ledger.attempt(one.name, path):
                if isinstance(outcome, Exception):
                    raise outcome
                work.ledger.write(path, {"entry": outcome}, "spectrum")
                work.summary.calibrated(one.name, outcome)
    usable = _usable(work)
    _compare_references(work)
    return usable


def _key(work: Work, one: Run) -> dict[str, str]:
    science = work.config.science("calibration")
    del science["calibration"]["align"]  # of scans
    science |= {"reference": work.reference.model_dump(mode="json")}
    inputs = {
        "pulses": work.ledger.pulse_digest(one),
        "run": provenance.run_digest(one),
    }
    return work.ledger.key(science, inputs)


def _compare_references(work: Work) -> None:
    """The table of what each line says about the reference set, from all reference runs that are done."""
    sources = [
        path
        for c in work.beamtime.calibrations
        if (path := work.product_of(c)) in work.ledger.keys
    ]
    path = paths.references_table(work.out)
    if not sources:
        return
    with work.ledger.attempt("references", path):
        key = work.ledger.key(
            {}, {p.stem: provenance.config_hash(work.ledger.keys[p]) for p in sources}
        )
        if work.ledger.wanted("references", path, key):
            done = [products.read_entry(p) for p in sources]
            table = references.reference_table(done, work.config.calibration.curve)
            work.ledger.write_table(path, table, work.reference.attributes())
            verdicts = dict(zip(table["line"], table["verdict"], strict=True))
            work.summary.made(
                "references", work.reference.attributes() | {"lines": verdicts}, []
            )


def _usable(work: Work) -> set[Path]:
    """Reference runs with at least half as many good pixels as the best one: a short one hides no good one."""
    good: dict[str, int] = {}
    usable = set()
    for one in work.beamtime.calibrations:
        path = work.product_of(one)
        if path in work.ledger.keys:
            try:
                good[one.name] = int(are_ok(products.read_values(path, "status")).sum())
            except InputError:  # in a dry run: not made yet, or damaged
                usable.add(path)
    for one in work.beamtime.calibrations:
        if one.name in good and good[one.name] >= 0.5 * max(good.values()):
            usable.add(work.product_of(one))
        elif one.name in good:
            text = f"{one.name}: only {good[one.name]} pixels calibrated, others have {max(good.values())}"
            work.summary.warn(f"{text}: not used for scans")
    return usable
