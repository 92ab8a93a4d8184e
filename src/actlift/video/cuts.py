"""Where a video is cut.

A picture is a cut if a camera that moved or changed its exposure does not explain it. Thumbnails of it and of the one
before are brought to equal mean and contrast; blocks of the new one are looked for near their place in the old one;
what is left of the differences is the surprise. A cut has a large one that is also large beside those of late.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from av import VideoFrame

THUMBNAIL = (36, 64)  # rows, columns
BLOCK = (6, 8)
REACH = (4, 8)  # how far a block may have moved: an eighth of the image
BLANK = 6.0  # gray levels of contrast; a picture with less has no scene in it
CONTRAST = 32.0  # that differences are measured by where one of two pictures is blank
CUT = 0.4  # surprise, in standard deviations: hard cuts have 0.43 to 0.9, shaken cameras up to 0.36
CUT_RATIO = 2.0  # and this many times the typical surprise
TYPICAL_FRAMES = 10.0  # over which that is averaged


class CutDetector:
    """Tells of each picture whether it is a cut."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self.shrink = VideoReformatter()
        self.before: Float32[np.ndarray, "h w"] | None = None
        self.typical = 0.0

    def __call__(self, picture: "VideoFrame") -> bool:
        rows, columns = THUMBNAIL
        small = self.shrink.reformat(picture, columns, rows, format="gray", interpolation="AREA").to_ndarray()
        now = small.astype(np.float32)
        surprise = 0.0 if self.before is None else _surprise(self.before, now)
        self.before = now
        if surprise > max(CUT, CUT_RATIO * self.typical):
            return True
        self.typical += (surprise - self.typical) / TYPICAL_FRAMES
        return False


def _surprise(before: Float32[np.ndarray, "h w"], now: Float32[np.ndarray, "h w"]) -> float:
    """Mean difference of two thumbnails of equal contrast, every block of the new one found again in the old one."""
    spreads = before.std(), now.std()
    if min(spreads) < BLANK:  # a fade from black begins with next to no contrast, which must not be blown up
        spreads = CONTRAST, CONTRAST
    before, now = ((image - image.mean()) / spread for image, spread in zip((before, now), spreads, strict=True))
    unmoved = float(np.abs(now - before).mean())
    if unmoved < CUT / CUT_RATIO:  # neither a cut nor typical of anything that could hide one
        return unmoved
    (rows, columns), (up, left) = BLOCK, REACH
    height, width = now.shape
    moved = sliding_window_view(np.pad(before, ((up, up), (left, left)), mode="edge"), now.shape)
    apart = np.abs(moved - now).reshape(-1, height // rows, rows, width // columns, columns).mean(axis=(2, 4))
    return float(apart.min(axis=0).mean())
