"""Put a portrait together: paint the person, light it, set it before a background, add the camera's faults."""

# pyright: reportArgumentType=false, reportReturnType=false
# OpenCV's annotations lose the arrays' types.

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from affect_tasks.data.drawing.canvas import Camera, Canvas, build_camera, mix
from affect_tasks.data.drawing.features import draw_brows, draw_eyes, draw_features
from affect_tasks.data.drawing.heads import draw_back, draw_glasses, draw_hair, draw_head
from affect_tasks.data.drawing.looks import Colour, Expression, Look, View

Image = NDArray[np.uint8]
_Pixels = NDArray[np.float32]


def draw_portrait(look: Look, expression: Expression, view: View, *, seed: int, side_px: int) -> Image:
    """Draw one person.

    Args:
        look: The person.
        expression: What the muscles do.
        view: Pose, light, background and the camera's faults.
        seed: Of the background's texture and the noise.
        side_px: Height and width of the result, in pixels.

    Returns:
        RGB array of shape (side_px, side_px, 3), uint8.
    """
    rng = np.random.default_rng(seed)
    view = _turn_head(look, expression, view)
    person = _paint_person(look, expression, view, side_px=side_px)
    x, y = _locate_pixels(build_camera(view, side_px=side_px), side_px=side_px)
    lit = person[..., :3] * _tint_skin(x, y, expression) * _light_head(x, y, view)[..., None]
    picture = lit + _paint_background(view, rng, side_px=side_px) * (1 - person[..., 3:] / 255)
    return _expose(picture, view, rng)


def _paint_person(look: Look, expression: Expression, view: View, *, side_px: int) -> _Pixels:
    look = replace(look, skin=_flush_skin(look, expression))
    canvas = Canvas(build_camera(view, side_px=side_px), side_px=side_px)
    draw_back(canvas, look)
    draw_head(canvas, look, expression)
    draw_features(canvas, look, expression)
    draw_eyes(canvas, look, expression, gaze=view.gaze)
    draw_hair(canvas, look, expression)
    draw_brows(canvas, look, expression)
    draw_glasses(canvas, look)
    return canvas.paint()


def _turn_head(look: Look, expression: Expression, view: View) -> View:
    aside = view.gaze[0] + look.favoured_side * 1.1 * expression.gaze_aside
    down = view.gaze[1] + expression.gaze_down
    return replace(view, gaze=(aside, down), pitch=view.pitch - 0.16 * expression.head_up)


def _flush_skin(look: Look, expression: Expression) -> Colour:
    flushed = mix(look.skin, (212.0, 66.0, 58.0), 0.3 * max(expression.flush, 0.0))
    paled = mix(flushed, (222.0, 222.0, 232.0), 0.32 * max(-expression.flush, 0.0))
    return mix(paled, (148.0, 178.0, 92.0), 0.32 * max(expression.sickness, 0.0))


def _locate_pixels(camera: Camera, *, side_px: int) -> tuple[_Pixels, _Pixels]:
    """Return where each pixel lies in the face's frame: x and y, each of shape (side_px, side_px)."""
    rows, columns = np.mgrid[:side_px, :side_px].astype(np.float32) + np.float32(0.5)
    back = np.linalg.inv(camera.matrix).astype(np.float32)
    right, down = columns - np.float32(camera.centre[0]), rows - np.float32(camera.centre[1])
    return back[0, 0] * right + back[0, 1] * down, back[1, 0] * right + back[1, 1] * down


def _tint_skin(x: _Pixels, y: _Pixels, expression: Expression) -> _Pixels:
    """Redden the cheeks and shade the neck softly; factors of shape (h, w, 3)."""
    cheeks = sum(np.exp(-(np.square((x - side * 0.48) / 0.2) + np.square((y - 0.26) / 0.16))) for side in (-1, 1))
    nose = 0.16 * min(max(expression.tears, 0.0), 1.2) * np.exp(-(np.square(x / 0.14) + np.square((y - 0.26) / 0.12)))
    neck = np.exp(-(np.square(x / 0.7) + np.square((y - 1.16) / 0.16)))
    rosy = 1 + 1.2 * min(max(expression.corner, 0.0), 1.2)
    red = 0.13 * rosy * cheeks + nose
    return 1 - red[..., None] * np.float32([0.0, 1.0, 0.92]) - neck[..., None] * np.float32(0.2)


def _light_head(x: _Pixels, y: _Pixels, view: View) -> _Pixels:
    """Shade the head as a ball under one lamp and a bright sky; factors near 1, shape (h, w)."""
    radius = np.sqrt(np.square(x / 1.05) + np.square(y / 1.3))
    pull = np.minimum(1.0, 0.98 / np.maximum(radius, 1e-6))
    normal_x, normal_y = x / 1.05 * pull, y / 1.3 * pull
    normal_z = np.sqrt(np.maximum(1 - np.square(normal_x) - np.square(normal_y), 0.0))
    lamp = math.cos(view.light_angle) * normal_x + math.sin(view.light_angle) * normal_y
    return np.clip(0.8 + 0.26 * normal_z + view.light_strength * 0.62 * lamp, 0.3, 1.4)


def _paint_background(view: View, rng: np.random.Generator, *, side_px: int) -> _Pixels:
    ramp = np.linspace(-0.5, 0.5, side_px, dtype=np.float32)
    slope = math.cos(view.background_angle) * ramp[None, :] + math.sin(view.background_angle) * ramp[:, None]
    share = np.clip(slope + 0.5, 0, 1)[..., None]
    first, second = np.float32(view.background[0]), np.float32(view.background[1])
    coarse = rng.normal(0.0, view.texture, (6, 6, 1)).astype(np.float32)
    soft = cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return first * (1 - share) + second * share + soft[..., None]


def _expose(picture: _Pixels, view: View, rng: np.random.Generator) -> Image:
    exposed = picture * np.float32(np.array(view.cast) * view.brightness)
    if view.blur > 0.2:
        exposed = cv2.GaussianBlur(exposed, (0, 0), view.blur)
    grain = rng.standard_normal(exposed.shape, dtype=np.float32) * np.float32(view.noise)
    return np.clip(exposed + grain, 0, 255).astype(np.uint8)
