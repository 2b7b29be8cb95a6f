"""Reductions without figures, which take most of the time of a small one."""

import pytest

from rixs_pipeline.stages import report

PLANS = ("plan_reference_runs", "plan_maps", "plan_spectra", "plan_comparisons")


def leave_out_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reductions draw no figures."""
    for plan in PLANS:
        monkeypatch.setattr(report, plan, lambda *_: iter(()))
