"""A picture of a digit brought to the form of MNIST's: white on black, 20 x 20 within 28 x 28,
centred by mass.

Shapes: H, W height and width of the picture.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from scripts.common.program import UserError

Pixels: TypeAlias = NDArray[np.float64]

SIDE, BOX = 28, 20
# of the strongest ink: what is fainter, such as the rings of a JPEG, doesn't widen the digit
FAINT = 0.1
LEAST = 12.0  # of 255: a picture with less contrast has nothing on it


@dataclass(frozen=True)
class Form:
    """The `given` picture (H, W) in grey, the `seen` one (28, 28) in [0, 1], where in the first the
    digit stands (left, top, right, bottom), and in words what was done.
    """

    given: Pixels
    seen: Pixels
    box: tuple[int, int, int, int]
    words: str


def read(path: Path) -> Pixels:
    """The picture in a file in grey (H, W), 0 black and 255 white, turned as its camera says, on
    white where transparent.

    UserError for what is no picture, or too large a one.
    """
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGBA")
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path}: is no picture that can be read; give a .png or .jpg, say"
        ) from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise UserError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from error
    on_white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(on_white.convert("L"), dtype=np.float64)


def bring(given: Pixels) -> Form:
    """A grey picture (H, W) in the form. ValueError where nothing stands out from its border."""
    ink, dark = _ink(given)
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    digit = ink[top:bottom, left:right]
    scale = BOX / max(digit.shape)
    height, width = (max(1, round(size * scale)) for size in digit.shape)
    small = Image.fromarray(digit.astype(np.float32)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    scaled = np.clip(np.asarray(small, dtype=np.float64), 0, 1)
    scaled /= scaled.max()
    seen = np.zeros((SIDE, SIDE))
    y, x = (_start(scaled.sum(axis=axis)) for axis in (1, 0))
    seen[y : y + height, x : x + width] = scaled
    words = (
        f"{given.shape[1]} x {given.shape[0]}, "
        f"{'dark on bright, so inverted' if dark else 'bright on dark'}; "
        f"{right - left} x {bottom - top} at {left}, {top} cropped, scaled to {width} x {height}, "
        f"put at {x}, {y} of 28 x 28"
    )
    return Form(given, seen, (int(left), int(top), int(right), int(bottom)), words)


def _ink(given: Pixels) -> tuple[Pixels, bool]:
    """What stands out from the border (H, W) in [0, 1], and whether it is darker than that.

    The paper is a plane through the border, since light falls from a side; what varies there as
    well is its grain. Ink on the border is kept out: what is far from the plane.
    """
    y, x = np.indices(given.shape)
    margin = max(1, min(given.shape) // 20)
    border = np.ones(given.shape, dtype=bool)
    border[margin:-margin, margin:-margin] = False
    plane = np.stack([np.ones(given.shape), y, x], axis=-1)
    for _ in range(3):
        difference = given - plane @ np.linalg.lstsq(plane[border], given[border], rcond=None)[0]
        border &= np.abs(difference) <= 2 * difference[border].std() + 1e-6
    dark = -difference.min() > difference.max()
    difference = -difference if dark else difference
    strongest, grain = difference.max(), 4 * difference[border].std()
    if strongest < LEAST:
        raise ValueError("nothing stands out from its border")
    grain = min(grain, strongest / 2)
    return np.clip((difference - grain) / (strongest - grain), 0, 1), bool(dark)


def _start(mass: Pixels) -> int:
    """Where in 28 the sums of rows, or columns, begin if their centre of mass is to be number 14,
    as in MNIST; all fit.
    """
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(mass)))
