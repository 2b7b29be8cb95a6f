"""The folder of the results: made, and the resolved config in it."""

from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.errors import UsageError
from rixs_pipeline.io import nexus


def make_folder(out: Path, beamtime_path: Path) -> None:
    """Make the folder of the results.

    Raises
    ------
    UsageError
        It cannot be made, or is the beamtime directory.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out}: cannot create the folder ({error.strerror}); choose another one"
        ) from error
    if out.resolve() == beamtime_path.resolve():
        raise UsageError(
            f"{out}: is the beamtime directory itself; "
            "choose another directory for the results"
        )


def write_config(config: Config, out: Path) -> None:
    """Write the resolved config, unless the file holds it already."""
    text, path = dump_config(config), out / paths.RESOLVED_CONFIG
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with nexus.atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
