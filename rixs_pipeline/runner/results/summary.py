"""`run.json`: what was done with every run, what was made, what went wrong."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.errors import INTERNAL_ERROR, InputError, RunFailed
from rixs_pipeline.files.json_text import format_json
from rixs_pipeline.files.opening import is_file
from rixs_pipeline.io import provenance, temporaries
from rixs_pipeline.io.locks import locked
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.last_lines import (
    group_by_kind,
    last_lines,
    summarise_kind,
    warning_kind,
    with_name,
)
from rixs_pipeline.runner.results.summary_file import read
from rixs_pipeline.stages.stage import Content, FigureFiles

FIGURES = " figures"  # how the names of sets of figures end

log = logging.getLogger("rixs_pipeline")


# parts of run.json that the HTML report shows besides the products
REPORTED = (
    "program_version",
    "config_digest",
    "beamtime",
    "warnings",
    "problems",
    "failed",
    "losses",
)


@dataclass
class Summary:
    """Collects while the stages run; written at the end, also on failure.

    Attributes
    ----------
    items : dict
        Product -> its status, and facts about it.
    options : Options
        What was asked for.
    scans : sequence of Run
        The scans that were asked for.
    config_digest : str
        Of the resolved config.
    failed : dict
        Product -> the reason.
    losses : list of str
        Lines about what is lost in products that were made.
    executed : list of str
        The files that were written.
    planned : list of str
        The products that are not fresh.
    figures : dict
        Set of figures -> its key, the files with digests of what they show, and the
        texts of those in which the config replaces some.
    leftovers : list of str
        Files of products and figures of earlier reductions that are not part of this
        one.
    is_complete : bool
        Whether everything was looked at: what is not listed is then no longer part of
        the results.
    is_known : callable
        Whether a line need not be logged.
    """

    out: Path
    beamtime: Beamtime
    options: Options
    scans: Sequence[Run] = ()
    config_digest: str = ""
    executed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    is_complete: bool = False
    has_internal_error: bool = False
    is_known: Callable[[str], bool] = lambda line: False
    # Unix time, s, when the last product was on disk
    ended: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.previous = read(self.out)
        self.losses += self.beamtime.losses
        self._reported_kinds: set[str] = set()
        self._failed_kinds: set[str] = set()

    @property
    def exit_code(self) -> int:
        """0: all made; 1: something requested is lost; 3: no scan is usable.

        70: an internal error lost something.
        """
        if self.has_internal_error:
            return INTERNAL_ERROR
        is_usable = [scan.name not in self.failed for scan in self.scans]
        if "bin" in self.options.verbs and not any(is_usable):
            return InputError.exit_code
        return RunFailed.exit_code if self.failed or self.losses else 0

    @property
    def is_as_before(self) -> bool:
        """Whether nothing was made, and there is nothing else to say than last time."""
        content = self.as_dict()
        return not self.executed and all(
            self.previous.get(name) == content[name] for name in REPORTED
        )

    @property
    def replaced_beamtime(self) -> str:
        """Another beamtime whose results are in the folder; not one that has moved."""
        path = str(self.previous.get("beamtime", ""))
        is_other = path != str(self.beamtime.path.resolve())
        return path if path and is_other and Path(path).is_dir() else ""

    @property
    def reports(self) -> list[str]:
        """All warnings, and the problems of the beamtime."""
        return [*self.problems, *self.warnings]

    def warn(self, text: str) -> None:
        """Add a warning; `report_warnings` logs it."""
        if text not in self.warnings:
            self.warnings.append(text)

    def report_warnings(self) -> None:
        """Log one line for each kind of warning that was not reported yet."""
        new = [line for line in self.reports if not self.is_known(line)]
        for kind, lines in group_by_kind(new).items():
            if kind not in self._reported_kinds:
                self._reported_kinds.add(kind)
                log.warning("%s", summarise_kind(lines))

    def lose(self, lines: Sequence[str]) -> None:
        """Add lines about what is lost; one of each kind is logged."""
        known_kinds = set(group_by_kind(self.losses))
        self.losses += lines
        for kind, group in group_by_kind(lines).items():
            if kind not in known_kinds and not all(map(self.is_known, group)):
                log.error("%s", group[0])

    def add_time(self, verb: str, seconds: float) -> None:
        """Add to the time that the stages of a verb took, which are now done."""
        self.timings[verb] = round(self.timings.get(verb, 0.0) + seconds, 3)
        self.report_warnings()

    def add_fresh(
        self, name: str, facts: Mapping[str, Any], path: Path | None = None
    ) -> None:
        """Record a product as fresh; its facts and warnings, from the file, hold."""
        self.items[name] = {**facts, "status": "fresh"}
        if path is not None:  # figures have several files
            self.items[name]["product"] = path.relative_to(self.out).as_posix()
        for text in facts.get("warnings", []):
            self.warn(text)
        self.lose(facts.get("losses", []))

    def add_stale(self, name: str, path: Path, reason: str) -> None:
        """Record that a product has to be made, and why."""
        self.planned.append(name)
        product = str(path.relative_to(self.out))
        self.items[name] = {"status": "stale", "reason": reason, "product": product}
        if name.endswith(FIGURES):
            # until they are drawn, the files are not known to show what they did
            files = dict.fromkeys(self.shown_figures(name), "")
            self.figures[name.removesuffix(FIGURES)] = {"key": "", "shows": files}

    def add_product(self, name: str, path: Path, content: Content) -> None:
        """Record a product that was made."""
        file = path.relative_to(self.out).as_posix()
        self.items[name] = {"status": "done", **content.as_json(), "product": file}
        self.lose(content.losses)
        self.executed.append(file)
        for text in content.warnings:
            self.warn(text)

    def add_failure(self, name: str, reason: str) -> None:
        """Record a product that could not be made; one of each kind is logged."""
        self.failed[name] = reason
        self.items[name] = {"status": "failed", "reason": reason}
        line = with_name(name, reason)
        kind = warning_kind(line)
        if kind not in self._failed_kinds and not self.is_known(line):
            self._failed_kinds.add(kind)
            log.error("%s", line)

    def shown_figures(self, name: str) -> dict[str, str]:
        """Return the files of a set of figures in the last run, with their digests."""
        figures = self.previous["figures"].get(name.removesuffix(FIGURES), {})
        return dict(figures.get("shows", {}))

    def has_fresh_figures(self, name: str, key: str) -> bool:
        """Whether a set of figures is fresh.

        Parameters
        ----------
        name : str
            Of the set, ending with `FIGURES`.
        key : str
            Digest of all that the figures are made from.

        Returns
        -------
        bool
            The set has this key, and all its files are there.
        """
        set_name = name.removesuffix(FIGURES)
        figures = self.previous["figures"].get(set_name, {})
        files = [self.out / file for file in self.shown_figures(name)]
        if figures.get("key") != key or not all(file.is_file() for file in files):
            return False
        self.figures[set_name] = figures
        return True

    def add_figures(self, name: str, key: str, figures: FigureFiles) -> None:
        """Record a set of figures; files that are no longer part of it are deleted."""
        set_name = name.removesuffix(FIGURES)
        record = {"key": key, "shows": dict(figures.digests)}
        earlier = self.previous["figures"].get(set_name, {}).get("texts", {})
        texts = {
            file: list(lines)
            for file, lines in {**earlier, **figures.texts}.items()
            if file in figures.digests
        }
        self.figures[set_name] = record | ({"texts": texts} if texts else {})
        self._delete_unless_shown(name)
        self.items[name] = {"status": "done"}
        self.executed += figures.new_files

    def figure_texts(self) -> dict[str, set[str]]:
        """Return the texts of the figures with labels, by section of the config."""
        texts: dict[str, set[str]] = {}
        for figures in self.figures.values():
            for section, *lines in figures.get("texts", {}).values():
                texts.setdefault(section, set()).update(lines)
        return texts

    def delete_unused_figures(self) -> None:
        """Delete the figures of sets that are no longer made."""
        for name in self.previous["figures"].keys() - self.figures.keys():
            self._delete_unless_shown(name)

    def delete_outdated_figures(self, files: Iterable[str]) -> None:
        """Delete figures drawn on request, unless they are part of a set by now."""
        outdated = set(files) - self._files_of_sets()
        for file in outdated:
            self._delete_figure(file)
        if outdated:
            log.info(
                "deleted %d outdated figures of pixels; draw them again with "
                "`rixs-pipeline figures`",
                len(outdated),
            )

    def leftover_figures(self) -> list[str]:
        """Return the figures of earlier reductions, such as those in another format.

        Those of the last reduction are deleted, and those of pixels may have been drawn
        on request.
        """
        last = self.previous["figures"].values()
        known = {file for figures in last for file in figures.get("shows", {})}
        known |= self._files_of_sets()
        folders = [paths.figures_folder(self.out) / kind for kind in paths.FigureFolder]
        files = [path for folder in folders for path in folder.glob("*")]
        names = [path.relative_to(self.out).as_posix() for path in files]
        return [
            name
            for name in names
            if name not in known
            and paths.is_figure(name)
            and not paths.PIXEL_FIGURE.fullmatch(name)
        ]

    def _delete_unless_shown(self, name: str) -> None:
        """Delete earlier figures of a set that no set has any more."""
        for file in self.shown_figures(name).keys() - self._files_of_sets():
            self._delete_figure(file)

    def _files_of_sets(self) -> set[str]:
        return {file for figures in self.figures.values() for file in figures["shows"]}

    def _delete_figure(self, file: str) -> None:
        """Delete a figure, unless a link leads to it out of the folder."""
        path = self.out / file
        is_in_folder = path.parent.resolve() == self.out.resolve() / Path(file).parent
        if not (is_in_folder and is_file(path)):
            return
        try:
            path.unlink(missing_ok=True)  # another reduction may have
        except OSError as error:
            self.warn(f"{path}: outdated, not deleted ({error.strerror}); delete it")

    def text(self) -> list[str]:
        """Return the lines that end the output of a command."""
        return last_lines(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of run.json."""
        return {
            "program_version": provenance.code_version(),
            "environment": provenance.environment(),
            "command": self.options.command,
            "until": self.options.until,
            "selected_scans": self.options.scans,
            "config_digest": self.config_digest,
            "started": self.started.isoformat(timespec="seconds"),
            "beamtime": str(self.beamtime.path.resolve()),
            "items": self.items,
            "failed": self.failed,
            "losses": self.losses,
            "executed": self.executed,
            "warnings": self.warnings,
            "problems": self.problems,
            "figures": self.figures,
            "leftovers": self.leftovers,
            "timings": self.timings,
        }

    @property
    def problems(self) -> list[str]:
        """One line for each thing in the beamtime that could not be used as it is."""
        of_runs = [line for run in self.beamtime.runs for line in run.problems]
        return [*self.beamtime.problems, *of_runs]

    def write(self) -> None:
        """Write run.json.

        What an interrupted or partial run did not look at is kept as the file on disk
        has it by now: other runs into the same folder may have written theirs since.
        Products of earlier reductions stay so until they are made again or deleted.
        """
        self.report_warnings()
        content = self.as_dict()
        with locked(self.out):
            on_disk = self.previous if self.is_complete else read(self.out)
            used = {facts.get("product") for facts in self.items.values()}
            used |= self._files_of_sets()
            earlier = {*self.leftovers, *on_disk.get("leftovers", [])} - used
            leftovers = [p for p in sorted(earlier) if is_file(self.out / p)]
            content["leftovers"] = leftovers
            if not self.is_complete:
                for name in ("items", "figures"):
                    content[name] = on_disk[name] | content[name]
                content["items"] = {
                    name: facts
                    for name, facts in content["items"].items()
                    if facts.get("product") not in leftovers
                }
                content["failed"] = self.failed | {
                    name: reason
                    for name, reason in on_disk["failed"].items()
                    if name not in self.items
                }
            with temporaries.atomic_path(self.out / paths.RUN_SUMMARY) as temporary:
                temporary.write_text(format_json(content), encoding="utf-8")
