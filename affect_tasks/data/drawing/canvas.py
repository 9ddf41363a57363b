"""Shapes in the face's own coordinates, drawn on pixels.

The face's frame: the origin between the eyes and the nose, x to the right of the picture, y down, the head about 1 high
above and below the origin. The camera turns the head (points on the face move with the curve of an ellipsoid), then
rolls, scales and shifts it onto the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affect_tasks.data.drawing.looks import Colour, View

Points = NDArray[np.float64]

OVERSAMPLING = 2
_FACE_HEIGHT_SHARE = 0.41
_DEPTH = 0.75
_SUBPIXEL_BITS = 4
_STEPS = np.linspace(0.0, 1.0, 17)
_BEZIER = np.stack([np.square(1 - _STEPS), 2 * _STEPS * (1 - _STEPS), np.square(_STEPS)], axis=1)
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 33)), np.sin(np.linspace(0, 2 * np.pi, 33))], axis=1)[:-1]


@dataclass(frozen=True)
class Camera:
    """The way from the face's frame to pixels: matrix is 2x2, centre is (x, y), both in pixels."""

    matrix: Points
    centre: Points
    yaw: float
    pitch: float

    def project(self, points: Points, *, turns: NDArray[np.bool_]) -> Points:
        """Return pixel positions, shape (n, 2); where turns is set, a point lies on the face and turns with it."""
        placed = np.where(turns[:, None], self._turn(points), points)
        return placed @ self.matrix.T + self.centre

    def _turn(self, points: Points) -> Points:
        bulge = 1 - np.square(points / (0.95, 1.25)).sum(axis=1)
        depth = _DEPTH * np.sqrt(np.maximum(bulge, 0.0))
        x = points[:, 0] * np.cos(self.yaw) + depth * np.sin(self.yaw)
        y = points[:, 1] * np.cos(self.pitch) + depth * np.sin(self.pitch)
        return np.stack([x, y], axis=1)


def build_camera(view: View, *, side_px: int) -> Camera:
    """Point the camera as a view says, for a square picture."""
    cosine, sine = np.cos(view.roll), np.sin(view.roll)
    roll = np.array([[cosine, -sine], [sine, cosine]])
    shear = np.array([[1.0, view.shear], [0.0, 1.0]])
    centre = np.array([0.5 + view.shift[0], 0.52 + view.shift[1]]) * side_px
    return Camera(roll @ shear * (view.scale * _FACE_HEIGHT_SHARE * side_px), centre, view.yaw, view.pitch)


class Canvas:
    """A transparent picture that shapes are painted on, one over the other.

    Shapes are kept in the face's frame until the picture is asked for, then projected together: many small
    projections would take longer than the painting.
    """

    def __init__(self, camera: Camera, *, side_px: int) -> None:
        self._camera = camera
        self._side_px = side_px
        self._outlines: list[Points] = []
        self._colours: list[Colour] = []
        self._on_face: list[bool] = []

    def fill(self, points: Points, colour: Colour, *, on_face: bool = True) -> None:
        """Paint the inside of a closed outline."""
        self._outlines.append(points)
        self._colours.append(colour)
        self._on_face.append(on_face)

    def stroke(self, points: Points, width: float | Points, colour: Colour, *, on_face: bool = True) -> None:
        """Paint a line as wide as given, at each point if width is an array."""
        along = np.empty_like(points)
        along[1:-1] = points[2:] - points[:-2]
        along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
        across = along[:, ::-1] * (-0.5, 0.5)
        across *= np.reshape(width / np.sqrt(np.square(along).sum(axis=1) + 1e-18), (-1, 1))
        self.fill(np.concatenate([points + across, (points - across)[::-1]]), colour, on_face=on_face)

    def paint(self) -> NDArray[np.float32]:
        """Return the picture at its final size: RGB times coverage, then coverage, float32, 0 to 255."""
        side = self._side_px * OVERSAMPLING
        pixels = np.zeros((side, side, 4), dtype=np.uint8)
        for corners, colour in zip(self._project(), self._colours, strict=True):
            cv2.fillPoly(pixels, [corners], (*colour, 255.0), cv2.LINE_AA, _SUBPIXEL_BITS)
        small = cv2.resize(pixels, (self._side_px, self._side_px), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32)

    def _project(self) -> list[NDArray[np.int32]]:
        lengths = [len(outline) for outline in self._outlines]
        turns = np.repeat(self._on_face, lengths)
        places = self._camera.project(np.concatenate(self._outlines), turns=turns)
        corners = np.rint(places * (OVERSAMPLING << _SUBPIXEL_BITS)).astype(np.int32)
        return np.split(corners, np.cumsum(lengths)[:-1])


def trace_curve(start: tuple[float, float], bend: tuple[float, float], end: tuple[float, float]) -> Points:
    """Return 17 points of the quadratic Bézier curve from start to end, pulled towards bend."""
    return _BEZIER @ np.array((start, bend, end))


def trace_oval(centre: tuple[float, float], radii: tuple[float, float]) -> Points:
    """Return 32 points of an ellipse, clockwise on the picture from its right end."""
    return np.array(centre) + _CIRCLE * np.array(radii)


def taper(*, first: float, middle: float, last: float) -> Points:
    """Return the widths of a curve's 17 points, swelling from the first to the middle and down to the last."""
    return np.interp(_STEPS, [0.0, 0.45, 1.0], [first, middle, last])


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Blend two colours; share 0 is the first, 1 the other."""
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(colour, other, strict=True))
    return red, green, blue


def darken(colour: Colour, share: float) -> Colour:
    """Blend a colour towards a warm dark brown, as shadows on skin and hair look."""
    return mix(colour, (44.0, 22.0, 24.0), share)
