"""What a command line asks for, apart from the config."""

from dataclasses import dataclass

from rixs_pipeline.errors import UsageError
from rixs_pipeline.runner.stage_list import VERBS


@dataclass(frozen=True)
class Options:
    """What a command line asks for, apart from the config.

    Attributes
    ----------
    until : str
        The verb of the last stage.
    scans : str or None
        As `--scans`: numbers, ranges and names.
    force : bool
        Make everything again.
    dry_run : bool
        Make nothing.
    command : str
        Stored in products.
    """

    until: str = VERBS[-1]
    scans: str | None = None
    force: bool = False
    dry_run: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.until not in VERBS:
            raise UsageError(
                f"--until {self.until}: no such stage; choose from {', '.join(VERBS)}"
            )

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs of all stages to run."""
        return VERBS[: VERBS.index(self.until) + 1]

    @property
    def is_partial(self) -> bool:
        """Whether only some of the scans are reduced."""
        return self.scans is not None

    @property
    def is_complete(self) -> bool:
        """Whether all products are looked at."""
        return self.until == VERBS[-1] and not self.is_partial
