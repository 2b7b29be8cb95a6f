"""What every product was made from, whether it is fresh, and what goes wrong with a single one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rixs_pipeline import paths
from rixs_pipeline.errors import RixsError
from rixs_pipeline.io import csv_tables as tables
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.summary import Summary

if TYPE_CHECKING:
    import xarray as xr

CHANGED = {
    "config_hash": "config",
    "input_hashes": "input",
    "program_version": "program version",
}

log = logging.getLogger("rixs_pipeline")


@dataclass
class Ledger:
    """Keys tell what each product was made from; a product that carries its key is fresh."""

    out: Path
    summary: Summary
    force: bool
    command: str
    begin: Callable[[], None] = lambda: (
        None
    )  # called when a product is found that has to be made
    keys: dict[Path, dict[str, str]] = field(
        default_factory=dict
    )  # of every product that is there or was made

    def __post_init__(self) -> None:
        self.digests = provenance.DigestCache(self.out / paths.DIGEST_CACHE)

    def key(
        self, science: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> dict[str, str]:
        """What a product is made from: plain JSON values of the config, and digests of the inputs."""
        return {
            "config_hash": provenance.config_hash(dict(science)),
            "input_hashes": provenance.canonical(dict(inputs)),
            "program_version": provenance.code_version(),
        }

    def wanted(self, name: str, path: Path, key: dict[str, str]) -> bool:
        """Whether the product has to be made now; notes it as fresh or stale."""
        self.keys[path] = key
        reason = self.why_stale(path, key)
        if not reason:
            self.summary.fresh(name)
            return False
        wanted = self.summary.stale(name, path, reason)
        if wanted:
            self.begin()
        return wanted

    def why_stale(self, path: Path, key: dict[str, str]) -> str:
        """Why the product is not there as made from the same config, inputs and code; empty: it is."""
        if not path.is_file():
            return "not made yet"
        if self.force:
            return "--force"
        try:
            is_table = path.suffix == ".csv"
            attributes = (
                tables.read_attributes(path)
                if is_table
                else products.read_attributes(path)
            )
        except RixsError as error:
            log.debug("%s", error)
            self.summary.warn(f"{path}: damaged, or not a product: made again")
            return "damaged"
        changed = [
            CHANGED[name]
            for name, value in key.items()
            if attributes.get(name) != value
        ]
        return f"another {', '.join(changed)}" if changed else ""

    def read_pulses(self, runs: Iterable[Run]) -> None:
        """Digest what runs use of the pulse files, every file in one go: what is asked for later is known then."""
        windows: dict[Path, list[tuple[int, int]]] = {}
        for one in runs:
            for path in one.pulse_files:
                windows.setdefault(path, []).append((one.start_ns, one.end_ns))
        pool = ThreadPoolExecutor()  # reading and hashing let go of the interpreter
        try:
            for told in [
                pool.submit(self.digests.records, *of) for of in windows.items()
            ]:
                told.exception()  # kept nowhere: the runs that need the file read it again, and tell it
        finally:  # a Ctrl-C waits for the files that are being read, not for all
            pool.shutdown(cancel_futures=True)

    def pulse_digest(self, one: Run) -> str:
        """Of the records that a run uses, in all its files."""
        if one.photon_list is not None:
            return self.digests.file(one.photon_list)
        return provenance.config_hash(
            {
                path.name: self.digests.records(path, [(one.start_ns, one.end_ns)])[0]
                for path in one.pulse_files
            }
        )

    def write(self, path: Path, entries: dict[str, xr.Dataset], signal: str) -> None:
        """Write a product with its key; `signal` is the variable that viewers plot."""
        products.write_product(
            path, entries, self.keys[path] | {"command": self.command}, signal
        )
        self.wrote(path)

    def write_table(
        self,
        path: Path,
        columns: Mapping[str, Sequence[Any]],
        attributes: Mapping[str, str],
    ) -> None:
        """Write a table with its key."""
        tables.write_table(
            path,
            columns,
            self.keys[path] | {"command": self.command} | dict(attributes),
        )
        self.wrote(path)

    def wrote(self, path: Path) -> None:
        """Note that a product was written."""
        self.summary.executed.append(str(path.relative_to(self.out)))
        log.info("wrote %s", path)

    @contextmanager
    def attempt(self, name: str, path: Path) -> Iterator[None]:
        """What goes wrong with one run or map is told and counted; the others go on."""
        try:
            yield
        except RixsError as error:
            self._failed(name, path, str(error))
        except OSError as error:
            self._failed(
                name, path, f"{error.filename or path}: {error.strerror or error}"
            )
        except Exception as error:
            log.debug("%s", name, exc_info=True)
            self._failed(
                name,
                path,
                f"{type(error).__name__}: {error} (a defect: please report it; -v shows where)",
            )

    def _failed(self, name: str, path: Path, reason: str) -> None:
        self.keys.pop(path, None)
        self.summary.fail(name, reason)

    def tell_leftovers(self) -> None:
        """Products of an earlier run that this one knows nothing of: kept, since only the user knows why."""
        folders = {path.parent for path in self.keys}
        failed = {str(item.get("product")) for item in self.summary.items.values()}
        for path in sorted(p for folder in folders for p in folder.glob("*.nxs")):
            name = str(path.relative_to(self.out))
            if path not in self.keys and name not in failed:
                self.summary.warn(
                    f"{path}: left from an earlier run, not part of this one; delete it if it is stale"
                )
