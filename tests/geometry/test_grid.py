import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.geometry.grid import on_grid

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=20).map(np.array)


@given(NUMBERS, st.integers(0, 24))
def test_numbers_go_to_the_nearest_multiple_and_stay_there(values, bits):
    rounded = on_grid(values, bits)
    assert (np.abs(rounded - values) <= 2.0**-bits / 2).all()
    assert (rounded * 2**bits == np.floor(rounded * 2**bits)).all()
    np.testing.assert_array_equal(on_grid(rounded, bits), rounded)


@given(NUMBERS, st.integers(-4, 4))
def test_errors_of_the_last_bits_are_gone(values, ulps):
    """But in the middle of two multiples."""
    shifted = values + ulps * np.spacing(values)
    middle = np.abs(values * 2.0**20 % 1 - 0.5) < 1e-6
    np.testing.assert_array_equal(on_grid(values, 20)[~middle], on_grid(shifted, 20)[~middle])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_stays_and_zero_has_one_sign(dtype):
    rounded = on_grid(np.array([-1e-9, -0.0, 0.0, 1e-9], dtype), 20)
    assert rounded.dtype == dtype
    assert not np.signbit(rounded).any()
