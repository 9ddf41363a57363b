"""Brows, eyes, nose and mouth: the parts of a face that an expression moves."""

import numpy as np

from affect_tasks.data.drawing.canvas import Canvas, Points, darken, mix, taper, trace_curve, trace_oval
from affect_tasks.data.drawing.looks import Colour, Expression, Look

_WHITE: Colour = (250.0, 248.0, 244.0)
_DARK: Colour = (40.0, 26.0, 28.0)
_MOUTH_INSIDE: Colour = (92.0, 30.0, 36.0)
_TEAR: Colour = (140.0, 200.0, 238.0)
_TONGUE: Colour = (226.0, 112.0, 116.0)
_LIP_RED: Colour = (196.0, 70.0, 78.0)
_ACROSS = np.linspace(-1.0, 1.0, 25)
_MOUTH_Y = 0.53


def draw_features(canvas: Canvas, look: Look, expression: Expression) -> None:
    """Paint everything that moves, from the folds of the skin up to the brows."""
    _draw_folds(canvas, look, expression)
    _draw_nose(canvas, look, expression)
    _draw_mouth(canvas, look, expression)


def draw_eyes(canvas: Canvas, look: Look, expression: Expression, *, gaze: tuple[float, float]) -> None:
    """Paint both eyes."""
    for side in (-1, 1):
        _draw_eye(canvas, look, expression, side=side, gaze=gaze)
        if expression.tears > 0.5:
            _draw_tear(canvas, look, side=side)


def draw_brows(canvas: Canvas, look: Look, expression: Expression) -> None:
    """Paint both brows."""
    for side in (-1, 1):
        _draw_brow(canvas, look, expression, side=side)


def _draw_brow(canvas: Canvas, look: Look, expression: Expression, *, side: int) -> None:
    one_sided = max(expression.brow_one_sided, 0.0) if side == look.favoured_side else 0.0
    lift = 0.15 * expression.brow_lift + 0.16 * one_sided
    height = -0.40 - look.brow_height - 0.05 * (look.eye_size - 1)
    inner_y = height + 0.03 - lift - 0.13 * expression.brow_inner
    outer_y = height + 0.05 - 0.8 * lift + 0.06 * max(expression.brow_inner, -0.6)
    arch_y = height - 0.07 - 1.15 * lift + 0.03 * expression.brow_inner
    inner_x = 0.15 * look.eye_gap - 0.05 * max(expression.brow_knit, 0.0)
    spine = trace_curve((side * inner_x, inner_y), (side * 0.38, arch_y), (side * 0.62, outer_y))
    weight = 0.11 * look.brow_weight
    ink = mix(look.hair, _DARK, 0.45) if sum(look.hair) < 500 else mix(look.hair, (120.0, 84.0, 56.0), 0.6)
    canvas.stroke(spine, taper(first=weight * 0.8, middle=weight, last=weight * 0.25), ink)


def _draw_eye(canvas: Canvas, look: Look, expression: Expression, *, side: int, gaze: tuple[float, float]) -> None:
    centre_x, centre_y = 0.34 * look.eye_gap, -0.10
    half_width = 0.22 * look.eye_size
    x = side * (centre_x + half_width * _ACROSS)
    dome = np.power(1 - np.square(_ACROSS), 0.7)
    slope = 0.05 * max(expression.lid_droop, 0.0) * _ACROSS
    droop = 1 - 0.3 * max(expression.lid_droop, 0.0) * (_ACROSS + 1) / 2
    opening = max(0.16 * (1 + 0.75 * expression.eye_open), 0.035) * look.eye_size
    lower = centre_y + slope + 0.10 * (1 + 0.25 * expression.eye_open - 0.75 * max(expression.lid_lift, 0.0)) * dome
    upper = np.minimum(centre_y + slope - opening * dome * droop, lower - 0.012)
    outline = np.concatenate([np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)[::-1]])

    lid = np.stack([x, upper - (0.06 - 0.06 * expression.eye_open) * dome - 0.015], axis=1)
    canvas.fill(np.concatenate([lid, np.stack([x, upper], axis=1)[::-1]]), darken(look.skin, 0.22))
    canvas.fill(outline, _WHITE)
    iris_x, iris_y = side * centre_x + 0.05 * gaze[0], centre_y - 0.025 + 0.035 * gaze[1]
    for radius, colour in ((0.118, darken(look.iris, 0.35)), (0.1, look.iris), (0.056, (22.0, 16.0, 18.0))):
        disc = trace_oval((iris_x, iris_y), (radius, radius))
        canvas.fill(_clip_between(disc, x, upper, lower), colour)
    glint = trace_oval((iris_x - 0.035, iris_y - 0.04), (0.03, 0.03))
    canvas.fill(_clip_between(glint, x, upper, lower), _WHITE)
    canvas.stroke(np.stack([x, upper], axis=1), 0.032 + 0.024 * (_ACROSS + 1) / 2, darken(_DARK, 0.2))
    canvas.stroke(np.stack([x, lower], axis=1), 0.014, darken(look.skin, 0.4))


def _draw_tear(canvas: Canvas, look: Look, *, side: int) -> None:
    x = side * 0.38 * look.eye_gap
    drop = np.array([[x, 0.02], [x + 0.055, 0.13], [x + 0.04, 0.2], [x, 0.225], [x - 0.04, 0.2], [x - 0.055, 0.13]])
    canvas.fill(drop, _TEAR)
    canvas.fill(trace_oval((x - 0.015, 0.15), (0.014, 0.03)), _WHITE)


def _draw_nose(canvas: Canvas, look: Look, expression: Expression) -> None:
    size, wrinkle = look.nose_size, max(expression.nose_wrinkle, 0.0)
    tip_y = 0.25 - 0.05 * wrinkle
    half = 0.115 * size * (1 + 0.18 * wrinkle)
    shadow = darken(look.skin, 0.22)
    wings = trace_oval((0.0, tip_y), (half, 0.07 * size))
    canvas.fill(wings, darken(look.skin, 0.08))
    canvas.stroke(trace_curve((-half, tip_y), (0.0, tip_y + 0.15 * size), (half, tip_y)), 0.028, shadow)
    for side in (-1, 1):
        canvas.fill(
            trace_oval((side * half * 0.48, tip_y + 0.045 * size), (0.028 * size, 0.018)),
            darken(look.skin, 0.55),
        )
        canvas.stroke(
            trace_curve((side * half, tip_y - 0.05), (side * half * 1.3, tip_y + 0.02), (side * half, tip_y + 0.04)),
            0.025,
            shadow,
        )
    canvas.stroke(trace_curve((0.02, -0.08), (0.05, 0.08), (0.03, tip_y - 0.05)), 0.018, darken(look.skin, 0.1))


def _draw_folds(canvas: Canvas, look: Look, expression: Expression) -> None:
    wrinkle = max(expression.nose_wrinkle, 0.0)
    smile = max(expression.corner, 0.0)
    for side in (-1, 1):
        fold = max(wrinkle, 0.6 * smile, 0.7 * max(expression.upper_lip, 0.0))
        _draw_line(canvas, look, trace_curve((side * 0.17, 0.22), (side * 0.33, 0.28), (side * 0.42, 0.5)), fold)
        cheek = smile * max(expression.lid_lift, 0.0)
        _draw_line(canvas, look, trace_curve((side * 0.2, 0.08), (side * 0.36, 0.14), (side * 0.52, 0.04)), cheek)
        _draw_line(canvas, look, trace_curve((side * 0.57, -0.1), (side * 0.62, -0.11), (side * 0.68, -0.15)), cheek)
        _draw_line(canvas, look, trace_curve((side * 0.57, -0.06), (side * 0.63, -0.05), (side * 0.68, -0.05)), cheek)
        for row in (-0.12, -0.04, 0.04):
            _draw_line(
                canvas,
                look,
                trace_curve((side * 0.02, row), (side * 0.08, row - 0.02), (side * 0.12, row - 0.07)),
                wrinkle,
            )
        frown = max(expression.brow_knit, 0.0) * max(-expression.brow_inner, 0.0)
        _draw_line(
            canvas,
            look,
            trace_curve((side * 0.05, -0.27), (side * 0.035, -0.34), (side * 0.06, -0.42)),
            frown,
        )
    raised = max(expression.brow_lift, 0.0)
    for row in (-0.66, -0.74):
        _draw_line(canvas, look, trace_curve((-0.3, row + 0.02), (0.0, row - 0.04), (0.3, row + 0.02)), raised)


def _draw_line(canvas: Canvas, look: Look, points: Points, strength: float) -> None:
    if strength > 0.15:
        depth = min(strength, 1.0)
        canvas.stroke(points, taper(first=0.01, middle=0.04, last=0.01), darken(look.skin, 0.12 + 0.26 * depth))


def _draw_mouth(canvas: Canvas, look: Look, expression: Expression) -> None:
    gap = max(expression.mouth_open, 0.0)
    half_width = 0.35 * look.mouth_size * (1 + 0.45 * expression.mouth_stretch)
    x = half_width * _ACROSS
    middle = _trace_mouth_line(look, expression)
    squareness = 0.5 - 0.28 * np.clip(expression.mouth_square, 0.0, 1.0)
    dome = np.power(1 - np.square(_ACROSS), squareness)
    happy_share = np.clip(expression.corner, 0.0, 1.0)
    upper = middle - gap * (0.2 - 0.16 * happy_share) * dome
    lower = middle + gap * (0.36 + 0.1 * happy_share) * dome
    _draw_lips(canvas, look, expression, x, upper, lower)
    if gap > 0.04:
        _draw_inside(canvas, expression, x, upper, lower)
    else:
        line = np.stack([x, (upper + lower) / 2], axis=1)
        canvas.stroke(
            line,
            np.interp(np.abs(_ACROSS), [0, 0.8, 1], [0.046, 0.046, 0.03]),
            darken(_lip_colour(look), 0.6),
        )
    _draw_corner(canvas, look, expression, half_width)


def _trace_mouth_line(look: Look, expression: Expression) -> Points:
    bow = 0.17 * expression.corner * (np.square(_ACROSS) - 0.4)
    toward = np.clip(_ACROSS * look.favoured_side, -0.3, 1.0)
    smirk = 0.25 * max(expression.corner_one_sided, 0.0) * np.square(np.maximum(toward + 0.3, 0) / 1.3)
    raised = 0.07 * max(expression.upper_lip, 0.0)
    return _MOUTH_Y - bow - smirk - raised


def _draw_lips(canvas: Canvas, look: Look, expression: Expression, x: Points, upper: Points, lower: Points) -> None:
    weight = 0.085 * look.lip_weight * (1 - 0.65 * np.clip(expression.lip_press, 0.0, 1.0))
    dome = np.power(1 - np.square(_ACROSS), 0.6)
    cupid = 1 - 0.3 * np.exp(-np.square(_ACROSS / 0.16))
    raised = 1 - 0.3 * np.clip(expression.upper_lip, 0.0, 1.0)
    top = upper - weight * 0.75 * dome * cupid * raised - 0.012
    bottom = lower + weight * 1.05 * dome + 0.012
    colour = _lip_colour(look)
    for edge, inner, tone in ((top, upper, darken(colour, 0.12)), (bottom, lower, colour)):
        outline = np.concatenate([np.stack([x * 1.04, edge], axis=1), np.stack([x, inner], axis=1)[::-1]])
        canvas.fill(outline, tone)


def _draw_inside(canvas: Canvas, expression: Expression, x: Points, upper: Points, lower: Points) -> None:
    outline = np.concatenate([np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)[::-1]])
    canvas.fill(outline, _MOUTH_INSIDE)
    lowest, half_width = float(lower.max()), float(x.max())
    tongue_rise = 0.09 + 0.12 * np.clip(expression.tongue, 0.0, 1.0)
    tongue = trace_oval((0.0, lowest), (half_width * 0.62, tongue_rise))
    canvas.fill(_clip_between(tongue, x, upper, lower), _TONGUE)
    shown = np.clip(expression.teeth, 0.0, 1.0)
    if shown > 0.1:
        edge = np.minimum(upper + 0.10 * shown, lower)
        canvas.fill(np.concatenate([np.stack([x, upper], axis=1), np.stack([x, edge], axis=1)[::-1]]), _WHITE)
        if expression.mouth_square > 0.4:
            edge = np.maximum(lower - 0.08 * shown, upper)
            canvas.fill(np.concatenate([np.stack([x, edge], axis=1), np.stack([x, lower], axis=1)[::-1]]), _WHITE)
    if expression.tongue > 0.5:
        out = trace_oval((0.0, lowest + 0.02), (half_width * 0.5, 0.13 * expression.tongue))
        canvas.fill(out, _TONGUE)
        canvas.stroke(
            trace_curve((0.0, lowest - 0.04), (0.0, lowest), (0.0, lowest + 0.08)),
            0.02,
            darken(_TONGUE, 0.25),
        )


def _draw_corner(canvas: Canvas, look: Look, expression: Expression, half_width: float) -> None:
    """Paint the dimple beside a corner that is pulled, and the shade below a pressed lip."""
    smirk = max(expression.corner_one_sided, 0.0)
    x = look.favoured_side * half_width
    y = _MOUTH_Y - 0.2 * smirk - 0.1 * expression.corner
    dimple = trace_curve((x * 1.06, y - 0.1), (x * 1.28, y - 0.01), (x * 1.1, y + 0.07))
    _draw_line(canvas, look, dimple, smirk)
    low = _MOUTH_Y + 0.46 * max(expression.mouth_open, 0.0) + 0.16
    canvas.stroke(trace_curve((-0.1, low), (0.0, low + 0.025), (0.1, low)), 0.02, darken(look.skin, 0.16))


def _lip_colour(look: Look) -> Colour:
    return mix(look.skin, _LIP_RED, 0.6)


def _clip_between(points: Points, x: Points, upper: Points, lower: Points) -> Points:
    """Push points of a shape inside an opening whose edges are known over x."""
    order = np.argsort(x)
    inside_x = np.clip(points[:, 0], x.min(), x.max())
    top = np.interp(inside_x, x[order], upper[order])
    bottom = np.interp(inside_x, x[order], lower[order])
    return np.stack([inside_x, np.clip(points[:, 1], top, np.maximum(bottom, top))], axis=1)
