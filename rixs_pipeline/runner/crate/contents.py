"""Which files are in a packed reduction."""

import re
from dataclasses import dataclass

from rixs_pipeline import paths

CHECKSUMS = "manifest-sha256.txt"  # as `sha256sum` writes and checks it
ENVIRONMENT = "environment.json"
REFERENCES = "references"  # folder of a reference set that does not ship

# what is needed to repeat a reduction and to compare with it
NEEDED = re.compile(
    rf"({'|'.join(paths.PRODUCT_FOLDERS)})/[^/.][^/]*\.(nxs|csv|h5)"
    # of a table, without which it is not known what it was made from
    r"|calibration/\.[^/.][^/]*\.csv\.json"
    rf"|{REFERENCES}/[^/.][^/]*\.ya?ml"
    rf"|{re.escape(paths.RUN_SUMMARY)}|{re.escape(paths.RESOLVED_CONFIG)}"
)

DESCRIPTIONS = {
    "calibration": "calibrations of the pixels, one file for each reference run",
    "scans": "RIXS maps of the scans",
    "maps": "RIXS maps of each sample and edge, all scans added",
    "spectra": "spectra of the regions of each map",
    "xas": "absorption spectra of each sample and edge",
    "comparisons": "spectra of samples compared with each other",
    "photons": "calibrated photons of the scans",
    "figures": "figures",
    REFERENCES: "energies of the reference lines",
    paths.RESOLVED_CONFIG: "config with all defaults",
    paths.RUN_SUMMARY: "status of every run, warnings, versions",
    "report.html": "report for a browser",
    ENVIRONMENT: "versions of the program and of libraries",
    CHECKSUMS: "SHA-256 of all other files but the metadata",
}


@dataclass(frozen=True)
class PackedFile:
    """A file of a packed reduction.

    Attributes
    ----------
    name
        In the archive.
    size
        Bytes.
    sha256
        Hex digits.
    """

    name: str
    size: int
    sha256: str

    @property
    def is_result(self) -> bool:
        """Whether the reduction made it."""
        folder = self.name.split("/")[0]
        made = {*paths.PRODUCT_FOLDERS, "figures", "report.html", paths.RUN_SUMMARY}
        return folder in made
