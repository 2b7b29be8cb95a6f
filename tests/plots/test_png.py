from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from rixs_pipeline.plots.png import encode_png


def test_a_png_file_holds_the_pixels_and_the_resolution():
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 256, (7, 5, 4), dtype=np.uint8)
    image = Image.open(BytesIO(encode_png(pixels, 150)))
    image.load()
    assert np.array_equal(np.asarray(image), pixels)
    assert image.info["dpi"] == pytest.approx((150, 150), abs=0.02)
