"""`run.json` as it is read: checked, since anybody may have changed it."""

import logging
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.files.json_text import parse_json, read_json
from rixs_pipeline.files.opening import FileKind, one_line

LOG = logging.getLogger("rixs_pipeline")


def _check_figure(name: str) -> str:
    """Refuse names of files that are not in the folders of the figures."""
    if not paths.is_figure(name):
        raise ValueError("not the name of a figure")
    return name


def _check_product(name: str) -> str:
    """Refuse names of files that are not in the folders of the products."""
    folder, *rest = PurePosixPath(name).parts or ("",)
    if name and (folder not in (*paths.PRODUCT_FOLDERS, "figures") or ".." in rest):
        raise ValueError("not the name of a product")
    return name


class _Part(BaseModel):
    """Part of the summary; what is not listed is not used and not checked."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Correction(_Part):
    """As `types.Correction`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    subject: str
    value: float
    error: float
    unit: str
    config: str


class _Facts(_Part):
    """Facts of a product."""

    status: str
    product: Annotated[str, AfterValidator(_check_product)] = ""
    reason: str = ""
    warnings: list[str] = []
    losses: list[str] = []
    results: list[str] = []
    corrections: list[_Correction] = []
    line_positions: dict[
        str, Annotated[list[float | None], Field(min_length=2, max_length=2)]
    ] = {}
    pixels_live: int = 0
    pixels_used: int = 0


class _Figures(_Part):
    """A set of figures."""

    key: str = ""
    shows: dict[Annotated[str, AfterValidator(_check_figure)], str] = {}
    texts: dict[str, Annotated[list[str], Field(min_length=1)]] = {}


class _SummaryFile(_Part):
    """The parts of run.json that later runs use."""

    items: dict[str, _Facts]
    figures: dict[str, _Figures]
    failed: dict[str, str]
    leftovers: list[Annotated[str, AfterValidator(_check_product)]] = []
    beamtime: str = ""


class _Record(_Part):
    """The parts of run.json by which a reduction is repeated."""

    model_config = ConfigDict(strict=True, extra="ignore")

    beamtime: str
    until: str
    selected_scans: str | None
    config_digest: str
    program_version: str
    environment: dict[str, str]


def check_results(out: Path, *, with_summary: bool) -> None:
    """Check a folder of results that a command reads.

    Parameters
    ----------
    out
        The folder.
    with_summary
        Whether the command needs run.json.

    Raises
    ------
    UsageError
        It is no folder of results: no reduction has begun to write into it.
    InputError
        It has no run.json, which is needed.
    """
    summary = out / paths.RUN_SUMMARY
    if summary.is_file():
        return
    if not (out / paths.OWNER_FILE).is_file():
        raise UsageError(
            f"{out}: not a folder of results (no {paths.RUN_SUMMARY}); give the folder "
            "that `run` wrote with -o"
        )
    if with_summary:
        raise InputError(
            f"{summary}: missing; wait for the end of the first reduction, or repeat: "
            f"rixs-pipeline run BEAMTIME -o {out}"
        )


def read_record(path: Path) -> dict[str, Any]:
    """Return what a run.json says of its reduction.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        `beamtime`, `until`, `selected_scans`, `config_digest`, `program_version` and
        `environment`.

    Raises
    ------
    UsageError
        Not such a file, or of a version that did not record these.
    InputError
        It cannot be read.
    """
    try:
        return _Record.model_validate(read_json(path, FileKind.SUMMARY)).model_dump()
    except ValidationError as error:
        raise UsageError(
            f"{path}: not the record of a reduction ({_first_problem(error)}); give "
            f"the {paths.RUN_SUMMARY} of a folder of results"
        ) from error


def read(out: Path, level: int = logging.WARNING) -> dict[str, Any]:
    """Return the summary of the last run; its parts are empty where there is none.

    Parameters
    ----------
    out
        Folder of the results.
    level
        Of the log, at which a damaged file is reported.

    Returns
    -------
    dict
        The content of run.json.
    """
    path = out / paths.RUN_SUMMARY
    empty: dict[str, Any] = {"items": {}, "figures": {}, "failed": {}}
    if not path.exists():
        return empty
    try:
        content = read_json(path, FileKind.SUMMARY)
        _SummaryFile.model_validate(content)
    except InputError as error:
        LOG.log(level, "%s", error)
        return empty
    except ValidationError as error:
        problem = _first_problem(error)
        LOG.log(level, "%s: cannot be read (%s); ignored", path, problem)
        return empty
    return dict(content)


def made_products(out: Path) -> list[str]:
    """Return the files of the products that run.json lists as made, if there is one."""
    made = [
        facts.get("product", "")
        for facts in read(out)["items"].values()
        if facts["status"] in ("done", "fresh")
    ]
    return sorted(filter(None, made))


def leftover_products(out: Path) -> list[str]:
    """Return the products on disk that, by run.json, are of an earlier reduction."""
    content = read(out, logging.DEBUG)  # `made_products` reports a damaged file
    return [name for name in content.get("leftovers", []) if (out / name).is_file()]


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    keys = ".".join(map(str, first["loc"]))
    return one_line(f"{keys}: {first['msg']}".removeprefix(": "))


def parse_facts(text: str) -> dict[str, Any]:
    """Return the facts of a product from its file; none if they are not as expected."""
    try:
        facts = dict(parse_json(text.encode()))
        _Facts.model_validate({"status": "", **facts})
    except (TypeError, ValueError) as error:
        LOG.debug("facts of a product cannot be read (%s)", error)
        return {}
    return facts
