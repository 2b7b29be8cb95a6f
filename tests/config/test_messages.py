import re
from pathlib import Path

import pytest

from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.types import Edge
from tests.config.helpers import problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "regions:\n  ni:\n    kind: pfy\n    knid: pfy\n",
            "c.yaml:4: regions.ni.knid: unknown key (did you mean 'kind'?)",
        ),
        (
            "\n\nmap:\n  # wide\n\n\n  step: -1\n",
            "c.yaml:7: map.step: must be greater than 0, not -1",
        ),
        (
            "normalize: {}\n",
            "c.yaml:1: normalize: unknown key (did you mean 'normalise'?)",
        ),
        (
            "regions: {A: {kind: pfy, background: {kind: linea}}}\n",
            "c.yaml:1: regions.A.background: must be of kind 'constant', 'linear', "
            "'sideband', 'blank', 'leak', 'elastic', "
            "not {'kind': 'linea'}",
        ),
        (
            "regions: {A: {kind: pfy, background: {kind: sideband}}}\n",
            "c.yaml:1: regions.A.background.emission: is missing",
        ),
        (
            "regions: {A: {kind: pfy, background: [{kind: leak, tail_fracton: "
            "0.1}]}}\n",
            "c.yaml:1: regions.A.background.0.tail_fracton: unknown key (did you mean "
            "'tail_fraction'?)",
        ),
        (
            "regions:\n  a:\n    kind: pfi\n",
            "c.yaml:3: regions.a.kind: must be one of 'pfy', 'spfy', 'ipfy', 'tfy', "
            "'xes' or 'elastic', not 'pfi'",
        ),
        (
            "regions:\n  a:\n    edge: O_K\n",
            "c.yaml:2: regions.a: kind: is missing; set it to pfy, spfy, ipfy, tfy, "
            "xes or elastic, or set `preset` to an edge",
        ),
        (
            "regions:\n  a: {kind: pfy, exclude_elastic: 0.5 keV}\n",
            "c.yaml:2: regions.a.exclude_elastic: must be a number in eV without unit, "
            "not '0.5 keV'",
        ),
        (
            "map:\n  emission:\n    - 200\n    - 1000 meV\n",
            "c.yaml:4: map.emission.1: must be a number in eV without unit, not "
            "'1000 meV'",
        ),
        (
            "map: {step: wide}\n",
            "c.yaml:1: map.step: must be a number in eV, not 'wide'",
        ),
        (
            "calibration: {residual_cut: .inf}\n",
            "c.yaml:1: calibration.residual_cut: must be a number, not inf",
        ),
        (
            "calibration: {min_line_counts: 7.5}\n",
            "c.yaml:1: calibration.min_line_counts: must be a whole number, not 7.5",
        ),
        (
            "calibration: {drift: maybe}\n",
            "c.yaml:1: calibration.drift: must be true or false, not 'maybe'",
        ),
        (
            "beamtime:\n  samples:\n    ad1: 12\n",
            "c.yaml:3: beamtime.samples.ad1: must be text, in quotes, not 12",
        ),
        (
            "beamtime:\n  scans:\n    12:\n      edge: Co\n",
            "c.yaml:4: beamtime.scans.12.edge: must be one of "
            + ", ".join(f"'{e}'" for e in list(Edge)[:-1])
            + " or 'Zn_L', not 'Co'",
        ),
        (
            "beamtime:\n  exclude:\n    scans:\n      - 3\n      - 1.5\n",
            "c.yaml:5: beamtime.exclude.scans.1: must be a whole number or text, in "
            "quotes, not 1.5",
        ),
        ("map: 5\n", "c.yaml:1: map: must be a mapping of keys to values, not 5"),
        (
            "compare:\n  a: {samples: [x]}\n",
            "c.yaml:2: compare.a.samples: must have at least 2 items, not ['x']",
        ),
        (
            "regions:\n  1st: {kind: tfy}\n",
            "c.yaml:2: regions.1st: the name must match the pattern "
            "[A-Za-z][A-Za-z0-9_]*, not '1st'",
        ),
        (
            "compare:\n  '': {samples: [a, b]}\n",
            "c.yaml:2: compare.: the name must have a letter or digit, not ''",
        ),
        (
            "figures:\n  ../: {kind: maps, samples: [a], edges: [Co_L]}\n",
            "c.yaml:2: figures.../: the name must have a letter or digit, not '../'",
        ),
        (
            "execution: {scheduler: thread}\n",
            "c.yaml:1: execution.scheduler: must be auto, serial, threads, processes, "
            "slurm, "
            "tcp://HOST:PORT or tls://HOST:PORT, not 'thread' (did you mean "
            "'threads'?)",
        ),
        (
            "execution: {memory: 2 gb}\n",
            "c.yaml:1: execution.memory: must be a number with a unit (kB, MB, GB, TB, "
            "KiB, MiB, GiB, TiB), such as 1GB, not '2 gb' (did you mean '2GB'?)",
        ),
        ("[1, 2]\n", "c.yaml:1: expected a mapping of keys to values, not [1, 2]"),
        (
            "map:\n  step: 1\n  emission: [1, 2]\n  step: 2\n",
            "c.yaml:4: step: duplicate key; remove one of the two",
        ),
        (
            "calibration:\n  reference: srd12\n",
            "c.yaml:2: calibration.reference: no reference set 'srd12'; "
            "choose from elam, hauskat2024, kalpha, srd128, ucal, or give a .yaml file",
        ),
        (
            "calibration:\n  lines:\n    - C_Ka\n    - Co_Ka\n    - O_Ka\n",
            "c.yaml:4: calibration.lines.1: no line 'Co_Ka' in srd128 (did you mean "
            "'C_Ka'?)",
        ),
        (
            "calibration:\n  lines: [C_Ka, O_Ka]\n",
            "c.yaml:2: calibration.lines: must have at least 3 items, not ['C_Ka', "
            "'O_Ka']",
        ),
        (
            "calibration:\n  variants: {Fe_La: oxide,\n             Ni_La: oxid}\n",
            "c.yaml:3: calibration.variants.Ni_La: no variant 'oxid' of Ni_La in "
            "srd128; available: metal, oxide",
        ),
        (
            "calibration:\n  reference: ucal\n  variants: {Mn_La: oxide}\n",
            "c.yaml:3: calibration.variants.Mn_La: no line 'Mn_La' in ucal (did you "
            "mean 'Zn_La'?)",
        ),
        (
            "calibration:\n  variants: sulfide\n",
            "c.yaml:2: calibration.variants: no variant 'sulfide' in srd128; "
            "available: metal, oxide",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert problems(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [
        ("map: {step: 1\nx: }", r"c\.yaml:\d:\d+", "invalid YAML"),
        ("map:\n\tstep: 1\n", r"c\.yaml:2:1", "invalid YAML"),
        ("a: 1\n---\nb: 2\n", r"c\.yaml:\d:\d+", "invalid YAML"),
        ("map: *a\n", r"c\.yaml:1:6", "undefined alias 'a'"),
        ("map: " + "[" * 400 + "]" * 400, r"c\.yaml:1:55", "nested too deeply"),
        ("map: \x07\n", r"c\.yaml", "invalid YAML"),
    ],
)
def test_syntax_errors_have_a_place(
    tmp_path: Path, text: str, place: str, fragment: str
) -> None:
    (line,) = problems(tmp_path, text)
    assert re.match(place + ": ", line)
    assert fragment in line


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nix\.yaml: no such file"):
        load_config(tmp_path / "nix.yaml")
    with pytest.raises(ConfigError, match="a folder, not a file"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: not a text file in UTF-8"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (
            "top",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in "
            "eV, not 'top'",
        ),
        (
            "[1, 2, 3]",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in "
            "eV, not [1, 2, 3]",
        ),
        (
            "5",
            "scale: must be one of 'none', 'max', 'area' or 'edge' or [low, high] in "
            "eV, not 5",
        ),
        ("[1, x]", "scale.1: must be a number in eV, not 'x'"),
        ("[540 eV, 548]", "scale.0: must be a number in eV without unit, not '540 eV'"),
        ("[548, 540]", "scale: [548.0, 540.0] must be [low, high] with low < high"),
    ],
)
def test_a_value_of_several_types_has_one_message(
    tmp_path: Path, scale: str, expected: str
) -> None:
    text = f"regions:\n  O_sPFY:\n    kind: spfy\n    scale: {scale}\n"
    assert problems(tmp_path, text) == [f"c.yaml:4: regions.O_sPFY.{expected}"]


def test_checks_of_a_model_are_reported_at_the_key_or_the_section(
    tmp_path: Path,
) -> None:
    (line,) = problems(tmp_path, "map:\n  step: 0.7\n")
    assert line.startswith(
        "c.yaml:1: map: emission: [200.0, 1100.0] is not a whole number of bins"
    )
    (line,) = problems(tmp_path, "map:\n  step: 0.5\n  emission: [200, 1000.3]\n")
    assert line.startswith("c.yaml:3: map.emission: [200.0, 1000.3] is not a whole")
    text = "map:\n  incident_step: 0.4\n  incident: [525.9, 550.1]\n"
    (line,) = problems(tmp_path, text)
    assert line.startswith("c.yaml:3: map.incident: [525.9, 550.1] is not a whole")
    text = (
        "regions:\n  cut: {kind: xes, step: 1}\n  cuts:\n    kind: xes\n    step: 0.7\n"
    )
    assert problems(tmp_path, text) == [
        "c.yaml:5: regions.cuts.step: 0.7 eV is no multiple of the map's bins of 0.5 "
        "eV; use 0.5 or 1 eV, or change `map.step`"
    ]
    (line,) = problems(tmp_path, "execution: {}\nmap:\n  incident: [780, 800]\n")
    assert line.startswith(
        "c.yaml:2: map: only one of `incident` and `incident_step` is set"
    )


def test_all_mistakes_are_reported_in_the_order_of_the_lines(tmp_path: Path) -> None:
    lines = problems(
        tmp_path,
        "execution: {workers: 0}\nmap: {step: 0, stop: 1}\ncalibration: {phase: 7}\n",
    )
    assert [line.split(":")[1] for line in lines] == ["1", "2", "2", "3"]
    assert [line.split(": ")[1] for line in lines] == [
        "execution.workers",
        "map.step",
        "map.stop",
        "calibration.phase",
    ]


def test_a_wrong_item_is_reported_instead_of_its_list(tmp_path: Path) -> None:
    (line,) = problems(
        tmp_path, "regions:\n  a: {kind: pfy, polygon: [[1, 2], [2, 3], [1, 2, 3]]}\n"
    )
    assert (
        line
        == "c.yaml:2: regions.a.polygon.2: must have at most 2 items, not [1, 2, 3]"
    )
