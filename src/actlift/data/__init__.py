"""Where motion comes from: clips, the corpora of views made from them, and readers of their formats."""

from actlift.data.corpus import Corpus

__all__ = ["Corpus"]
