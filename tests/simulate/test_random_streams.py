import pytest

from rixs_pipeline.simulate.random_streams import Stream, random_generator


def draw(*key):
    return random_generator(*key).random()


def test_equal_keys_give_equal_numbers():
    assert draw(1, Stream.PIXEL, 3) == draw(1, Stream.PIXEL, 3)


@pytest.mark.parametrize(
    "key", [(2, Stream.PIXEL, 3), (1, Stream.SCAN, 3), (1, Stream.PIXEL, 5)]
)
def test_seed_stream_and_number_all_matter(key):
    assert draw(1, Stream.PIXEL, 3) != draw(*key)
