"""Count the functions between a pulse record and its point in a PFY.

    python -m tests.regression.count_functions [--list] [--before CHECKOUT]

One pixel of one scan of the sample beamtime is counted, made a map, combined and summed
to a PFY, with its calibration ready, while a profiler lists the called functions of the
package. Functions of `io` do not count, nor do comprehensions. CHECKOUT is the
state of the repository before the folders of `core` (3e1d8c8).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[2]

PROFILER = """
import inspect, json, sys
from dataclasses import replace
from pathlib import Path
import rixs_pipeline
from rixs_pipeline.io.beamtime.discovery import discover

package = Path(rixs_pipeline.__file__).parent
called = set()

def profile(frame, event, argument):
    code = frame.f_code
    is_function = code.co_flags & inspect.CO_OPTIMIZED and code.co_name[0] != "<"
    if event != "call" or not is_function or code.co_name == "__init__":
        return
    if code.co_filename.startswith(str(package)):
        module = str(Path(code.co_filename).relative_to(package))
        if not module.startswith("io/"):
            called.add(f"{module} {code.co_qualname}")

beamtime, calibration = map(Path, sys.argv[1:])
scan = discover(beamtime).scans[0]
scan = replace(scan, pulse_files=scan.pulse_files[:1])
"""
BEFORE = """
from rixs_pipeline.config import Config, Region
from rixs_pipeline.io import products
from rixs_pipeline.stages import bin, calibrations, combine, extract, scan_map

config = Config()
edges = bin.map_edges(config.map)
span = scan.points.start_ns[0] / 1e9, scan.points.end_ns[-1] / 1e9
found = [products.read_entry(calibration)]
functions = calibrations.pixel_energies(scan.pulse_files, span, found, ())
cut = config.calibration.residual_cut
task = bin.BinTask(scan.pulse_files, functions, scan.points, edges, cut)
region = Region(kind="pfy", emission=(762, 800))

def reduce():
    binned = bin.bin_block(task)
    used = bin.without_silent(binned, bin.without_changed(binned, functions))
    scale = scan_map.Scale(1.0, {int(binned.pixel[0]): 1.0})
    made = scan_map.scan_dataset(scan, binned, used, edges, config.normalise, scale, ())
    added = combine.combine_scans([made[0]], config.map, "map", config.normalise)
    return extract.extract_region(added[0], region)
"""
NOW = """
from rixs_pipeline.config import Config
from rixs_pipeline.config import Region
from rixs_pipeline.core.maps.binning import emission_edges
from rixs_pipeline.io import nexus
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.region_spectra import extract_region
from rixs_pipeline.stages.scan import count_pulses, counted_scan, scan_map
from rixs_pipeline.stages.interval.pixel_energies import select_pixel_energies

config = Config()
edges = emission_edges(config.map.emission, config.map.step)
energies = select_pixel_energies(scan, [nexus.read_entry(calibration)])
cut = config.calibration.residual_cut
task = count_pulses.CountTask(scan.pulse_files, energies, scan.points, edges, cut)
region = Region(kind="pfy", emission=(762, 800))

def reduce():
    counts = count_pulses.count_block(task)
    counted = counted_scan.CountedScan(scan, counts, energies)
    counted = counted_scan.exclude_unusable_pixels(counted)
    scale = scan_map.ExposureScale(1.0, {int(counts.pixel[0]): 1.0})
    made = scan_map.make_scan_map(counted, edges, config.normalise, scale, ())
    added = combine_scans([made.dataset], config.map, "map", config.normalise)
    return extract_region(added.dataset, region)
"""
END = """
reduce()  # imports that wait for their first use
called.clear()
sys.setprofile(profile)
spectrum = reduce()
sys.setprofile(None)
called.discard("<string> reduce")
assert spectrum["counts"].values.sum() > 0
print(json.dumps(sorted(called)))
"""


def called_functions(checkout: Path, code: str) -> list[str]:
    """Return module and name of every function that is called.

    Parameters
    ----------
    checkout
        A state of the repository.
    code
        Defines `reduce()`, from pulse records to a spectrum.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    beamtime = HERE / "data_samples" / "lmr_beamtime"
    options = {"cwd": checkout, "check": True, "capture_output": True, "text": True}
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "rixs_pipeline", "calibrate"]
        subprocess.run([*command, str(beamtime), "-o", out], **options)
        calibration = sorted((Path(out) / "calibration").glob("*.nxs"))[0]
        program = PROFILER + code + END
        command = [sys.executable, "-c", program, str(beamtime), str(calibration)]
        return json.loads(subprocess.run(command, **options).stdout)


def main() -> None:
    """Print the number of functions, and their names if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout of the state before")
    parser.add_argument("--list", action="store_true", help="print their names")
    arguments = parser.parse_args()
    states = {"now": called_functions(HERE, NOW)}
    if arguments.before:
        states["before"] = called_functions(arguments.before.resolve(), BEFORE)
    for name, functions in states.items():
        if arguments.list:
            print("\n".join(functions))
        print(f"{name}: {len(functions)} functions from a record to its point in a PFY")


if __name__ == "__main__":
    main()
