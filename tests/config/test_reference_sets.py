from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.config.reference_sets import (
    line_names,
    load_reference_set,
    maximum_position,
)
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.paths import configs_folder

SOFT_SETS = ("srd128", "elam", "ucal", "hauskat2024")
SETS = (*SOFT_SETS, "kalpha")
MEASURED = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
SIGMA_OF_1_EV = 1 / (2 * np.sqrt(2 * np.log(2)))


def convolve_numerically(
    energy: np.ndarray, shape: tuple[tuple[float, float, float], ...], gauss: float
) -> np.ndarray:
    """Return Lorentzians convolved with a Gaussian by plain summation."""
    step = energy[1] - energy[0]
    bare = sum(
        share * 2 / np.pi / width / (1 + (2 * (energy - offset) / width) ** 2)
        for offset, width, share in shape
    )
    kernel = np.exp(-0.5 * (np.arange(-6 * gauss, 6 * gauss, step) / gauss) ** 2)
    return np.convolve(bare, kernel / kernel.sum(), "same")


def write_set(folder: Path, lines: str, head: str = "source: mine\n") -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"{head}lines:\n{lines}")
    return path


THREE = (
    "  C_Ka: {energy: 277, uncertainty: 2}\n"
    "  Mn_La: {energy: 637, uncertainty: 1}\n"
    "  X: {energy: 700, uncertainty: 1, source: his, sigma: 0.5, shape: [[5, 1, 1], "
    "[9, 2, 3]]}\n"
)


@pytest.mark.parametrize("name", SETS)
def test_the_maximum_of_every_line_is_at_its_energy_at_1_ev_resolution(
    name: str,
) -> None:
    grid = np.arange(-20, 20, 0.004)
    for line in load_reference_set(name).lines.values():
        profile = convolve_numerically(
            grid, line.shape, float(np.hypot(line.sigma, SIGMA_OF_1_EV))
        )
        # the step of the grid, and the centre of the discrete kernel
        assert abs(grid[np.argmax(profile)]) < 0.006
        assert sum(share for _, _, share in line.shape) == pytest.approx(1)


@pytest.mark.parametrize("name", SOFT_SETS)
def test_every_line_has_a_source_and_a_plausible_uncertainty(name: str) -> None:
    reference = load_reference_set(name)
    assert reference.name == name
    for line_name, line in reference.lines.items():
        assert line.source
        assert 0.2 < line.uncertainty <= 2.0
        assert (len(line.shape) > 1) == (line_name in MEASURED)


def test_k_lines_are_doublets_with_their_tabulated_distance() -> None:
    """J. A. Bearden, Rev. Mod. Phys. 39, 78 (1967): K alpha 1 and 2 of Fe and Cu."""
    lines = load_reference_set("kalpha").lines
    for name, first, second in (
        ("Fe_Ka", 6403.84, 6390.84),
        ("Cu_Ka", 8047.78, 8027.83),
    ):
        line = lines[name]
        centres = sorted(line.energy + offset for offset, _, _ in line.shape)
        assert centres == pytest.approx([second, first], abs=0.05)
        assert 0.2 < line.uncertainty <= 2.0 and line.source


def test_the_tables_are_as_published() -> None:
    srd128, elam, ucal = (load_reference_set(name).lines for name in SETS[:3])
    values = {name: (line.energy, line.uncertainty) for name, line in srd128.items()}
    assert values["C_Ka"] == (277.0, 2.0)
    assert values["Co_La"] == (776.25, 0.43)
    assert values["Mn_Lb"] == (648.8, 1.0)
    assert values["Zn_La"] == (1011.77, 0.37)
    assert list(srd128) == list(elam)
    assert len(srd128) == 21
    # how far the tables disagree, and where most
    assert max(
        abs(srd128[name].energy - elam[name].energy) for name in srd128
    ) == pytest.approx(2.77)
    assert srd128["Ni_La"].energy - ucal["Ni_La"].energy == pytest.approx(2.62)


@pytest.mark.parametrize("name", SETS[:3])
def test_l_beta_that_is_part_of_a_measured_shape_is_a_satellite(name: str) -> None:
    lines = load_reference_set(name).lines
    satellites = {
        name: line.satellite_of for name, line in lines.items() if line.satellite_of
    }
    assert satellites == {"Fe_Lb": "Fe_La", "Ni_Lb": "Ni_La", "Cu_Lb": "Cu_La"}


def test_measured_shapes_are_at_the_measured_energies() -> None:
    oxygen = load_reference_set("hauskat2024").lines["O_Ka"]
    centres = [oxygen.energy + offset for offset, _, _ in oxygen.shape]
    assert centres == pytest.approx([526.61, 524.78, 522.93], abs=0.01)
    # a set of positions takes the same shape elsewhere
    moved = load_reference_set("srd128").lines["O_Ka"]
    assert moved.shape == oxygen.shape
    assert (moved.energy, moved.sigma) == (524.9, oxygen.sigma)


def test_the_maximum_moves_with_the_resolution() -> None:
    carbon = load_reference_set("srd128").lines["C_Ka"]
    at_3_ev = maximum_position(carbon.shape, carbon.sigma, 3.0)
    at_1_ev = maximum_position(carbon.shape, carbon.sigma, 1.4)
    assert at_3_ev - at_1_ev == pytest.approx(0.9, abs=0.05)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(0.1, 8), st.floats(0.1, 1)),
        min_size=1,
        max_size=4,
    ),
    st.floats(-99, 99),
)
def test_the_maximum_of_a_shifted_shape_is_shifted(
    shape: list[tuple[float, float, float]], shift: float
) -> None:
    shifted = tuple((offset + shift, width, share) for offset, width, share in shape)
    grid = np.arange(-9, 9, 0.01)
    profile = convolve_numerically(grid, tuple(shape), SIGMA_OF_1_EV)
    position = maximum_position(shifted, 0.0) - shift
    # the height, because a line may have two equal maxima
    height = np.interp(position, grid, profile)
    assert height == pytest.approx(profile.max(), rel=1e-3)


def test_a_set_from_a_file_of_the_user(tmp_path: Path) -> None:
    reference = load_reference_set(write_set(tmp_path, THREE))
    assert (reference.name, reference.source) == ("mine", "mine")
    assert (
        reference.lines["C_Ka"].shape
        == load_reference_set("srd128").lines["C_Ka"].shape
    )
    ((offset, width, share),) = reference.lines["Mn_La"].shape
    assert (offset, width, share) == (pytest.approx(0.0, abs=1e-9), 3.0, 1.0)
    line = reference.lines["X"]
    assert (line.source, line.sigma) == ("his", 0.5)
    assert line.shape[1][0] - line.shape[0][0] == pytest.approx(4)
    assert [share for _, _, share in line.shape] == [0.25, 0.75]
    assert line_names(tmp_path / "mine.yaml") == ["C_Ka", "Mn_La", "X"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "  C_Ka: {energy: 277, uncertainty: 2}\n",
            "mine.yaml:2: lines: must have at least 3 items, not",
        ),
        (
            THREE + "  N_Ka: {energy: 392, uncertainty: 1, shap: []}\n",
            "mine.yaml:6: lines.N_Ka.shap: unknown key (did you mean 'shape'?)",
        ),
        (
            THREE + "  N_Ka: {energy: 0.39 keV, uncertainty: 1}\n",
            "must be a number in eV without unit, not '0.39 keV'",
        ),
        (
            THREE + "  N_Ka: {energy: 392, uncertainty: 0}\n",
            "lines.N_Ka.uncertainty: must be greater than 0, not 0",
        ),
        (
            THREE + "  N_Ka: {energy: 392, uncertainty: 1, shape: [[0, 0, 1]]}\n",
            "mine.yaml:6: lines.N_Ka.shape.0.1: must be greater than 0, not 0",
        ),
        (
            THREE + "  Mn_Lb: {energy: 648, uncertainty: 1, shape_from: hauskat2024}\n",
            "mine.yaml:6: lines.Mn_Lb.shape_from: no shape of Mn_Lb in hauskat2024; "
            "available: C_Ka, N_Ka",
        ),
        (
            THREE + "  Mn_Lb: {energy: 648, uncertainty: 1, satellite_of: Mn_LA}\n",
            "mine.yaml:6: lines.Mn_Lb.satellite_of: must name another line "
            "of this set, not 'Mn_LA'",
        ),
        (
            THREE + "  N_Ka: {energy: 392, uncertainty: 1, "
            "shape_from: hauskat2024, sigma: 1}\n",
            "mine.yaml:6: lines.N_Ka: `shape_from` excludes `shape` and `sigma`",
        ),
    ],
)
def test_mistakes_have_file_line_and_key(
    tmp_path: Path, lines: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_reference_set(write_set(tmp_path, lines))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_set_is_reported_with_the_known_sets() -> None:
    with pytest.raises(
        ConfigError,
        match="no reference set 'srd12'; "
        "choose from elam, hauskat2024, kalpha, srd128, ucal",
    ):
        load_reference_set("srd12")
    with pytest.raises(ConfigError, match=r"nix\.yaml: no such file"):
        load_reference_set("nix.yaml")


def test_the_supplied_sets() -> None:
    names = {path.stem for path in (configs_folder() / "references").glob("*.yaml")}
    assert names == set(SETS)


WITH_VARIANTS = (
    "  C_Ka: {energy: 277, uncertainty: 2}\n"
    "  Ni_La: {energy: 851, uncertainty: 0.3, source: hers, shape: [[0, 2, 1]], "
    "material: metal,\n"
    "          variants: {NiO: {energy: 851.4, uncertainty: 0.4, source: his, sigma: "
    "0.2,"
    " shape: [[0, 4, 1], [3, 1, 1]]},"
    " oxide: {shift: [-0.2, 0.4], source: theirs}}}\n"
    "  Cu_La: {energy: 929, uncertainty: 1, material: metal, variants: {oxide: "
    "{shift: [0.5, 1], source: theirs}}}\n"
)


def test_a_variant_has_its_position_and_source(tmp_path: Path) -> None:
    path = write_set(tmp_path, WITH_VARIANTS)
    default = load_reference_set(path)
    assert (
        default.lines["Ni_La"].variant,
        default.lines["C_Ka"].variant,
        default.variants,
    ) == ("metal", "", {})
    oxides = load_reference_set(path, "oxide")
    assert oxides.variants == {"Ni_La": "oxide", "Cu_La": "oxide"}
    nickel = oxides.lines["Ni_La"]
    assert (nickel.energy, nickel.uncertainty) == (
        pytest.approx(850.8),
        pytest.approx(0.5),
    )  # 0.3 and 0.4 in quadrature
    assert (nickel.variant, nickel.source, nickel.shape) == (
        "oxide",
        "theirs",
        default.lines["Ni_La"].shape,
    )
    mixed = load_reference_set(path, {"Ni_La": "NiO", "Cu_La": "metal"})
    nickel = mixed.lines["Ni_La"]
    assert (nickel.energy, nickel.uncertainty, nickel.source, nickel.sigma) == (
        851.4,
        0.4,
        "his",
        0.2,
    )
    assert len(nickel.shape) == 2 and mixed.variants == {"Ni_La": "NiO"}
    assert mixed.attributes()["reference_variants"] == '{"Ni_La": "NiO"}'


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(SOFT_SETS), st.data())
def test_choosing_a_variant_changes_that_line_alone(
    name: str, data: st.DataObject
) -> None:
    default = load_reference_set(name)
    able = sorted(load_reference_set(name, "oxide").variants)
    chosen = data.draw(st.lists(st.sampled_from(able), unique=True))
    varied = load_reference_set(name, dict.fromkeys(chosen, "oxide"))
    changed = [
        line for line in default.lines if varied.lines[line] != default.lines[line]
    ]
    assert sorted(changed) == sorted(chosen) == sorted(varied.variants)
    for line in changed:
        # positions of oxides are not known: that of the metal, with a larger error
        assert varied.lines[line].energy == default.lines[line].energy
        assert varied.lines[line].uncertainty == pytest.approx(
            np.hypot(default.lines[line].uncertainty, 1.5)
        )
        assert "no measured position" in varied.lines[line].source


@pytest.mark.parametrize("name", SOFT_SETS)
def test_only_metals_have_oxides(name: str) -> None:
    lines = load_reference_set(name).lines
    oxides = load_reference_set(name, "oxide").variants
    metals = {name for name, line in lines.items() if line.variant == "metal"}
    assert set(oxides) == metals
    assert all(line.endswith("_La") for line in oxides)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (
            "{energy: 1, source: a}",
            "mine.yaml:5: lines.X.variants.b: set either `energy` and `uncertainty`, "
            "or `shift`",
        ),
        ("{source: a}", "set either `energy` and `uncertainty`, or `shift`"),
        (
            "{energy: 1, uncertainty: 1, shift: [0, 1], source: a}",
            "set either `energy` and `uncertainty`, or `shift`",
        ),
        (
            "{shift: [0, 0], source: a}",
            "mine.yaml:5: lines.X.variants.b.shift.1: must be greater than 0, not 0",
        ),
        ("{shift: [0, 1]}", "mine.yaml:5: lines.X.variants.b"),
        (
            "{shift: [0, 1], source: a, sigma: 1}",
            "lines.X.variants.b.sigma: requires `shape`; set `shape` too",
        ),
        (
            "{shift: [0, 1], source: a}, a: {shift: [0, 1], source: a}",
            "lines.X.variants.a: is the `material` of the line",
        ),
    ],
)
def test_mistakes_in_variants_have_file_line_and_key(
    tmp_path: Path, variant: str, expected: str
) -> None:
    two = "".join(THREE.splitlines(keepends=True)[:2])
    line = (
        "  X: {energy: 700, uncertainty: 1, material: a, "
        f"variants: {{b: {variant}}}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_reference_set(write_set(tmp_path, two + line))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variant_is_reported_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError,
        match="variants: no variant 'oxid' in srd128; available: metal, oxide",
    ):
        load_reference_set("srd128", "oxid")
    with pytest.raises(
        ConfigError,
        match="variants: no variant 'oxide' of C_Ka in srd128; available: none",
    ):
        load_reference_set("srd128", {"C_Ka": "oxide"})
