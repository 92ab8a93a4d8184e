"""Where motion comes from: clips, the corpora of views made from them, and readers of their formats."""

from actlift.data.clip import Clip, Detections
from actlift.data.corpus import Corpus, Exclusion, View, person_disjoint, write_corpus
from actlift.data.prepare import prepare, read_exclusions, read_source
from actlift.data.sources.asfamc import read_asfamc, read_asfamc_folder
from actlift.data.sources.h36m import STANDARD_SPLIT, h36m_cameras, read_h36m
from actlift.data.sources.humaneva import read_humaneva
from actlift.data.sources.mocap_npz import read_mocap_npz, write_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips

__all__ = [
    "STANDARD_SPLIT",
    "Clip",
    "Corpus",
    "Detections",
    "Exclusion",
    "View",
    "h36m_cameras",
    "person_disjoint",
    "prepare",
    "read_asfamc",
    "read_asfamc_folder",
    "read_exclusions",
    "read_h36m",
    "read_humaneva",
    "read_mocap_npz",
    "read_source",
    "synthetic_clips",
    "write_corpus",
    "write_mocap_npz",
]
