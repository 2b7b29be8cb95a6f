"""The clock of the scans of an interval between reference runs, from all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.timing.common_offset import (
    MIN_LOG_RATIO,
    MIN_LOG_RATIO_ALONE,
    SIGNIFICANCE,
    ClockFit,
    fit_clock,
)
from rixs_pipeline.core.timing.shift_fits import ShiftCurve
from rixs_pipeline.io.runs import NS_PER_S, ClockOffset
from rixs_pipeline.stages.clock.scan_clock import ScanClock, place_by_label
from rixs_pipeline.types import FloatArray

FAR = 2.0  # points, from which on an offset is another place and not another fit
WORSE = 0.5  # share of the evidence at the best place, that the logged one has at most
CLAIMED_SHARE = 0.5  # of the duration of a scan, overlap that gives a place to another
PLACING_SHARE = 0.5  # of a point, room in a label that still places a scan
MIN_AGREEING = 2  # scans that share a clock
# Of the scans whose state label or beam contradicts a clock that all of them share
TIMED_SHARE = 0.25
SUSPICIOUS = 3.5  # standard deviations from which on an offset is mentioned


@dataclass(frozen=True)
class ScanDecision:
    """What becomes of a scan.

    Attributes
    ----------
    offset
        Of its clock, to be removed; None: the times of the log stay.
    refusal
        Why the scan cannot be used; empty if it can.
    warning
        One line; empty if there is nothing to say.
    """

    offset: ClockOffset | None = None
    refusal: str = ""
    warning: str = ""


def decide(clocks: Sequence[ScanClock]) -> list[ScanDecision]:
    """Decide on the clock of each scan.

    One clock, constant or with a drift, is fitted to all scans. A scan that it does not
    fit, by its own pulses or its label, is on its own.

    Parameters
    ----------
    clocks
        Of the scans of an interval, in order of time.

    Returns
    -------
    list of ScanDecision
        In the order of `clocks`.
    """
    centres = _find_centres(clocks)
    curves = [
        clock.curve(centre) for clock, centre in zip(clocks, centres, strict=True)
    ]
    members = [row for row, curve in enumerate(curves) if curve is not None]
    if line := _misplaced_readings(clocks, curves):
        return [ScanDecision(warning=line), *[ScanDecision()] * (len(clocks) - 1)]
    common = _fit_common(clocks, curves, members)
    decisions = []
    for row, clock in enumerate(clocks):
        is_member = row in common.rows
        offset = common.at(clock)
        is_possible = clock.allowed.contains(offset.value if offset else 0.0)
        if is_possible and (is_member or curves[row] is None):
            decisions.append(_with_common(clock, offset))
        else:
            agrees = len(common.rows) >= MIN_AGREEING
            # that the clock of one scan differs while others agree on theirs is rare
            needed = MIN_LOG_RATIO_ALONE if agrees else MIN_LOG_RATIO
            decisions.append(_alone(clock, curves[row], offset, needed))
    if common.is_suspicious:
        rows = [row for row, d in enumerate(decisions) if d == ScanDecision()]
        for row in rows[:1]:
            decisions[row] = ScanDecision(warning=common.warning(clocks[row]))
    return decisions


def _misplaced_readings(
    clocks: Sequence[ScanClock], curves: Sequence[ShiftCurve | None]
) -> str:
    """Return a line if readings fit the pulses elsewhere, but the times are right.

    State labels, or a beam that is on during the scans only, confirm the times; then
    the readings belong to other points. Empty: nothing of the kind.
    """
    pairs = zip(clocks, curves, strict=True)
    fitted = [(clock, curve) for clock, curve in pairs if curve is not None]
    if not fitted:
        return ""
    time = np.array([clock.scan.middle for clock, _ in fitted])
    fit = fit_clock([curve for _, curve in fitted], time)
    is_timed = [
        not clock.contradicts_label
        and (not clock.allowed.contains(value) or clock.has_beam_of_log(value))
        for (clock, _), value in zip(fitted, fit.value, strict=True)
    ]
    if not fit.stands_out or sum(is_timed) < max(1, TIMED_SHARE * len(fitted)):
        return ""
    row = int(np.argmin(fit.error))
    value, error = float(fit.value[row]), float(fit.error[row])
    points = value / fitted[row][0].spacing
    return (
        f"{clocks[0].scan.name} and the scans after it: readings are {value:+.2f} +- "
        f"{error:.2f} s ({points:+.1f} points) off the photon rates, while state label "
        "or beam confirm the times; readings (I0, TEY, TFY) may be those of other "
        "points: check the logs"
    )


@dataclass(frozen=True)
class _CommonClock:
    """The clock that most scans of an interval agree on."""

    fit: ClockFit | None
    time: FloatArray  # of the scans that it was fitted to, (scan,), s
    rows: tuple[int, ...]

    def at(self, clock: ScanClock) -> ClockOffset | None:
        """Return the offset at the time of a scan, if there is one that stands out."""
        if self.fit is None or not self.fit.stands_out:
            return None
        order = np.argsort(self.time)
        time, value = self.time[order], self.fit.value[order]
        error = self.fit.error[order]
        time_of_scan = clock.scan.middle
        return ClockOffset(
            float(np.interp(time_of_scan, time, value)),
            float(np.interp(time_of_scan, time, error)),
        )

    @property
    def is_suspicious(self) -> bool:
        """Whether an offset is likely, but not beyond doubt."""
        fit = self.fit
        return (
            fit is not None
            and not fit.stands_out
            and fit.log_ratio > SUSPICIOUS**2 / 2
            and fit.significance > SUSPICIOUS
            and fit.largest > fit.spacing / 4
        )

    def warning(self, clock: ScanClock) -> str:
        """Return a line about an offset that is not beyond doubt."""
        assert self.fit is not None
        worst = int(np.argmax(np.abs(self.fit.value) / self.fit.error))
        value, error = self.fit.value[worst], self.fit.error[worst]
        return _doubtful(clock, float(value), float(error))


def _find_centres(clocks: Sequence[ScanClock]) -> list[float]:
    """Return the offset around which the clock of each scan is determined, s."""
    common = _find_common_place(clocks)
    centres = []
    for clock in clocks:
        if clock.has_label:
            is_possible = clock.allowed.contains(common)
            middle = (clock.allowed.low + clock.allowed.high) / 2
            centres.append(common if is_possible else middle)
            continue
        other_clocks = [rival for rival in clocks if rival is not clock]
        place = _find_own_place(clock, common, other_clocks)
        centres.append(common if place is None else place)
    return centres


def _find_common_place(clocks: Sequence[ScanClock]) -> float:
    """Return where scans without labels find their structure together; mostly 0 s."""
    if any(clock.has_label for clock in clocks):
        return 0.0
    evidence = [e for clock in clocks if (e := clock.evidence) is not None]
    if not evidence:
        return 0.0
    spacing = min(clock.spacing for clock in clocks if clock.logged is not None)
    low = max(float(e.offset[0]) for e in evidence)
    high = min(float(e.offset[-1]) for e in evidence)
    grid = np.arange(low, high, spacing / 4)
    gain = np.sum([e.at(grid) for e in evidence], axis=0)
    place = _single_maximum(grid, gain, FAR * spacing)
    return 0.0 if place is None else place


def _find_own_place(
    clock: ScanClock, common: float, rivals: Sequence[ScanClock]
) -> float | None:
    """Return where a scan finds its structure if not where its clock says, or None.

    Places that other scans claim are left out: passes look alike.
    """
    evidence = clock.evidence
    if evidence is None:
        return None
    is_free = np.ones(len(evidence.offset), bool)
    for rival in rivals:
        start = (rival.scan.start_ns - clock.scan.start_ns) / NS_PER_S - common
        overlap = np.minimum(
            clock.scan.duration - evidence.offset, start + rival.scan.duration
        ) - np.maximum(-evidence.offset, start)
        is_free &= overlap < CLAIMED_SHARE * clock.scan.duration
    gain = np.where(is_free, evidence.gain, 0.0)
    near = np.abs(evidence.offset - common) <= FAR * clock.spacing
    gain[near] = evidence.gain[near]
    return _single_maximum(evidence.offset, gain, FAR * clock.spacing, common)


def _single_maximum(
    offset: FloatArray, gain: FloatArray, far: float, logged: float = 0.0
) -> float | None:
    """Return the one place of the largest gain, if it is far better than the logged."""
    best = int(np.argmax(gain))
    is_elsewhere = np.abs(offset - offset[best]) > far
    rival = float(gain[is_elsewhere].max(initial=0.0))
    is_logged = np.abs(offset - logged) <= far
    at_log = float(gain[is_logged].max(initial=0.0))
    if abs(offset[best] - logged) <= far or gain[best] < at_log + MIN_LOG_RATIO:
        return None
    if at_log > WORSE * gain[best] or rival > gain[best] - MIN_LOG_RATIO:
        return None
    return float(offset[best])


def _fit_common(
    clocks: Sequence[ScanClock], curves: Sequence[ShiftCurve | None], members: list[int]
) -> _CommonClock:
    """Fit one clock to the scans that agree on it."""
    rows = list(members)
    fit = None
    while rows:
        used = [curve for row in rows if (curve := curves[row]) is not None]
        time = np.array([clocks[row].scan.middle for row in rows])
        fit = fit_clock(used, time)
        loss = [
            _loss(clocks[row], curve, value)
            for row, curve, value in zip(rows, used, fit.value, strict=True)
        ]
        worst = int(np.argmax(loss))
        single_fit = fit_clock([used[worst]], time[[worst]])
        distance = abs(float(single_fit.value[0] - fit.value[worst]))
        is_apart = distance > SIGNIFICANCE * float(single_fit.error[0])
        agrees = loss[worst] < MIN_LOG_RATIO or not (is_apart or np.isinf(loss[worst]))
        if agrees or len(rows) == 1:
            return _CommonClock(fit, time, tuple(rows))
        del rows[worst]
    return _CommonClock(fit, np.empty(0), ())


def _loss(clock: ScanClock, curve: ShiftCurve, offset: float) -> float:
    """Return by how much an offset is less likely than the scan's own best one."""
    if not clock.allowed.contains(offset):
        return np.inf
    at_offset = np.logaddexp.reduce(curve.at(np.array([offset])), axis=0)[0]
    best = np.logaddexp.reduce(curve.log_likelihood, axis=0).max()
    return float(best - at_offset)


def _with_common(clock: ScanClock, offset: ClockOffset | None) -> ScanDecision:
    if offset is None and clock.is_empty:
        return ScanDecision(refusal=_refusal(clock))
    return ScanDecision(offset)


def _doubtful(clock: ScanClock, value: float, error: float) -> str:
    """Return the line about an offset, s, that is not beyond doubt."""
    return (
        f"{clock.scan.name}: clock of the log may be off by {value:.2f} +- "
        f"{error:.2f} s, not corrected; set `beamtime.clock_offset` in seconds"
    )


def _alone(
    clock: ScanClock,
    curve: ShiftCurve | None,
    common: ClockOffset | None,
    needed: float,
) -> ScanDecision:
    """Decide on a scan that the common clock does not fit.

    Its own offset needs a log-likelihood ratio of `needed`.
    """
    warning = ""
    if curve is not None:
        fit = fit_clock([curve], np.array([clock.scan.middle]))
        offset = ClockOffset(float(fit.value[0]), float(fit.error[0]))
        has_structure = -float(curve.log_likelihood.min()) >= MIN_LOG_RATIO
        is_placed = fit.is_single and has_structure
        if fit.stands_out and is_placed and clock.allowed.contains(offset.value):
            if fit.log_ratio >= needed:
                return ScanDecision(offset)
            warning = _doubtful(clock, offset.value, offset.error)
    if clock.contradicts_label:
        placed = place_by_label(clock.scan, PLACING_SHARE * clock.spacing)
        return ScanDecision(placed) if placed else ScanDecision(refusal=_refusal(clock))
    if (
        common is not None
        and curve is not None
        and clock.allowed.contains(common.value)
    ):
        gain = _loss(clock, curve, 0.0) - _loss(clock, curve, common.value)
        if gain > 0:  # it shares the clock rather than having none
            return ScanDecision(common)
    if clock.is_empty:
        return ScanDecision(refusal=_refusal(clock))
    return ScanDecision(warning=warning)


def _refusal(clock: ScanClock) -> str:
    """Return the line about a scan whose times are wrong."""
    scan = clock.scan
    problem = "no pulses between its first and last point, but before or after"
    if clock.has_label and not clock.contradicts_label:
        return (
            f"{scan.name}: {problem}, although its times agree with its state label; "
            "check beam, shutter and pulse files during the scan"
        )
    if clock.contradicts_label:
        nearest = min((clock.allowed.low, clock.allowed.high), key=abs)
        problem = f"times lie {abs(nearest):.1f} s or more outside its state label"
    return (
        f"{scan.name}: {problem}, and the offset of its clock cannot be found; "
        f"set `beamtime.clock_offset: {{{scan.number}: SECONDS}}` (0: keep its times)"
    )
