"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def actlift_data() -> Path:
    """The folder of real motion capture; tests that need it skip, saying so, where ACTLIFT_DATA is unset."""
    folder = os.environ.get("ACTLIFT_DATA")
    if not folder:
        pytest.skip("ACTLIFT_DATA is not set: no real motion capture here")
    return Path(folder)
