"""Shared fixtures."""

import os
from pathlib import Path

import hypothesis
import pytest

from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine fails no test
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def actlift_data() -> Path:
    """The folder of real motion capture; tests that need it skip, saying so, where ACTLIFT_DATA is unset."""
    folder = os.environ.get("ACTLIFT_DATA")
    if not folder:
        pytest.skip("ACTLIFT_DATA is not set: no real motion capture here")
    return Path(folder)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus on disk, to be read only: four people, three actions, two clips of each, two cameras, 25 fps.

    Walking and Waving last 40 frames, Squat 10, so that some clips are shorter than a receptive field of 27.
    """
    folder = tmp_path_factory.mktemp("shared") / "corpus"
    people = {"subjects": 4, "clips": 2, "fps": 25.0}
    clips = [
        *synthetic_clips(0, seconds=1.6, actions=["Walking", "Waving"], **people),
        *synthetic_clips(0, seconds=0.4, actions=["Squat"], **people),
    ]
    write_corpus(folder, clips, cameras=2, keypoints=IndependentNoise(3.0), sources=["synthetic"])
    return folder


@pytest.fixture
def corpus(corpus_folder: Path) -> Corpus:
    """The small corpus, opened: subjects syn1 to syn4, actions Squat, Walking and Waving, 48 views, 1,440 frames."""
    return Corpus.open(corpus_folder)
