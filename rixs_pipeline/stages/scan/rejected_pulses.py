"""What a user should know about the pulses that the cuts reject in a scan.

They are taken as photons that were lost, by which the intensity is corrected. Spurious
triggers as high as photons would make it too high.
"""

from rixs_pipeline.core.maps.live_time import EffectiveLiveTime
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.scan.point_status import list_points

LARGEST_LOSS = 0.05  # share rejected at any rate; in real pixels 0.5 to 4 %
SMALLEST_SURPLUS = 0.9  # accepted pulses of a point over those expected
LARGEST_PULL = 6.0  # of its rejected pulses


def rejection_warnings(scan: Run, live: EffectiveLiveTime) -> list[str]:
    """Return the warnings about rejected pulses that pile-up does not explain.

    Parameters
    ----------
    scan
        The scan.
    live
        Live time of its pixels.

    Returns
    -------
    list of str
        One line each.
    """
    efficiency, refused = live.efficiency, live.spoiling_time.refused
    advice = (
        "intensities are too high if these are spurious triggers; leave out noisy "
        "pixels (`beamtime.exclude.pixels`)"
    )
    warnings = []
    loss = 1 - efficiency.common_share
    if loss > LARGEST_LOSS:
        problem = f"cuts reject {100 * loss:.0f} % of the pulses at any rate"
        warnings.append(f"{scan.name}: {problem}; {advice}")
    if refused is not None:
        seconds = live.spoiling_time.seconds
        warnings.append(
            f"{scan.name}: at high rates more pulses are rejected than by pile-up: it "
            f"would last {1e3 * refused:.1f} ms, longer than a record; "
            f"{1e3 * seconds:.1f} ms used; {advice}"
        )
    is_odd = efficiency.rejection_pull > LARGEST_PULL
    is_odd &= efficiency.surplus < SMALLEST_SURPLUS
    if is_odd.any():
        most = 100 * (1 - efficiency.surplus[is_odd].min())
        warnings.append(
            f"{scan.name}: up to {most:.0f} % of the pulses are rejected in addition "
            f"at {list_points(scan, is_odd)}; {advice}"
        )
    return warnings
