import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real beamtime beside the checkout, or where RIXS_REAL_DATA says; skips visibly without it."""
    folder = Path(os.environ.get("RIXS_REAL_DATA", CHECKOUT.parent / "shared" / "real"))
    beamtime = folder / "ssrl_10_1_20200219"
    if not beamtime.is_dir():
        pytest.skip(f"no real data: {beamtime} is not there; set RIXS_REAL_DATA to the folder that holds it")
    return beamtime


@pytest.fixture(scope="session")
def sample_beamtime() -> Path:
    """The simulated beamtime that ships with the repository."""
    return CHECKOUT / "data_samples" / "lmr_beamtime"
