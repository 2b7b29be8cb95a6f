import numpy as np

from rixs_pipeline.core.drift.common_drift.equations import Equations
from rixs_pipeline.core.drift.common_drift.measurements import Groups

RNG = np.random.default_rng(1)
GROUPS = Groups(
    line=np.array([0, 0, 1, 1]),
    sample=np.array([0, 1, 0, 0]),
    edge=np.array([0, 0, 0, 1]),
    is_resonant=np.array([False, False, True, True]),
)
ROWS = 12
EQUATIONS = Equations(
    design=RNG.normal(size=(ROWS, 3)),
    target=RNG.normal(size=ROWS),
    weight=RNG.uniform(5, 50, ROWS),
    group=np.append(np.repeat(np.arange(4), 2), np.full(4, -1)),
    groups=GROUPS,
)


def dense_inverse():
    """The inverse covariance of the rows, positions of the groups included."""
    belongs = (EQUATIONS.group[:, None] == np.arange(4)).astype(float)
    of_groups = np.linalg.inv(GROUPS.information)
    noise = np.diag(1 / EQUATIONS.weight)
    return np.linalg.inv(noise + belongs @ of_groups @ belongs.T)


def test_products_are_those_of_the_dense_covariance():
    left, right = RNG.normal(size=(ROWS, 2)), RNG.normal(size=(ROWS, 5))
    expected = left.T @ dense_inverse() @ right
    np.testing.assert_allclose(EQUATIONS.product(left, right), expected, atol=1e-4)
    squares = np.diag(right.T @ dense_inverse() @ right)
    np.testing.assert_allclose(EQUATIONS.squares(right), squares, rtol=1e-4)


def test_information_and_gradient_are_those_of_the_dense_covariance():
    design = EQUATIONS.design
    inverse = dense_inverse()
    expected = design.T @ inverse @ design
    np.testing.assert_allclose(EQUATIONS.information, expected, atol=1e-4)
    expected = design.T @ inverse @ EQUATIONS.target
    np.testing.assert_allclose(EQUATIONS.gradient, expected, atol=1e-4)


def test_a_line_has_no_position_of_its_own():
    """What moves all groups of a line alike says nothing."""
    of_line = np.isin(EQUATIONS.group, [0, 1]).astype(float)[:, None]
    alone = np.sum(EQUATIONS.weight * of_line[:, 0])
    assert EQUATIONS.product(of_line, of_line)[0, 0] < 0.01
    assert alone > 10
