"""Comparisons of samples, and of the passes of a sample."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rixs_pipeline.config.base import Limits, Model


class Feature(Model):
    """A feature in the spectra of a region, whose amplitude is compared.

    Its windows are on the spectrum's axis.
    """

    region: str
    window: Limits = Field(description="window [low, high] of the feature, eV")
    baseline: Limits | None = Field(
        None, description="range [low, high] without the feature, eV"
    )
    rest: str | None = Field(
        None,
        description="region with the emission other than the feature; it is "
        "scaled to the same height in `baseline` and subtracted",
    )

    @model_validator(mode="after")
    def _check_baseline(self) -> Self:
        if self.rest is not None and self.baseline is None:
            raise ValueError(
                "`rest` requires `baseline`; set it to the range [low, high] "
                "in which both regions are scaled to the same height"
            )
        return self


class Comparison(Model):
    """Samples to compare: each with the first.

    Their spectra are overlaid, tested for equality, and subtracted.
    """

    samples: tuple[str, ...] = Field(min_length=2)
    regions: tuple[str, ...] | None = Field(
        None,
        description="regions to compare; default: all regions that the samples "
        "have in common",
    )
    scale: Literal["free", "known"] | Limits = Field(
        "free",
        description="intensity scale factor between samples: free (fitted), known "
        "(fixed at 1), or fitted in a window [low, high], eV",
    )
    window: Limits | None = Field(
        None,
        description="range [low, high] of the equality test, eV; default: the "
        "whole spectrum",
    )
    feature: Feature | None = None

    @model_validator(mode="after")
    def _check_samples(self) -> Self:
        """Refuse to compare a sample with itself."""
        for sample in self.samples:
            if self.samples.count(sample) > 1:
                raise ValueError(
                    f"samples: '{sample}' is there more than once; name each sample "
                    "once"
                )
        return self


class PassesConfig(Model):
    """Checks of the passes of a sample and edge against each other."""

    outliers: Literal["report", "leave_out"] = Field(
        "report",
        description="outlying passes and points: report (reported only) or "
        "leave_out (also excluded from the co-added map)",
    )
    level: float = Field(
        0.001, gt=0, lt=0.5, description="false-alarm probability per sample and edge"
    )
    align: Literal["report", "apply"] = Field(
        "report",
        description="shifts of the incident energy scale between passes: report "
        "(reported only) or apply (corrected)",
    )
    channel: str | None = Field(
        None,
        description="reading whose spectra determine the shifts, such as tey; "
        "default: tey where every pass has it, else the PFY",
    )
