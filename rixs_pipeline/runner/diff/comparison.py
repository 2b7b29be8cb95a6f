"""Two reductions of one beamtime, compared: what `diff` reports."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import PlotsConfig
from rixs_pipeline.config.yaml_lines import read_yaml
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.compare_products import find_differences, products
from rixs_pipeline.runner.diff.changes import (
    Change,
    calibration_changes,
    comparison_changes,
    sample_changes,
)
from rixs_pipeline.runner.results.lost_products import current_products, warn_excluded
from rixs_pipeline.runner.results.record import (
    RAW_INPUTS,
    Record,
    changed_inputs,
    changed_versions,
)
from rixs_pipeline.runner.results.summary_file import check_results, leftover_products
from rixs_pipeline.schema import SCHEMA_VERSION

NOT_SET = "(not set)"
SET = "(set)"
# kinds of figures that are drawn if they are in the config, even without options
ON_REQUEST = {
    name for name, info in PlotsConfig.model_fields.items() if info.default is None
}


@dataclass(frozen=True)
class Comparison:
    """What differs between two reductions.

    Attributes
    ----------
    before, after
        The reductions.
    versions
        Program or library -> version before and after.
    config
        Key -> value before and after, of those that differ.
    inputs
        Run -> kinds of raw data that differ.
    only_before, only_after
        Products that the other reduction lacks.
    values
        Product -> number of values that differ by more than rounding.
    references, samples, comparisons
        Quantities of each reference run, each sample and edge, and each comparison of
        samples; equal ones, too.
    """

    before: Record
    after: Record
    versions: Mapping[str, Sequence[str]]
    config: Mapping[str, Sequence[Any]]
    inputs: Mapping[str, Sequence[str]]
    only_before: Sequence[str]
    only_after: Sequence[str]
    values: Mapping[str, int]
    references: Sequence[Change]
    samples: Sequence[Change]
    comparisons: Sequence[Change]

    @property
    def is_equal(self) -> bool:
        """Whether both have the same products with the same values."""
        return not (self.only_before or self.only_after or self.values)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "before": str(self.before.out),
            "after": str(self.after.out),
            "equal": self.is_equal,
            "versions": self.versions,
            "config": self.config,
            "inputs": self.inputs,
            "only_before": self.only_before,
            "only_after": self.only_after,
            "differing_values": self.values,
            "references": [change.as_json() for change in self.references],
            "samples": [change.as_json() for change in self.samples],
            "comparisons": [change.as_json() for change in self.comparisons],
        }


def compare_reductions(before: Path, after: Path) -> Comparison:
    """Compare two reductions of one beamtime.

    Parameters
    ----------
    before, after
        Folders of results.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        Not two folders of results of one beamtime.
    InputError
        A product cannot be read.
    """
    records = [_read_record(out) for out in (before, after)]
    changed = changed_inputs(before, after)
    _check_beamtime(records, changed)
    for out in (before, after):
        excluded = [name for name in leftover_products(out) if name in products(out)]
        warn_excluded(out, excluded, "compared")
    names = [current_products(out).keys() for out in (before, after)]
    common = names[0] & names[1]
    differences = Counter(
        difference.product
        for difference in find_differences(before, after, products_of=current_products)
        if difference.product in common
    )
    return Comparison(
        before=records[0],
        after=records[1],
        versions=changed_versions(records[0].versions, records[1].versions),
        config=changed_keys(records[0].config, records[1].config),
        inputs={run: kinds for run, kinds in changed.items() if kinds},
        only_before=sorted(names[0] - names[1]),
        only_after=sorted(names[1] - names[0]),
        values=dict(differences),
        references=list(calibration_changes(before, after, common)),
        samples=list(sample_changes(before, after, common)),
        comparisons=list(comparison_changes(before, after, common)),
    )


def _read_record(out: Path) -> Record:
    """Return the record of a folder of results.

    Raises
    ------
    UsageError
        Not such a folder.
    InputError
        It has no run.json, or its products are of another version or cannot be read.
    """
    check_results(out, with_summary=True)
    record = Record.read(out / paths.RUN_SUMMARY)
    for product in current_products(out).values():
        if product.suffix == ".nxs":
            attributes = nexus.read_attributes(product, names=("schema_version",))
            version = attributes.get("schema_version")
            if str(version) != str(SCHEMA_VERSION):
                raise InputError(
                    f"{product}: products of version {version}, this program reads "
                    f"version {SCHEMA_VERSION}; reduce again"
                )
            break
    return record


def _check_beamtime(
    records: Sequence[Record], changed: Mapping[str, Sequence[str]]
) -> None:
    """Check that two reductions are of one beamtime, which may have moved.

    Raises
    ------
    UsageError
        Other paths, and no file of the runs with the same name is equal.
    """
    before, after = (record.beamtime for record in records)
    is_any_equal = any(set(kinds) < set(RAW_INPUTS) for kinds in changed.values())
    if before.resolve() != after.resolve() and not is_any_equal:
        raise UsageError(
            f"different beamtimes: {records[0].out} of {before}, {records[1].out} of "
            f"{after}; give two reductions of the same data"
        )


def changed_keys(before: Path, after: Path) -> dict[str, list[Any]]:
    """Return the keys whose values differ in two resolved configs.

    Parameters
    ----------
    before, after
        The files; they may be of other versions, whose keys are not known here.

    Returns
    -------
    dict of str to list
        Key, such as `map.step` -> value before and after; `NOT_SET`: it is missing.

    Raises
    ------
    ConfigError
        A file cannot be read.
    """
    old, new = (dict(_flat(read_yaml(path).data)) for path in (before, after))
    return {
        key: [old.get(key, NOT_SET), new.get(key, NOT_SET)]
        for key in {**old, **new}
        if old.get(key, NOT_SET) != new.get(key, NOT_SET)
    }


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of nested mappings, joined by dots, with their values."""
    for key, value in values.items():
        if prefix == "plots." and key in ON_REQUEST:
            yield f"{prefix}{key}", SET
        if isinstance(value, dict):  # an empty mapping sets nothing
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
