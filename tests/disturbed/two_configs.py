"""Two reductions with different configs in one folder at once.

python -m tests.disturbed.two_configs --times 50 --seed 1

One of them is refused, or comes after the other; the folder then has the products of
one config, and those of the other once it is reduced again.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rixs_pipeline.errors import UsageError
from tests.disturbed.reductions import (
    OTHER_CONFIG,
    differences,
    end,
    in_process,
    make_beamtime,
    reduction,
)

CONFIGS = ({}, OTHER_CONFIG)
LONGEST_DELAY = 3.0  # s, between the starts


def at_once(
    undisturbed: list[Path], beamtime: Path, out: Path, seed: int
) -> Iterator[str]:
    """Yield what is wrong after two reductions at once.

    Parameters
    ----------
    undisturbed
        Results of a reduction with either config.
    beamtime
        The beamtime directory.
    out
        Folder of the results, which does not exist.
    seed
        Of their order and of the time between their starts.
    """
    chance = random.Random(seed)
    order = chance.sample(range(2), 2)
    processes = {}
    for number in order:
        processes[number] = in_process(reduction(beamtime, out, CONFIGS[number]))
        time.sleep(chance.choice([0.0, chance.uniform(0, LONGEST_DELAY)]))
    codes = {number: end(process) for number, process in processes.items()}
    done = [number for number in order if codes[number] == 0]
    refused = [number for number in order if codes[number] == UsageError.exit_code]
    if not done or len(done) + len(refused) != len(order):
        yield f"exit codes {codes}"
        return
    if len(done) == 1:
        yield from differences(undisturbed[done[0]], out)
    for number in [*refused, *order]:
        code = end(in_process(reduction(beamtime, out, CONFIGS[number])))
        if code:
            yield f"exit code {code} afterwards"
        yield from differences(undisturbed[number], out)


def main() -> int:
    """Print what is wrong in each, and how many are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    n_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        beamtime = make_beamtime(root / "beamtime")
        undisturbed = [root / "first", root / "second"]
        for out, config in zip(undisturbed, CONFIGS, strict=True):
            reduction(beamtime, out, config)()
        for seed in range(options.seed, options.seed + options.times):
            lines = list(at_once(undisturbed, beamtime, root / "out", seed))
            n_wrong += bool(lines)
            print(f"{seed}:", *(lines[:10] or ["right"]), sep="\n  ", flush=True)
            shutil.rmtree(root / "out")
    print(f"{n_wrong} of {options.times} are wrong")
    return min(n_wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
