import numpy as np

from rixs_pipeline.core.elastic.eliminate import eliminate, mean_of_neighbours


def test_templates_without_a_prior_leave_nothing_of_what_they_describe():
    templates = np.array([[[1.0], [2.0], [3.0]]])
    across = np.array([3.0, 0.0, -1.0])  # orthogonal to the template
    columns = np.stack([4 * templates[..., 0], across[None]], axis=-1)
    result = eliminate(columns, templates, np.zeros(1), np.ones((1, 3)))
    np.testing.assert_allclose(result.columns[0, :, 0], 0, atol=1e-7)
    np.testing.assert_allclose(result.columns[0, :, 1], across)
    np.testing.assert_allclose(result.coefficients[0, 0], [4, 0], atol=1e-7)


def test_volume_is_the_ratio_of_posterior_to_prior_precision():
    # precision of the data: 2 bins x template 1 squared x weight 3 = 6; of the prior: 2
    columns, templates = np.ones((1, 2, 1)), np.ones((1, 2, 1))
    result = eliminate(columns, templates, np.array([2.0]), np.full((1, 2), 3.0))
    np.testing.assert_allclose(result.coefficients, 6 / 8)
    np.testing.assert_allclose(result.volume, np.log(8 / 2))


def test_mean_of_neighbours_repeats_the_ends():
    means = mean_of_neighbours(np.array([[3.0], [0.0], [6.0]]))
    np.testing.assert_allclose(means[:, 0], [2, 3, 4])
