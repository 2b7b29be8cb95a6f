"""What a comparison of the I0 of passes leaves: maps to add, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class FluxComparison:
    """The passes whose I0 has one range, and what is lost.

    Attributes
    ----------
    scans
        Maps of the passes to add.
    left_out
        Names of the other passes -> why, in words.
    points_left_out
        Names of passes that are added -> their points whose I0 is not usable.
    losses, warnings
        One line each.
    """

    scans: list[xr.Dataset]
    left_out: Mapping[str, str] = field(default_factory=dict)
    points_left_out: Mapping[str, list[int]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
