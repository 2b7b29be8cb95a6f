from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.runner.execution.tree_reduction import TreeReduction
from rixs_pipeline.stages.chunks import FAN_IN


def nest(nodes):
    """Join by nesting, so that the result shows the shape of the tree."""
    assert 1 <= len(nodes) <= FAN_IN
    return list(nodes)


def reduce_in_order(number, order):
    group = TreeReduction(number, nest)
    for index in order:
        assert not group.is_done
        group.put(index, index)
    return group


def flatten(tree):
    if isinstance(tree, int):
        return [tree]
    return [leaf for branch in tree for leaf in flatten(branch)]


@given(st.data())
def test_the_shape_of_the_tree_depends_on_the_number_of_tasks_alone(data):
    number = data.draw(st.integers(1, 200))
    order = data.draw(st.permutations(range(number)))
    group = reduce_in_order(number, order)
    assert group.is_done
    tree = group.outcome.unwrap()
    assert tree == reduce_in_order(number, range(number)).outcome.unwrap()
    assert flatten(tree) == list(range(number))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100), st.randoms())
def test_a_sum_is_equal_to_the_last_bit_in_any_order_of_arrival(values, random):
    order = list(range(len(values)))
    sums = []
    for _ in range(2):
        group = TreeReduction(len(values), sum)
        for index in order:
            group.put(index, values[index])
        sums.append(group.outcome.unwrap())
        random.shuffle(order)
    assert sums[0] == sums[1]


def test_siblings_are_joined_as_soon_as_they_are_complete():
    joined = []

    def join(nodes):
        joined.append(list(nodes))
        return "joined"

    group = TreeReduction(FAN_IN + 2, join)
    for index in range(FAN_IN):
        group.put(index, index)
    assert joined == [list(range(FAN_IN))]
    assert list(group.nodes.values()) == ["joined"]  # the results are released
    group.put(FAN_IN, "a")
    assert len(joined) == 1
    group.put(FAN_IN + 1, "b")
    assert joined[1:] == [["a", "b"], ["joined", "joined"]]


def test_a_single_result_is_not_joined():
    group = TreeReduction(1, nest)
    group.put(0, "alone")
    assert group.outcome.unwrap() == "alone"


def test_a_failure_ends_the_group():
    group = TreeReduction(2, nest)
    group.put(0, 0)
    group.error = OSError("disk full")
    assert group.is_done
    assert group.outcome.error is group.error
    assert group.outcome.result is None


def test_a_group_without_tasks_has_no_result():
    group = TreeReduction(0, nest)
    assert group.is_done
    assert isinstance(group.outcome.error, ValueError)
