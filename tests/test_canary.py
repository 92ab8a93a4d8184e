"""The shape checks of the test run are really on."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from actlift.evaluation.metrics import mpjpe


def test_a_wrong_shape_is_caught_by_the_checker():
    with pytest.raises(TypeCheckError):
        mpjpe("no array", np.zeros((1, 17, 3)))
