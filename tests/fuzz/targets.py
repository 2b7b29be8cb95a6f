"""What is read: each format in a small beamtime, and the files of results."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from rixs_pipeline import paths
from rixs_pipeline.config.load import load_config
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.errors import RixsError
from rixs_pipeline.io import provenance
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.beamtime.inspection import as_text, describe
from rixs_pipeline.io.caches.digest_cache import DigestCache
from rixs_pipeline.io.formats import (
    experiment_state,
    json_log,
    off,
    photon_list,
    record_order,
    ssrl_ascii,
    ssrl_log,
)
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.last_lines import last_lines
from rixs_pipeline.runner.results.summary import FIGURES, Summary
from rixs_pipeline.runner.results.summary_file import parse_facts
from rixs_pipeline.stages.stage import FigureFiles
from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_values
from tests.fuzz.products import PRODUCT_SEEDS, mutate_product, read_product
from tests.fuzz.worker import Target
from tests.io.writers import (
    SECOND,
    T0,
    calibration_log,
    write_ascii,
    write_json,
    write_off,
    write_yaml,
    yaml_header,
    yaml_pass,
)
from tests.io.writers import json_log as scan_log

ENERGIES = [770.0, 771.0, 772.0, 773.0]
TIMES = [T0 + step * SECOND // 2 for step in range(200)]
STATES = "# unix time in nanoseconds, state label\n" + "".join(
    f"{T0 + start * SECOND}, {label}\n"
    for start, label in ((0, "CAL0"), (30, "SCAN1"), (50, "SCAN2"), (90, "STOP"))
)
LOG = scan_log(
    1,
    T0 + 30 * SECOND,
    ENERGIES,
    extra={"edge": "Co L", "mono": 770.0},
    point_extras={str(i): {"i0": 1.5, "tey": 2.5} for i in range(4)},
)
MESSAGE_OF_MEMORY = "does not fit into the memory"

Mutation = Callable[[Random, bytes, list[bytes]], bytes]


# ---- a small beamtime, one file of which is changed


def make_beamtime(folder: Path) -> Path:
    """A reference run, two scans, two pixels."""
    root = folder / "beamtime"
    if root.is_dir():
        return root
    for pixel in (1, 3):
        write_off(root / f"data/20260101_chan{pixel}.off", TIMES)
    (root / "data/20260101_experiment_state.txt").write_text(STATES)
    write_json(root / "logs/calibration0000.json", calibration_log(0, T0, 25.0))
    write_json(root / "logs/scan0001.json", LOG)
    write_json(root / "logs/scan0002.json", scan_log(2, T0 + 50 * SECOND, ENERGIES))
    return root


def in_beamtime(name: str) -> Callable[[bytes, Path], None]:
    """What reads a beamtime with one file more, or another one."""

    def read(data: bytes, folder: Path) -> None:
        root = make_beamtime(folder)
        path = root / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        read_beamtime(root)

    return read


def read_beamtime(root: Path) -> Beamtime:
    """Read all that a reduction reads of a beamtime before it computes."""
    off._mapped.clear()
    record_order._checked.clear()
    beamtime = discover(root)
    text = as_text(describe(beamtime))
    text.encode()
    for problem in (
        *beamtime.problems,
        *(p for r in beamtime.runs for p in r.problems),
    ):
        if "\n" in problem or len(problem) > 2000:
            raise AssertionError(f"not one short line: {problem[:3000]}")
        if MESSAGE_OF_MEMORY in problem:
            raise MemoryError(problem)
    digests = DigestCache(root.parent / "digests.json")
    for run in beamtime.runs:
        provenance.digest_run(run)
        json.dumps([run.name, run.sample, run.problems]).encode()
        for path in run.pulse_files:
            try:
                off.read_pulses(path, run.start_ns, run.end_ns)
                digests.digest_records(path, [(run.start_ns, run.end_ns)])
            except RixsError as error:
                str(error).encode()
        if run.photon_list is not None:
            photon_list.read(run.photon_list).pixel_counts(run.start_ns, run.end_ns)
    return beamtime


def written(write: Callable[..., Path], name: str, *args: Any, **options: Any) -> bytes:
    """Return the content of a file that a writer of tests makes."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        return write(Path(folder) / name, *args, **options).read_bytes()


# ---- pulses


def off_seeds() -> list[bytes]:
    """Files of every version, in and out of order, without records."""
    files = [
        written(write_off, "a_chan1.off", TIMES[:20], version)
        for version in off.VERSIONS
    ]
    files.append(written(write_off, "a_chan1.off", TIMES[:10] + TIMES[:5]))
    files.append(written(write_off, "a_chan1.off", ()))
    return files


def mutate_off(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """Change bytes, or values of the header."""
    end = data.find(b"\n}\n") + 3
    if random.random() < 0.7 or end < 3:
        return mutate_bytes(random, data, corpus)
    try:
        header = json.loads(data[:end])
    except (ValueError, RecursionError):
        return mutate_bytes(random, data, corpus)
    text = json.dumps(mutate_values(random, header), indent=4).encode()
    return text + b"\n" + data[end:]


# ---- logs


def mutate_json(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """Change bytes, or values."""
    if random.random() < 0.5:
        return mutate_bytes(random, data, corpus)
    try:
        return dump_json(mutate_values(random, json.loads(data)))
    except (ValueError, RecursionError, OverflowError):
        return mutate_bytes(random, data, corpus)


def json_seeds() -> list[bytes]:
    """Scans and reference runs, as different versions write them."""
    iso = [f"2026-01-01T00:00:{second}Z" for second in (30, 32, 34, 36)]
    return [
        dump_json(LOG),
        dump_json(calibration_log(0, T0, 25.0)),
        dump_json(LOG | {"epoch_time_start_s": iso, "epoch_time_end_s": iso[1:]}),
        dump_json(LOG | {"point_extras": [{"i0": 1.0}] * 4, "_ended": False}),
        dump_json(LOG | {"var_name": "time", "var_unit": "s", "sample_id": "LMR"}),
    ]


def yaml_seeds() -> list[bytes]:
    """YAML logs of scans and of a reference run."""
    passes = [yaml_pass(number, T0 / 1e9 + 30, ENERGIES) for number in (12, 13)]
    loop = {0: [0.0, 1.0, T0 / 1e9, T0 / 1e9 + 20]}
    limits = {"start": T0 / 1e9, "stop": T0 / 1e9 + 25}
    reference_run = {"header": {"htxs": 5, "mono": 1000.0, **limits}, "loop": loop}
    return [
        written(write_yaml, "a_log", yaml_header("data"), *passes),
        written(write_yaml, "a_log", yaml_header("cal"), reference_run),
        b"--- &a {file_header: true, dtype: data}\n--- {header: {htxs: 1, start: 1.0},"
        b" mono: {770.0: &b [1767225630.5, 1767225631.5], 771.0: *b}}\n",
    ]


def mutate_yaml(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """Change bytes, or values of a document."""
    if random.random() < 0.6:
        return mutate_bytes(random, data, corpus)
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.explicit_start = True
    stream = StringIO()
    try:
        documents = list(YAML(typ="safe").load_all(data.decode()))
        yaml.dump_all(mutate_values(random, documents), stream)
    except Exception:  # what cannot be read or written is changed as bytes
        return mutate_bytes(random, data, corpus)
    return stream.getvalue().encode(errors="replace")


def ascii_seeds() -> list[bytes]:
    """SSRL ASCII scans."""
    columns = {"MONO": ENERGIES, "I0": [1.0] * 4, "SC": [2.0] * 4}
    return [
        written(write_ascii, "a.dat", 1, columns),
        written(write_ascii, "a.dat", 1, columns, tail="1.0 2.0"),
    ]


# ---- photon lists


def npz_seeds() -> list[bytes]:
    """Photon lists, stored and compressed."""
    times = np.array(TIMES[60:100])
    energies = np.linspace(500.0, 800.0, len(times))
    channels = np.arange(len(times), dtype=np.int32) % 3
    arrays = {"timestamps": times, "energies": energies, "channels": channels}
    files = []
    for save, scale in ((np.savez, 1), (np.savez_compressed, 1), (np.savez, 1e-9)):
        stream = BytesIO()
        save(stream, **(arrays | {"timestamps": times * scale}))
        files.append(stream.getvalue())
    return files


def mutate_npz(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    """Change bytes of the archive, or of an array in it."""
    if random.random() < 0.5:
        return mutate_bytes(random, data, corpus)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = random.choice(sorted(members))
    except Exception:  # a damaged archive is changed as it is
        return mutate_bytes(random, data, corpus)
    if random.random() < 0.1:
        stream = BytesIO()
        shapes: tuple[Any, ...] = (np.arange(5), np.zeros((2, 3)), np.array(["a", "b"]))
        np.save(stream, random.choice((*shapes, np.array(5), np.full(40, np.nan))))
        members[name] = stream.getvalue()
    else:
        members[name] = mutate_bytes(random, members[name], list(members.values()))
    stream = BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", method) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return stream.getvalue()


def read_npz_beamtime(data: bytes, folder: Path) -> None:
    """Read a beamtime whose second scan has a photon list alone."""
    root = make_beamtime(folder)
    scan = scan_log(7, T0 + 200 * SECOND, ENERGIES, data_path="x/20260101_run7")
    if not (root / "logs/scan0007.json").exists():
        write_json(root / "logs/scan0007.json", scan)
    path = root / "20260101_run7_SCAN7.npz"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    read_beamtime(root)


# ---- config and reference sets


def config_seeds() -> list[bytes]:
    """The configs that ship."""
    return [path.read_bytes() for path in sorted(paths.configs_folder().glob("*.yaml"))]


def read_config(data: bytes, folder: Path) -> None:
    """Load a config."""
    path = folder / "config.yaml"
    path.write_bytes(data)
    _one_line_each(lambda: load_config(path))


def reference_seeds() -> list[bytes]:
    """The reference sets that ship."""
    sets = paths.configs_folder() / "references"
    return [path.read_bytes() for path in sorted(sets.glob("*.yaml"))]


def read_reference(data: bytes, folder: Path) -> None:
    """Load a reference set."""
    path = folder / "reference.yaml"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    _one_line_each(lambda: load_reference_set(path))


def _one_line_each(load: Callable[[], object]) -> None:
    try:
        load()
    except RixsError as error:
        str(error).encode()
        if max(map(len, str(error).splitlines()), default=0) > 3000:
            raise AssertionError(f"a long line: {str(error)[:3000]}") from error
        raise


# ---- run.json


def summary_seeds() -> list[bytes]:
    """A summary with one of everything."""
    correction = {"name": "clock offset", "subject": "scan0001", "value": 1.0}
    correction |= {"error": 0.1, "unit": "s", "config": "beamtime.clock_offset"}
    facts = {
        "status": "done",
        "product": "scans/scan0001.nxs",
        "line_positions": {"O": [525.0, 0.1]},
        "corrections": [correction],
        "elastic_offset": 0.1,
        "pixels_live": 8,
        "pixels_used": 7,
        "warnings": ["scan0001: no beam"],
        "losses": [],
        "results": ["x"],
    }
    content = {
        "items": {"scan0001": facts, "scan0001 figures": {"status": "done"}},
        "figures": {"scan0001": {"key": "a", "shows": {"figures/scan0001.png": "b"}}},
        "failed": {"scan0002": "no pulses"},
        "beamtime": "/data",
        "warnings": [],
    }
    return [dump_json(content)]


def read_summary(data: bytes, folder: Path) -> None:
    """Begin a reduction after another one, and end it."""
    out = folder / "out"
    (out / "figures").mkdir(parents=True, exist_ok=True)
    precious = folder / "precious"
    precious.touch()
    (out / paths.RUN_SUMMARY).write_bytes(data)
    summary = Summary(out, Beamtime(folder, (), ()), Options(until="calibrate"))
    for name, facts in list(summary.previous["items"].items())[:20]:
        summary.add_fresh(name, parse_facts(json.dumps(facts)))
    for name in list(summary.previous["figures"])[:20]:
        summary.has_fresh_figures(f"{name}{FIGURES}", "a")
        summary.add_figures(f"{name}{FIGURES}", "a", FigureFiles({}, ()))
    "\n".join(last_lines(summary)).encode()
    summary.write()
    if not precious.exists():
        raise AssertionError("deleted a file that is no figure")


def read_digests(data: bytes, folder: Path) -> None:
    """Use a cache of digests, and save it."""
    root = make_beamtime(folder)
    path = folder / "digests.json"
    path.write_bytes(data.replace(b"FOLDER", str(folder).encode()))
    cache = DigestCache(path)
    pulses = root / "data/20260101_chan1.off"
    cache.digest_records(pulses, [(TIMES[0], TIMES[9])])
    cache.digest_file(pulses)
    cache.save()


def digest_seeds() -> list[bytes]:
    """A cache of one file."""
    entry = {"status": [5, 1, 1, 1], "tail": "a", "ranges": {"0-5": "b"}}
    name = "FOLDER/beamtime/data/20260101_chan1.off"
    return [dump_json({name: entry | {"windows": {"0-1": "c"}}})]


def alone(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], None]:
    """What reads a file by itself."""

    def read_file(data: bytes, folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        try:
            read(path)
        except RixsError as error:
            if "\n" in str(error) or len(str(error)) > 1000:
                raise AssertionError(f"not one short line: {error!r:.3000}") from error
            raise

    return read_file


def read_off(path: Path) -> None:
    """Read the pulses of a file, and its first and last record."""
    off._mapped.clear()
    record_order._checked.clear()
    off.read_ends(path, off.read_header(path))
    pulses = off.read_pulses(path, TIMES[2], TIMES[9])
    if (np.diff(pulses.time_ns) < 0).any():
        raise AssertionError("not in order of time")


def read_npz(path: Path) -> None:
    """Read a photon list."""
    if photon_list.is_photon_list(path):
        photon_list.read(path)


TARGETS = {
    target.name: target
    for target in (
        Target(
            "off",
            off_seeds,
            mutate_off,
            alone("a_chan1.off", read_off),
            in_beamtime("data/20260101_chan1.off"),
        ),
        Target(
            "states",
            lambda: [STATES.encode(), b"1, A\n"],
            mutate_bytes,
            alone("states.txt", experiment_state.read),
            in_beamtime("data/20260101_experiment_state.txt"),
        ),
        Target(
            "json",
            json_seeds,
            mutate_json,
            alone("scan0001.json", json_log.read),
            in_beamtime("logs/scan0001.json"),
        ),
        Target(
            "ascii",
            ascii_seeds,
            mutate_bytes,
            alone("scan.dat", ssrl_ascii.read),
            in_beamtime("scan.dat"),
        ),
        Target(
            "npz",
            npz_seeds,
            mutate_npz,
            alone("a_SCAN7.npz", read_npz),
            read_npz_beamtime,
        ),
        Target(
            "yaml",
            yaml_seeds,
            mutate_yaml,
            alone("20260101_001_log", ssrl_log.read),
            in_beamtime("20260101_001_log"),
        ),
        Target("config", config_seeds, mutate_yaml, read_config),
        Target("reference", reference_seeds, mutate_yaml, read_reference),
        Target("summary", summary_seeds, mutate_json, read_summary),
        Target("digests", digest_seeds, mutate_json, read_digests),
        Target("product", PRODUCT_SEEDS, mutate_product, read_product),
        Target("raw_product", PRODUCT_SEEDS, mutate_bytes, read_product),
    )
}
