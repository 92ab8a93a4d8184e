"""How a decoded picture becomes an upright one, with square pixels and in RGB.

Pictures are turned as their metadata say, pixels that are not square are stretched to squares (never shrunk), and any
pixel format becomes 8-bit RGB; where a file does not name its color matrix it is taken to be BT.709 from 720 lines on
and BT.601 below. Brightness of HDR videos is not mapped.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter

HD_LINES = 720
UNNAMED_COLOR = 2  # AVCOL_SPC_UNSPECIFIED
LARGEST_ASPECT = 4.0  # of a pixel; beyond it the metadata are not believed

# Whether columns and rows change places, and whether x and y then run the other way.
Turn = tuple[bool, bool, bool]


def upright(
    picture: "VideoFrame", turn: Turn, width: int, height: int, to_rgb: "VideoReformatter"
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Make a picture RGB, turned and at that size."""
    from av.video.reformatter import Colorspace

    swap, flip_x, flip_y = turn
    unnamed = picture.colorspace == UNNAMED_COLOR and picture.height >= HD_LINES
    matrix = Colorspace.ITU709 if unnamed and not picture.format.is_rgb else None
    shape = (height, width) if swap else (width, height)
    image = to_rgb.reformat(picture, *shape, format="rgb24", src_colorspace=matrix).to_ndarray()
    image = image.swapaxes(0, 1) if swap else image
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def turn_of(picture: "VideoFrame") -> Turn:
    """Read how the metadata of a video turn its pictures.

    Ask it of one picture: PyAV ties a picture to its side data in a circle, so that it is not freed at once.
    """
    try:
        data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of kinds that PyAV does not know
        return turn_by(picture.rotation)
    if data is None:
        return False, False, False
    (a, b), (c, d) = np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3)[:2, :2]  # x' = a x + c y, y' = b x + d y
    return (True, bool(c < 0), bool(b < 0)) if abs(b) > abs(a) else (False, bool(a < 0), bool(d < 0))


def turn_by(degrees: int) -> Turn:
    """Tell how to turn by so many degrees, counterclockwise; whole quarters count."""
    quarters = round(degrees / 90) % 4
    return quarters % 2 == 1, quarters in (2, 3), quarters in (1, 2)


def square_size(picture: "VideoFrame", aspect: Fraction | None) -> tuple[int, int]:
    """Compute width and height of the picture, as it lies, with pixels stretched to squares."""
    wide = float(aspect or 1)
    if not 1 / LARGEST_ASPECT <= wide <= LARGEST_ASPECT:
        return picture.width, picture.height
    return round(picture.width * max(wide, 1)), round(picture.height / min(wide, 1))
