"""A reduction is packed, validated, and repeated from the archive."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest

from rixs_pipeline.runner.crate.pack import pack
from tests.conftest import made_once

EXPERIMENT = {
    "facility": "SSRL",
    "beamline": "10-1",
    "proposal": "5555",
    "users": ["Ada Lovelace", "Lise Meitner"],
    "doi": "10.5281/zenodo.123",
    "licence": "CC-BY-4.0",
}


@pytest.fixture(scope="session")
def packed(tmp_path_factory, reduced_small) -> Path:
    """The small beamtime's results, packed; to be read only."""
    return made_once(
        tmp_path_factory, "small.zip", lambda path: pack(reduced_small, path)
    )


def graph(archive):
    with zipfile.ZipFile(archive) as crate:
        metadata = json.loads(crate.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in metadata["@graph"]}


def test_everything_is_in_it_and_has_its_checksum(packed, reduced_small):
    with zipfile.ZipFile(packed) as crate:
        names = {name for name in crate.namelist() if not name.endswith("/")}
        sums = crate.read("manifest-sha256.txt").decode().splitlines()
        for line in sums:
            digest, name = line.split("  ")
            assert hashlib.sha256(crate.read(name)).hexdigest() == digest
        environment = json.loads(crate.read("environment.json"))
        config = crate.read("config.yaml")
    assert config == (reduced_small / "config.yaml").read_bytes()
    checked = {line.split("  ")[1] for line in sums}
    assert names - checked == {"manifest-sha256.txt", "ro-crate-metadata.json"}
    products = {
        str(path.relative_to(reduced_small))
        for folder in ("calibration", "scans", "maps", "spectra")
        for path in (reduced_small / folder).glob("[!.]*")
    }
    assert products <= checked
    assert environment["reduction"]["numpy"] and environment["packed with"]["numpy"]
    assert names | {"./"} <= graph(packed).keys() | {"ro-crate-metadata.json"}


def test_the_same_results_give_the_same_archive(packed, reduced_small, tmp_path):
    pack(reduced_small, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_the_experiment_is_described(small, cli):
    small.run({"experiment": EXPERIMENT})
    archive = small.out.parent / "paper.zip"
    result = cli("crate", small.out, "-o", archive)
    assert result.code == 0 and result.err == ""
    entities = graph(archive)
    authors = [entities[author["@id"]] for author in entities["./"]["author"]]
    assert [author["name"] for author in authors] == EXPERIMENT["users"]
    assert entities["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert "SSRL, 10-1" in entities["./"]["name"]
    raw = entities["#beamtime"]["identifier"]
    assert raw == "https://doi.org/10.5281/zenodo.123"
    assert {"@id": "maps/LMR_RT-Co_L.nxs"} in entities["#reduction"]["result"]
    issues = validate(archive)
    assert [line for line in issues if not line.startswith("RECOMMENDED")] == []


def test_missing_authors_and_licence_are_reported(packed, reduced_small, tmp_path, cli):
    result = cli("crate", reduced_small, "-o", tmp_path / "new" / "a.zip")
    assert result.code == 0
    assert "set `experiment.users`" in result.err
    assert "set `experiment.licence`" in result.err
    issues = validate(packed)
    assert [line for line in issues if not line.startswith("RECOMMENDED")] == []


def validate(archive):
    """Return the issues that roc-validator has; skip where it is not installed."""
    if importlib.util.find_spec("rocrate_validator") is None:
        pytest.skip("crates not validated: pip install roc-validator")
    script = Path(__file__).with_name("validate.py")
    done = subprocess.run(
        [sys.executable, script, archive], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_packed_reduction_is_repeated_bit_by_bit(packed, small_beamtime, cli):
    result = cli("reproduce", packed, small_beamtime, "--scheduler", "serial", "-q")
    assert result.out.splitlines() == [
        f"compared with {packed}:",
        "  all products are equal, bit by bit",
    ]
    assert result.code == 0


def test_names_of_samples_may_differ_in_case_alone(small, cli):
    small.run({"beamtime": {"samples": {"LMR_100C": "lmr_rt"}}})
    archive = small.out.parent / "paper.zip"
    assert cli("crate", small.out, "-o", archive).code == 0
    assert {"maps/LMR_RT-Co_L.nxs", "maps/lmr_rt-Co_L.nxs"} <= graph(archive).keys()
    result = cli("reproduce", archive, small.beamtime, "--scheduler", "serial", "-q")
    assert result.out.splitlines()[-1] == "  all products are equal, bit by bit"


def test_products_of_an_earlier_run_are_not_packed(small, cli):
    small.run({"beamtime": {"samples": {"LMR_100C": "Heated"}}})
    archive = small.out.parent / "paper.zip"
    result = cli("crate", small.out, "-o", archive)
    assert result.code == 0
    assert "maps/LMR_100C-Co_L.nxs: of an earlier reduction, not packed;" in result.err
    names = graph(archive).keys()
    assert "maps/Heated-Co_L.nxs" in names
    assert not [name for name in names if "LMR_100C" in name]


def test_what_differs_is_named(small, cli):
    with h5py.File(small.out / "maps/LMR_RT-Co_L.nxs", "r+") as file:
        file["entry/data/intensity"][0, 900] += 1e-14
    (small.out / "scans/scan0004.nxs").unlink()
    summary = json.loads((small.out / "run.json").read_text())
    del summary["items"]["scan0004"]  # as of a reduction of the other scans
    (small.out / "run.json").write_text(json.dumps(summary))
    archive = small.out.parent / "small.zip"
    pack(small.out, archive)
    again = small.out.parent / "again"
    result = cli(
        "reproduce", archive, small.beamtime, "-o", again, "-q", "--workers", "1"
    )
    assert result.code == 1
    first, *lines = result.out.splitlines()
    assert first == f"compared with {archive}:"
    assert [line.split(":")[0] for line in lines] == [
        "  maps/LMR_RT-Co_L.nxs",
        "  scans/scan0004.nxs",
    ]
    assert lines[1].endswith(f"only in {again}")
    full = cli("reproduce", archive, small.beamtime, "-o", again)
    assert full.code == 2 and "not empty" in full.err


def test_a_reference_set_of_ones_own_is_packed(small, cli):
    from rixs_pipeline.paths import reference_set

    own = small.out.parent / "own.yaml"
    own.write_bytes(reference_set("srd128").read_bytes())
    small.run({"calibration": {"reference": str(own)}}, until="calibrate")
    archive = small.out.parent / "small.zip"
    pack(small.out, archive)
    own.unlink()
    again = small.out.parent / "again"
    result = cli(
        "reproduce", archive, small.beamtime, "-q", "-o", again, "--workers", "1"
    )
    differing = [line for line in result.out.splitlines() if "calibration/" in line]
    assert (again / "calibration/cal0000.nxs").is_file() and differing == []


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (lambda out: (out / "run.json").unlink(), 3, "run.json: missing"),
        (
            lambda out: (out / "config.yaml").write_text("map: {step: 2.0}\n"),
            2,
            "not the config of this run.json",
        ),
    ],
)
def test_what_is_no_reduction_is_not_packed(small, cli, damage, code, message):
    damage(small.out)
    archive = small.out.parent / "small.zip"
    result = cli("crate", small.out, "-o", archive)
    assert result.code == code and message in result.err
    assert len(result.err.splitlines()) == 1 and not archive.exists()


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def test_missing_and_damaged_products_are_not_packed(small, cli):
    cut_short(small.out / "maps/LMR_RT-Co_L.nxs")
    (small.out / "spectra/LMR_RT-Co_L.nxs").unlink()
    archive = small.out.parent / "small.zip"
    result = cli("crate", small.out, "-o", archive)
    assert (result.code, result.out) == (3, "") and not archive.exists()
    assert result.err.endswith(
        "maps/LMR_RT-Co_L.nxs cannot be read; spectra/LMR_RT-Co_L.nxs is missing: not "
        f"packed; run again: rixs-pipeline run BEAMTIME -o {small.out}\n"
    )


@pytest.mark.parametrize("name", ["out", "a.tar", "folder.zip"])
def test_other_files_than_zip_are_refused(reduced_small, tmp_path, cli, name):
    (tmp_path / "folder.zip").mkdir()
    result = cli("crate", reduced_small, "-o", tmp_path / name)
    assert result.code == 2 and "give -o FILE.zip" in result.err


def test_an_unpacked_reduction_is_fresh(packed, reduced_small, tmp_path, cli):
    with zipfile.ZipFile(packed) as crate:
        crate.extractall(tmp_path)
    result = cli("status", tmp_path)
    assert (result.code, result.err) == (0, "")
    assert result.out == cli("status", reduced_small).out


def changed(archive, path, change):
    """Write an archive with other files: name -> content, None: left out."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            content = change.get(member.filename, old.read(member))
            if content is not None:
                new.writestr(member, content)
        for name in change.keys() - set(old.namelist()):
            new.writestr(name, change[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scans/scan0001.nxs": b"other"}, "scan0001.nxs is not the file"),
        ({"scans/scan0001.nxs": None}, "no scans/scan0001.nxs in it"),
        ({"scans/scan0009.nxs": b"more"}, "scan0009.nxs is not the file"),
        ({"manifest-sha256.txt": None}, "no manifest-sha256.txt"),
        ({"config.yaml": None}, "no config.yaml"),
        ({"../config.yaml": b""}, "not the name of a file in a folder"),
        ({"/etc/config.yaml": b""}, "not the name of a file in a folder"),
    ],
)
def test_changed_archives_are_refused(packed, tmp_path, cli, change, message):
    archive = tmp_path / "changed.zip"
    changed(packed, archive, change)
    result = cli("reproduce", archive, tmp_path, "-o", tmp_path / "again")
    assert (result.code, result.out) == (3, "")
    assert len(result.err.splitlines()) == 1 and message in result.err
    assert not (tmp_path / "again").exists()


def test_what_is_no_archive_is_refused(tmp_path, cli):
    for content in (b"", b"PK\x05\x06", os.urandom(1000)):
        (tmp_path / "a.zip").write_bytes(content)
        result = cli("reproduce", tmp_path / "a.zip", tmp_path)
        assert result.code == 3 and len(result.err.splitlines()) == 1
        assert "not a packed reduction" in result.err


def test_a_packed_config_runs_no_commands(packed, tmp_path, cli):
    with zipfile.ZipFile(packed) as crate:
        config = crate.read("config.yaml")
        sums = crate.read("manifest-sha256.txt").decode()
    hostile = config + b"execution: {cluster: {setup: [touch /tmp/x]}}\n"
    old, new = (hashlib.sha256(text).hexdigest() for text in (config, hostile))
    archive = tmp_path / "hostile.zip"
    change = {
        "config.yaml": hostile,
        "manifest-sha256.txt": sums.replace(old, new).encode(),
    }
    changed(packed, archive, change)
    result = cli("reproduce", archive, tmp_path)
    assert result.code == 2 and "runs shell commands" in result.err
    assert f"{archive}/config.yaml" in result.err
