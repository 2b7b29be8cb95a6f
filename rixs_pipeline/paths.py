"""The names of all files and folders that the pipeline reads or writes."""

import re
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePath

RUN_SUMMARY = "run.json"
JOURNAL = "log.jsonl"  # what `watch` did, a line for each reduction
RESOLVED_CONFIG = "config.yaml"
DIGEST_CACHE = ".digests.json"
ARRAY_CACHE = ".cache"  # folder of arrays that take long to compute
LOG_COPIES = f"{ARRAY_CACHE}/logs"
MEMO = f"{ARRAY_CACHE}/decisions.json"
REPORT_PARTS = f"{ARRAY_CACHE}/report.json"  # what the report shows of each product
PRODUCT_JOURNAL = f"{ARRAY_CACHE}/products.jsonl"  # digests as they were written
OWNER_FILE = ".owner.json"  # whose reductions use the folder now
LOCK_FILE = ".lock"
PRODUCT_FOLDERS = (
    "calibration",
    "scans",
    "maps",
    "spectra",
    "xas",
    "comparisons",
    "photons",
)
LOGS = "logs"  # folder for what jobs on a cluster write
SUBMISSION = f"{LOGS}/submitted.json"
SUBMITTED_CONFIG = f"{LOGS}/config.yaml"  # of the jobs of `submit`


class FigureFolder(StrEnum):
    """Folders of figures by kind, below `OUT/figures`."""

    REFERENCE_RUNS = "reference_runs"
    CORRECTIONS = "corrections"
    MAPS = "maps"
    SPECTRA = "spectra"
    XAS = "xas"
    COMPARISONS = "comparisons"
    MULTI_PANEL = "multi_panel"


OFF_FILE = re.compile(r"(?P<prefix>.+)_chan(?P<pixel>\d{1,9})\.off")
LJH_FILE = re.compile(r"(?P<prefix>.+)_chan(?P<pixel>\d{1,9})\.ljh")
FIGURE_FORMATS = ("png", "pdf", "svg")
PIXEL_FIGURE = re.compile(rf"(?P<run>.+)-pixel\d{{3,}}\.({'|'.join(FIGURE_FORMATS)})")
_FIGURES = "figures"
_LONGEST_NAME = 255  # bytes, of a file
EXPERIMENT_STATE_SUFFIX = "_experiment_state.txt"


def configs_folder() -> Path:
    """Return the folder of the reference sets and of the example config.

    It is in the wheel, or at the top of a checkout.
    """
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def reference_set(name: str) -> Path:
    """Return the file of a named set of reference lines."""
    return configs_folder() / "references" / f"{name}.yaml"


def safe_name(text: str) -> str:
    """Return a sample's or region's name as part of a file name.

    Everything but letters, digits, `.`, `+`, `-` and `_` becomes `_`. The name never
    begins with a dot, which would hide the file.
    """
    return re.sub(r"[^\w.+-]+", "_", text).strip("._") or "unnamed"


def calibration_product(out: Path, run_name: str) -> Path:
    """Return the file of a reference run.

    Parameters
    ----------
    out : Path
        Folder of the results.
    run_name : str
        Name of the reference run.

    Returns
    -------
    Path
        E.g. `calibration/cal0000.nxs`.
    """
    return out / "calibration" / f"{run_name}.nxs"


def references_table(out: Path) -> Path:
    """Return the table of what each line says of the reference set."""
    return out / "calibration" / "references.csv"


@lru_cache(maxsize=8192)  # asked for by every map and set of spectra
def scan_product(out: Path, run_name: str) -> Path:
    """Return the file of a scan.

    Parameters
    ----------
    out : Path
        Folder of the results.
    run_name : str
        Name of the scan.

    Returns
    -------
    Path
        E.g. `scans/scan0001.nxs`.
    """
    return out / "scans" / f"{run_name}.nxs"


def photon_list(out: Path, run_name: str) -> Path:
    """Return the file of a scan's calibrated photons.

    Parameters
    ----------
    out : Path
        Folder of the results.
    run_name : str
        Name of the scan.

    Returns
    -------
    Path
        E.g. `photons/scan0001.h5`.
    """
    return out / "photons" / f"{run_name}.h5"


def map_product(out: Path, sample: str, edge: str) -> Path:
    """Return the file of the co-added map.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        What was measured.

    Returns
    -------
    Path
        E.g. `maps/LMR_RT-Co_L.nxs`.
    """
    return out / "maps" / f"{safe_name(sample)}-{edge}.nxs"


def spectra_product(out: Path, sample: str, edge: str) -> Path:
    """Return the file of the spectra, an entry a region.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        What was measured.

    Returns
    -------
    Path
        E.g. `spectra/LMR_RT-Co_L.nxs`.
    """
    return out / "spectra" / f"{safe_name(sample)}-{edge}.nxs"


def xas_product(out: Path, sample: str, edge: str) -> Path:
    """Return the file of the XAS spectra, an entry a channel.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        What was measured.

    Returns
    -------
    Path
        E.g. `xas/LMR_RT-Co_L.nxs`.
    """
    return out / "xas" / f"{safe_name(sample)}-{edge}.nxs"


def comparison_product(out: Path, name: str, edge: str) -> Path:
    """Return the file of a comparison, an entry a region.

    Parameters
    ----------
    out : Path
        Folder of the results.
    name : str
        Of the comparison in the config.
    edge : str
        At which samples are compared.

    Returns
    -------
    Path
        E.g. `comparisons/heating-Co_L.nxs`.
    """
    return out / "comparisons" / f"{safe_name(name)}-{edge}.nxs"


def report(out: Path) -> Path:
    """Return the HTML report."""
    return out / "report.html"


def figures_folder(out: Path) -> Path:
    """Return the folder of all figures."""
    return out / _FIGURES


def figure(out: Path, folder: FigureFolder, *parts: str) -> Path:
    """Return a figure without the suffix of its format.

    Parameters
    ----------
    out : Path
        Folder of the results.
    folder : FigureFolder
        For figures of this kind.
    *parts : str
        Of its name.

    Returns
    -------
    Path
        E.g. `figures/maps/LMR_RT-Co_L-map`.
    """
    name = "-".join(safe_name(part) for part in parts)
    return figures_folder(out) / folder / name


def pixel_figure(out: Path, run_name: str, pixel: int) -> Path:
    """Return the figure of a pixel of a reference run, without suffix.

    Parameters
    ----------
    out : Path
        Folder of the results.
    run_name : str
        Name of the reference run.
    pixel : int
        Channel number.

    Returns
    -------
    Path
        E.g. `figures/reference_runs/cal0000-pixel001`.
    """
    return figure(out, FigureFolder.REFERENCE_RUNS, run_name, f"pixel{pixel:03d}")


def is_figure(name: str) -> bool:
    """Return whether a name is that of a file in `figures` or in a folder of it.

    Figures that are no longer drawn are deleted by their names in run.json.
    """
    path = PurePath(name)
    folder, *rest = path.parts or ("",)
    is_near = 1 <= len(rest) <= 2 and ".." not in rest
    is_short = all(len(part.encode()) <= _LONGEST_NAME for part in rest)
    is_plain = is_near and is_short and name.isprintable()
    is_image = path.suffix.removeprefix(".") in FIGURE_FORMATS
    return folder == _FIGURES and is_plain and is_image


def export_folder(out: Path, export_format: str) -> Path:
    """Return the folder of one format of `export`.

    Parameters
    ----------
    out : Path
        Folder of the results.
    export_format : str
        E.g. `xdi`.

    Returns
    -------
    Path
        E.g. `export/xdi`.
    """
    return out / "export" / export_format
