"""What is said of a run whose pulse files repeat records or have them out of order."""

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.formats.record_order import RecordDefects, count_between
from rixs_pipeline.io.runs import Run


def describe_record_defects(run: Run) -> list[str]:
    """Return a line for each kind of defect among the records that a run uses.

    Parameters
    ----------
    run
        A scan or reference run. Its files are open by now, or their pulses are not
        needed any more.

    Returns
    -------
    list of str
        Warnings with the number of records, and the pixels.
    """
    defects = _read_defects(run)
    points = run.points
    counts = {
        "are in the pulse file twice; each counted once": {
            pixel: count_between(file.repeated, points.start_ns, points.end_ns)
            for pixel, file in defects.items()
        },
        "are out of order in the pulse file; sorted by time": {
            pixel: count_between(file.moved, points.start_ns, points.end_ns)
            for pixel, file in defects.items()
        },
        "of the pulse file, at any time, are damaged; not used": {
            pixel: file.damaged for pixel, file in defects.items()
        },
    }
    lines = []
    for problem, by_pixel in counts.items():
        pixels = ", ".join(str(pixel) for pixel, count in by_pixel.items() if count)
        if pixels:
            number = sum(by_pixel.values())
            lines.append(f"{run.name}: {number} records of pixel {pixels} {problem}")
    return lines


def _read_defects(run: Run) -> dict[int, RecordDefects]:
    """Return the defects of the pulse files of a run that have any, by pixel."""
    defects = {}
    for path in run.pulse_files:
        try:
            file = off.open_file(path)
        except (InputError, OSError):  # reported where its pulses are needed
            continue
        if file.defects.are_any:
            defects[off.pixel_number(path)] = file.defects
    return defects
