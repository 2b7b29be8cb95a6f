"""The record of a reduction, by which it is repeated and compared."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io import nexus, provenance
from rixs_pipeline.io.compare_products import TOLERANCE, Difference, find_differences
from rixs_pipeline.runner.results.lost_products import current_products
from rixs_pipeline.runner.results.output_folder import config_digest
from rixs_pipeline.runner.results.summary_file import read_record

_PROGRAM = "rixs_pipeline"  # its version with a digest of its sources
RAW_INPUTS = ("pulses", "log")  # of runs; all others are products themselves
SHOWN_VALUES = 3  # of a product that differ


@dataclass(frozen=True)
class Record:
    """A reduction as its run.json describes it.

    Attributes
    ----------
    out
        The folder of its results.
    beamtime
        The beamtime directory.
    until, scans
        As the command had them.
    config_digest
        Of its config.
    versions
        Of the program, of Python and of libraries, by name.
    """

    out: Path
    beamtime: Path
    until: str
    scans: str | None
    config_digest: str
    versions: Mapping[str, str]

    @classmethod
    def read(cls, summary: Path) -> "Record":
        """Read a run.json.

        Raises
        ------
        UsageError
            Not a run.json.
        InputError
            It cannot be read.
        """
        content = read_record(summary)
        return cls(
            out=summary.parent,
            beamtime=Path(content["beamtime"]),
            until=content["until"],
            scans=content["selected_scans"],
            config_digest=content["config_digest"],
            versions=content["environment"] | {_PROGRAM: content["program_version"]},
        )

    @property
    def config(self) -> Path:
        """The resolved config, beside run.json."""
        return self.out / paths.RESOLVED_CONFIG

    def check(self, config: Config, out: Path) -> None:
        """Check that this reduction can be repeated.

        Parameters
        ----------
        config
            As it was read from the file.
        out
            The folder of the results of the repetition.

        Raises
        ------
        UsageError
            The config is not that of the record, or the results would be overwritten.
        """
        self.check_config(config)
        if out.resolve() == self.out.resolve():
            raise UsageError(
                f"{out}: has the results of the reduction that is to be repeated; "
                "choose another folder with -o"
            )

    def check_config(self, config: Config) -> None:
        """Check that a config is that of this reduction.

        Parameters
        ----------
        config
            As it was read from the file.

        Raises
        ------
        UsageError
            It is not.
        """
        if config_digest(config) != self.config_digest:
            raise UsageError(
                f"{self.config}: not the config of this {paths.RUN_SUMMARY}: it was "
                "written later or edited, or defaults changed with the version of the "
                "program; reduce again with -c"
            )

    def differences(self, out: Path) -> list[str]:
        """Return what differs in a repetition: versions, inputs and products.

        Parameters
        ----------
        out
            The folder of its results.

        Returns
        -------
        list of str
            Lines for users.
        """
        try:
            products = describe_differences(self.out, out)
        except RixsError as error:
            products = [f"products not compared: {error}"]
        lines = [*self.circumstances(out), *(products or ["all products are equal"])]
        return [f"compared with {self.out}:", *(f"  {line}" for line in lines)]

    def circumstances(self, out: Path) -> list[str]:
        """Return a line for each version, and each run with raw data, that changed.

        Parameters
        ----------
        out
            The folder of the results of a repetition.

        Returns
        -------
        list of str
            Lines for users.
        """
        return [*self._other_versions(), *self._other_inputs(out)]

    def _other_versions(self) -> Iterator[str]:
        now = {_PROGRAM: provenance.code_version()}
        now = provenance.environment() | now
        for name, versions in changed_versions(self.versions, now).items():
            yield f"{name}: {versions[0]} became {versions[1]}"

    def _other_inputs(self, out: Path) -> Iterator[str]:
        for run, kinds in changed_inputs(self.out, out).items():
            if kinds:
                yield f"{run}: {' and '.join(kinds)} changed"


def describe_differences(
    before: Path, after: Path, tolerance: float = TOLERANCE
) -> list[str]:
    """Return a line for each product that is not the same in two reductions.

    Products of earlier reductions are left out.

    Parameters
    ----------
    before, after
        Folders of the results.
    tolerance
        Relative, for floats.

    Returns
    -------
    list of str
        Empty if all products are equal.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    differences = find_differences(before, after, tolerance, current_products)
    groups = groupby(differences, lambda difference: difference.product)
    return [_describe(product, list(group)) for product, group in groups]


def _describe(product: str, differences: list[Difference]) -> str:
    """Return one line for what differs in a product."""
    texts = [str(Difference("", each.value, each.text)) for each in differences]
    if len(texts) > SHOWN_VALUES:
        texts = [*texts[:SHOWN_VALUES], f"and {len(texts) - SHOWN_VALUES} more values"]
    return f"{product}: {'; '.join(texts)}"


def changed_versions(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the versions that changed.

    Parameters
    ----------
    before, after
        Name of a program or library -> version.

    Returns
    -------
    dict of str to list of str
        Name -> version before and after.
    """
    return {
        name: [before.get(name, "unknown"), version]
        for name, version in after.items()
        if before.get(name) != version
    }


def changed_inputs(before: Path, after: Path) -> dict[str, list[str]]:
    """Return which raw data changed of the runs that two reductions have.

    Parameters
    ----------
    before, after
        Folders of the results.

    Returns
    -------
    dict of str to list of str
        Run -> those of `RAW_INPUTS` that changed.
    """
    changed = {}
    first, second = current_products(before), current_products(after)
    for product in sorted(first.keys() & second.keys()):
        path = first[product]
        if path.parent.name in ("calibration", "scans") and path.suffix == ".nxs":
            old, new = _raw_inputs(path), _raw_inputs(second[product])
            names = [name for name in old if old[name] != new.get(name)]
            changed[path.stem] = names
    return changed


def _raw_inputs(product: Path) -> dict[str, str]:
    """Return the digests of a run's files; none of a product that cannot be read."""
    try:
        attributes = nexus.read_attributes(product, names=("input_hashes",))
        digests = dict(json.loads(attributes["input_hashes"]))
    except (RixsError, KeyError, TypeError, ValueError):
        return {}
    return {name: digests[name] for name in RAW_INPUTS if name in digests}
