"""Every name of a file or folder that the pipeline reads by convention or writes."""

import re
from pathlib import Path

RUN_SUMMARY = "run.json"
RESOLVED_CONFIG = "config.yaml"
DIGEST_CACHE = ".digests.json"
LOCK_FILE = ".lock"
LOGS = "logs"  # folder for what jobs on a cluster write

OFF_FILE = re.compile(r"(?P<prefix>.+)_chan(?P<pixel>\d+)\.off")
LJH_FILE = re.compile(r"(?P<prefix>.+)_chan(?P<pixel>\d+)\.ljh")
EXPERIMENT_STATE_SUFFIX = "_experiment_state.txt"


def configs_folder() -> Path:
    """The folder with the reference sets and the example config: in the wheel, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def reference_set(name: str) -> Path:
    """The file of a named set of reference lines."""
    return configs_folder() / "references" / f"{name}.yaml"


def safe_name(text: str) -> str:
    """A sample's or region's name as part of a file name: all but letters, digits, `.`, `+`, `-`, `_` becomes `_`.

    None begins with a dot: such files are hidden.
    """
    return re.sub(r"[^\w.+-]+", "_", text).strip("._") or "unnamed"


def calibration_product(out: Path, run_name: str) -> Path:
    """One file a reference run, e.g. `calibration/cal0000.nxs`."""
    return out / "calibration" / f"{run_name}.nxs"


def references_table(out: Path) -> Path:
    """What each line says about the reference set, from all reference runs."""
    return out / "calibration" / "references.csv"


def scan_product(out: Path, run_name: str) -> Path:
    """One file a scan, e.g. `scans/scan0001.nxs`."""
    return out / "scans" / f"{run_name}.nxs"


def photon_list(out: Path, run_name: str) -> Path:
    """The calibrated photons of a scan, where they are kept, e.g. `photons/scan0001.h5`."""
    return out / "photons" / f"{run_name}.h5"


def map_product(out: Path, sample: str, edge: str) -> Path:
    """One file a sample and edge, e.g. `maps/LMR_RT-Co_L.nxs`."""
    return out / "maps" / f"{safe_name(sample)}-{edge}.nxs"


def spectra_product(out: Path, sample: str, edge: str) -> Path:
    """One file a sample and edge with an entry a region, e.g. `spectra/LMR_RT-Co_L.nxs`."""
    return out / "spectra" / f"{safe_name(sample)}-{edge}.nxs"


def comparison_product(out: Path, name: str, edge: str) -> Path:
    """One file a comparison and edge with an entry a region, e.g. `comparisons/heating-Co_L.nxs`."""
    return out / "comparisons" / f"{safe_name(name)}-{edge}.nxs"


def xas_product(out: Path, sample: str, edge: str) -> Path:
    """One file a sample and edge with an entry a channel, e.g. `xas/LMR_RT-Co_L.nxs`."""
    return out / "xas" / f"{safe_name(sample)}-{edge}.nxs"


def figures_folder(out: Path) -> Path:
    """The folder of all figures."""
    return out / "figures"


def figure(out: Path, *parts: str) -> Path:
    """A figure named after what it shows, e.g. `figures/LMR_RT-Co_L-map.png`."""
    return figures_folder(out) / ("-".join(safe_name(part) for part in parts) + ".png")


def export_folder(out: Path, export_format: str) -> Path:
    """Where `export` writes, one folder a format."""
    return out / "export" / export_format
