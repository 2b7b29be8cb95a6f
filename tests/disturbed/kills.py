"""Reductions that are killed at random moments.

python -m tests.disturbed.kills --times 100 --seed 1

In turn: one reduction; two of them in one folder, of which one or both are killed; a
watch beside which logs appear. Each is killed up to three times.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.disturbed.reductions import (
    differences,
    end,
    in_process,
    kill,
    make_beamtime,
    make_old,
    reduction,
    watching,
)

MODES = ("run", "two", "watch")
MOST_KILLS = 3
SHOWN = 10  # lines about one reduction


def kill_one(beamtime: Path, out: Path, chance: random.Random, seconds: float) -> None:
    """Kill a reduction."""
    process = in_process(reduction(beamtime, out))
    time.sleep(chance.uniform(0, seconds))
    kill(process)


def kill_of_two(
    beamtime: Path, out: Path, chance: random.Random, seconds: float
) -> None:
    """Kill one of two reductions that share a folder, or both."""
    pair = [in_process(reduction(beamtime, out)) for _ in range(2)]
    time.sleep(chance.uniform(0, 2 * seconds))
    kill(pair[0])
    if chance.random() < 0.5:
        kill(pair[1])
    else:
        end(pair[1])


def kill_watch(
    beamtime: Path, out: Path, chance: random.Random, seconds: float
) -> None:
    """Kill a watch while logs of scans appear."""
    logs = sorted((beamtime / "logs").glob("scan*.json"))
    away = beamtime.with_name(f"{beamtime.name}-logs")
    away.mkdir(exist_ok=True)
    for log in logs[1:]:
        log.rename(away / log.name)
    process = in_process(watching(beamtime, out))
    until = time.monotonic() + chance.uniform(0, 2 * seconds)
    for log in logs[1:]:
        time.sleep(max(0.0, (until - time.monotonic()) * chance.random()))
        (away / log.name).rename(log)
    time.sleep(max(0.0, until - time.monotonic()))
    kill(process)


DISTURB = dict(zip(MODES, (kill_one, kill_of_two, kill_watch), strict=True))


def after_kills(
    mode: str, undisturbed: Path, beamtime: Path, out: Path, seed: int, seconds: float
) -> list[str]:
    """Return what differs after a reduction was killed and repeated.

    Parameters
    ----------
    mode
        One of `MODES`.
    undisturbed
        Results of a reduction that was not killed.
    beamtime
        The beamtime directory, which may be changed meanwhile.
    out
        Folder of the results, which does not exist.
    seed
        Of the moments.
    seconds
        That a reduction takes.
    """
    chance = random.Random(seed)
    for _ in range(chance.randint(1, MOST_KILLS)):
        DISTURB[mode](beamtime, out, chance, seconds)
    make_old(out)
    code = end(in_process(reduction(beamtime, out)))
    return [*([f"exit code {code}"] if code else []), *differences(undisturbed, out)]


def main() -> int:
    """Print what differs after each, and how many differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    n_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        beamtime, undisturbed = make_beamtime(root / "beamtime"), root / "undisturbed"
        reduction(beamtime, undisturbed)()  # compiles
        shutil.rmtree(undisturbed)
        started = time.monotonic()
        end(in_process(reduction(beamtime, undisturbed)))
        seconds = time.monotonic() - started
        for number in range(options.times):
            seed, mode = options.seed + number, MODES[number % len(MODES)]
            out = root / "out"
            lines = after_kills(mode, undisturbed, beamtime, out, seed, seconds)
            n_wrong += bool(lines)
            report = [f"  {line}" for line in lines[:SHOWN]] or ["  as undisturbed"]
            print(f"{mode} {seed}:", *report, sep="\n", flush=True)
            shutil.rmtree(out)
    print(f"{n_wrong} of {options.times} differ")
    return min(n_wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
