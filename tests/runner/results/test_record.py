"""A reduction is repeated from its run.json, and what differs is named."""

import json

import h5py
import pytest


def repeat(small, cli, out="again", *options):
    arguments = (
        "run",
        "--from",
        small.out / "run.json",
        "-o",
        small.out.parent / out,
        *options,
    )
    return cli(*arguments, "--scheduler", "serial", "-q")


def edit(path, **values):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | values))


def test_a_repetition_is_equal(small, cli):
    small.run()
    result = repeat(small, cli)
    assert result.code == 0
    assert result.err.splitlines() == [
        f"compared with {small.out}:",
        "  all products are equal",
    ]
    done = json.loads((small.out.parent / "again/run.json").read_text())
    assert done["until"] == "extract" and len(done["executed"]) > 5


def test_it_takes_the_scans_and_the_config_of_the_record(small, cli):
    small.run({"map": {"step": 1.0}}, scans="1-2")
    result = repeat(small, cli)
    assert f"  scans/scan0003.nxs: only in {small.out}" in result.err.splitlines()
    done = json.loads((small.out.parent / "again/run.json").read_text())
    assert done["selected_scans"] == "1-2"
    with h5py.File(small.out.parent / "again/scans/scan0001.nxs") as file:
        energy = file["entry/data/emission_energy"][:2]
    assert energy[1] - energy[0] == pytest.approx(1.0)


def test_versions_inputs_and_values_that_differ_are_named(small, cli):
    small.run()
    edit(
        small.out / "run.json",
        program_version="0.0.1",
        environment={"numpy": "1.0", "python": "3"},
    )
    with h5py.File(small.out / "scans/scan0002.nxs", "r+") as file:
        file["entry/data/counts"][0, 0] += 7
    log = small.log(1)
    content = json.loads(log.read_text())
    content["sample_id"] = "other"
    log.write_text(json.dumps(content))
    lines = repeat(small, cli).err.splitlines()
    assert any(line.startswith("  rixs_pipeline: 0.0.1 became ") for line in lines)
    assert any(line.startswith("  numpy: 1.0 became ") for line in lines)
    assert "  scan0001: log changed" in lines
    changed = [line for line in lines if line.startswith("  scans/scan0002.nxs: ")]
    assert len(changed) == 1 and "entry/data/counts" in changed[0]


def test_what_is_not_comparable_is_said(small, cli):
    small.run()
    (small.out / "maps/LMR_RT-Co_L.nxs").write_bytes(b"damaged")
    result = repeat(small, cli)
    assert result.code == 0
    assert "products not compared: " in result.err
    assert "maps/LMR_RT-Co_L.nxs" in result.err


@pytest.mark.parametrize(
    ("prepare", "out", "options", "message"),
    [
        (lambda out: None, "out", (), "choose another folder with -o"),
        (lambda out: None, "again", ("--scans", "1"), "those of the record"),
        (
            lambda out: (out / "run.json").write_text("[]"),
            "again",
            (),
            "not the record of a reduction",
        ),
        (
            lambda out: edit(out / "run.json", beamtime=5),
            "again",
            (),
            "not the record of a reduction (beamtime: ",
        ),
        (
            lambda out: (out / "config.yaml").write_text("map: {step: 2.0}\n"),
            "again",
            (),
            "config.yaml: not the config of this run.json",
        ),
        (lambda out: (out / "run.json").unlink(), "again", (), "run.json"),
        (lambda out: (out / "config.yaml").unlink(), "again", (), "config.yaml"),
    ],
)
def test_what_cannot_be_repeated_is_refused(small, cli, prepare, out, options, message):
    small.run()
    prepare(small.out)
    result = repeat(small, cli, out, *options)
    assert result.code in (2, 3)
    assert len(result.err.splitlines()) == 1 and message in result.err
    assert not (small.out.parent / "again").exists()


def test_the_beamtime_may_have_moved(small, cli):
    small.run()
    small.beamtime.rename(small.out.parent / "moved")
    gone = repeat(small, cli)
    assert gone.code == 3 and "not a directory" in gone.err
    moved = repeat(small, cli, "again", small.out.parent / "moved")
    assert moved.code == 0 and "all products are equal" in moved.err
