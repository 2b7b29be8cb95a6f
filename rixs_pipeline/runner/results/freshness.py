"""Which products are fresh: made from the same config, inputs and code."""

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError, RixsError
from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.io import csv_tables, nexus, provenance
from rixs_pipeline.io.caches.digest_cache import DigestCache
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.results.product_digests import ProductDigests
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.results.summary_file import parse_facts

OPTION_DIGITS = 8  # of the digest of one option
KEY_ATTRIBUTES = ("config_hash", "option_hashes", "input_hashes", "program_version")
PRODUCT_SUFFIXES = (".nxs", ".h5")
SHOWN_NAMES = 3  # of options or inputs that changed

log = logging.getLogger("rixs_pipeline")

Key = dict[str, str]


class Freshness:
    """The keys of products: digests of all that they are made from.

    A product that carries its key is fresh. `keys` holds those of every product that
    is there, or was made; a product that failed has none.
    """

    def __init__(
        self,
        out: Path,
        summary: Summary,
        memo: Memo,
        force: bool = False,
        digests: DigestCache | None = None,
    ) -> None:
        self.out = out
        self.summary = summary
        self.force = force
        self._memo = memo
        self.keys: dict[Path, Key] = {}
        self.digests = digests or DigestCache(out / paths.DIGEST_CACHE)
        self.has_other_version = False
        self._facts: dict[Path, str] = {}
        self._pulse_digests: dict[tuple[str, int, int], str] = {}
        self._key_digests: dict[Path, str] = {}
        self._option_hashes: dict[str, tuple[str, str]] = {}  # by the options as JSON
        self._written = ProductDigests(out, self.digests)

    def key(self, options: Mapping[str, object], inputs: Mapping[str, str]) -> Key:
        """Return the key of a product.

        Parameters
        ----------
        options : mapping
            Values of the config, as plain JSON.
        inputs : mapping of str to str
            Digests.

        Returns
        -------
        dict of str to str
            The attributes that a product with this key carries.
        """
        options_text = provenance.canonical_json(dict(options))
        if options_text not in self._option_hashes:  # few products have options alone
            hashes = provenance.digest_values(dict(options)), _option_hashes(options)
            self._option_hashes[options_text] = hashes
        values = (
            *self._option_hashes[options_text],
            provenance.canonical_json(dict(inputs)),
            provenance.code_version(),
        )
        return dict(zip(KEY_ATTRIBUTES, values, strict=True))

    def has_product(
        self, path: Path, options: Mapping[str, object], inputs: Mapping[str, str]
    ) -> bool:
        """Whether a fresh product is on disk.

        Parameters
        ----------
        path : Path
            Of the product.
        options : mapping
            Values of the config that it depends on.
        inputs : mapping of str to str
            Digests of its inputs.

        Returns
        -------
        bool
            Also true for a product that was made just now.
        """
        if path in self.keys:
            return True
        return not self.why_stale(path, self.key(options, inputs))

    def why_stale(self, path: Path, key: Key) -> str:
        """Return why a product is not fresh.

        Parameters
        ----------
        path : Path
            Of the product.
        key : dict of str to str
            The attributes that it carries if it is fresh.

        Returns
        -------
        str
            For users; empty if it is fresh.
        """
        if not path.is_file():
            return "not made yet"
        if self.force:
            return "--force"
        try:
            attributes = self._read_attributes(path)
        except RixsError as error:
            log.debug("%s", error)
            self.summary.warn(
                f"{path}: damaged, or not a product of rixs-pipeline; {self._later}"
            )
            return "damaged"
        self._facts[path] = str(attributes.get(nexus.FACTS, "{}"))
        if attributes.get("program_version") != key.get("program_version"):
            self._warn_version(str(attributes.get("program_version")))
        changes = _describe_changes(attributes, key)
        if not changes and not self._written.is_intact(path):
            self._warn_changed(path)
            return "content changed"
        return changes

    def why_figures_stale(self, name: str, key: Key) -> str:
        """Return why a set of figures is not fresh.

        Parameters
        ----------
        name : str
            Of the set.
        key : dict of str to str
            Of what the figures are made from.

        Returns
        -------
        str
            For users; empty if all of them are as they were drawn.
        """
        digest = provenance.digest_values(key)
        if self.force or not self.summary.has_fresh_figures(name, digest):
            return "not drawn yet"
        changed = self.summary.shown_figures(name).keys() - self.drawn_figures(name)
        for file in sorted(changed):
            self._warn_changed(self.out / file)
        return "content changed" if changed else ""

    def drawn_figures(self, name: str) -> dict[str, str]:
        """Return the figures of a set that are there as they were drawn.

        Parameters
        ----------
        name : str
            Of the set.

        Returns
        -------
        dict of str to str
            File -> digest of what it shows; with --force none.
        """
        shown = {} if self.force else self.summary.shown_figures(name)
        return {
            file: digest
            for file, digest in shown.items()
            if self._is_as_drawn(self.out / file)
        }

    def _is_as_drawn(self, figure: Path) -> bool:
        try:
            return self._written.is_intact(figure)
        except InputError as error:  # nothing else depends on it: it is drawn again
            log.debug("%s", error)
            return False

    def _warn_changed(self, path: Path) -> None:
        self.summary.warn(
            f"{path}: content changed since it was written; {self._later}"
        )

    @property
    def _later(self) -> str:
        """What becomes of a product that is not usable."""
        if self.summary.options.dry_run:
            return "the next `run` makes it again"
        return "it is regenerated"

    def _read_attributes(self, path: Path) -> dict[str, Any]:
        """Return the key that a product carries, and its facts.

        Those of tables are in a file beside them, those of others part of the content.
        """
        if path.suffix == ".csv":
            return {**csv_tables.read_attributes(path)}
        names = (*KEY_ATTRIBUTES, nexus.FACTS)
        depends_on = {
            "attributes of": self.digests.digest_file(path),
            "file": path.name,
        }
        read = partial(nexus.read_attributes, path, names=names)
        return self._memo.get(depends_on, read, dict)

    def record(self, path: Path) -> None:
        """Record a product or a figure that was written."""
        self._written.record(path)

    def save(self) -> None:
        """Keep the digests for the next reduction."""
        self.digests.save()
        self._written.save()

    def facts(self, path: Path) -> dict[str, Any]:
        """Return what a fresh product says of itself, for run.json."""
        return parse_facts(self._facts.get(path, "{}"))

    def _warn_version(self, version: str) -> None:
        """Say once that all products of another version are made again."""
        if not self.has_other_version:
            self.has_other_version = True
            self.summary.warn(
                f"{self.out}: products of another version ({version}, now "
                f"{provenance.code_version()}); they are regenerated"
            )

    def read_pulses(self, runs: Iterable[Run]) -> None:
        """Compute the digests of the pulses of all runs, each file in one pass.

        Files that cannot be read are reported by the runs that need them.
        """
        runs = [run for run in runs if run.photon_list is None]
        windows = pulse_windows(runs)
        digests = {
            (path, window): digest
            for path, of_file in self.digests.digest_files(windows).items()
            for window, digest in zip(windows[path], of_file, strict=True)
        }
        for run in runs:
            window = run.start_ns, run.end_ns
            parts = {p.name: digests.get((p, window), "") for p in run.pulse_files}
            if all(parts.values()):
                digest = provenance.digest_values(parts)
                self._pulse_digests[run.name, *window] = digest

    def pulse_digest(self, run: Run) -> str:
        """Return a digest of the records that a run uses, in all its files."""
        window = run.name, run.start_ns, run.end_ns
        if window not in self._pulse_digests:
            self._pulse_digests[window] = self._digest_pulses(run)
        return self._pulse_digests[window]

    def _digest_pulses(self, run: Run) -> str:
        if run.photon_list is not None:
            return self.digests.digest_file(run.photon_list)
        span = run.start_ns, run.end_ns
        return provenance.digest_values(
            {
                path.name: self.digests.digest_records(path, [span])[0]
                for path in run.pulse_files
            }
        )

    def set_key(self, path: Path, key: Key) -> None:
        """Set the key of a product that is there, or will be made now."""
        self.keys[path] = key
        self._key_digests.pop(path, None)

    def key_digest(self, path: Path) -> str:
        """Return a digest of the key of a product.

        Raises
        ------
        KeyError
            There is no such product.
        """
        key = self.keys[path]
        if path not in self._key_digests:
            self._key_digests[path] = provenance.digest_values(key)
        return self._key_digests[path]

    def file_digest(self, path: Path) -> str:
        """Return a digest of the content of a product.

        Raises
        ------
        InputError
            It cannot be read.
        """
        return self.digests.digest_file(path)

    def warn_leftovers(self) -> None:
        """Warn of products of an earlier reduction that are not part of this one."""
        if self.summary.failed:  # what was not looked at is not left over
            return
        is_complete = self.summary.options.is_complete
        patterns = {(path.parent, f"*{path.suffix}") for path in self.keys}
        if is_complete:  # also folders of stages without products
            patterns |= {
                (self.out / folder, f"*{suffix}")
                for folder in paths.PRODUCT_FOLDERS
                for suffix in PRODUCT_SUFFIXES
            }
        facts = self.summary.items.values()
        listed = {str(product.get("product")) for product in facts}
        files = {p for folder, pattern in patterns for p in folder.glob(pattern)}
        leftovers = [
            product
            for path in files - self.keys.keys()
            if path.suffix in PRODUCT_SUFFIXES
            and (product := path.relative_to(self.out).as_posix()) not in listed
        ]
        if is_complete:
            leftovers += self.summary.leftover_figures()
        for product in sorted(leftovers):
            self.summary.leftovers.append(product)
            self.summary.warn(
                f"{self.out / product}: product of an earlier run, not used; "
                "delete it if no longer needed"
            )


def pulse_windows(runs: Iterable[Run]) -> dict[Path, list[tuple[int, int]]]:
    """Return start and end of the runs that are in each pulse file, ns since 1970."""
    windows: dict[Path, list[tuple[int, int]]] = {}
    for run in runs:
        for path in run.pulse_files:
            windows.setdefault(path, []).append((run.start_ns, run.end_ns))
    return windows


def _option_hashes(options: Mapping[str, object]) -> str:
    """Return a short digest of every option, as JSON, to tell which one changed."""
    hashes = {
        name: provenance.digest_values({name: value})[:OPTION_DIGITS]
        for name, value in options.items()
    }
    return provenance.canonical_json(hashes)


def _describe_changes(stored: Mapping[str, object], key: Key) -> str:
    """Return what differs between the attributes of a product and a key, for users."""
    changes = []
    for attribute, detail, text in (
        ("config_hash", "option_hashes", "config changed"),
        ("input_hashes", "input_hashes", "inputs changed"),
    ):
        if stored.get(attribute) != key.get(attribute):
            names = _changed_names(str(stored.get(detail)), key.get(detail, "{}"))
            changes.append(f"{text} ({names})" if names else text)
    if stored.get("program_version") != key.get("program_version"):
        changes.append("program version changed")
    return ", ".join(changes)


def _changed_names(stored: str, current: str) -> str:
    """Return the names whose digests differ between two JSON objects."""
    try:
        before, after = (dict(parse_json(text.encode())) for text in (stored, current))
    except (TypeError, ValueError):
        return ""
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    shown = ", ".join(sorted(names)[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
