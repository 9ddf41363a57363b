"""Head, neck, ears, hair, beard and glasses: the parts of a face that stay when the expression changes."""

import numpy as np

from affect_tasks.data.drawing.canvas import Canvas, Points, darken, mix, taper, trace_curve, trace_oval
from affect_tasks.data.drawing.looks import Colour, Expression, Look

_AROUND = np.linspace(0.0, 2 * np.pi, 65)[:-1]
_FRAME_COLOURS = ((48.0, 44.0, 52.0), (120.0, 66.0, 50.0), (60.0, 84.0, 124.0), (176.0, 142.0, 72.0))


def trace_head(look: Look, expression: Expression, *, grow: float = 0.0) -> Points:
    """Return the head's outline, shape (64, 2), clockwise from its right end; an open jaw lengthens it."""
    x, y = np.cos(_AROUND), np.sin(_AROUND)
    width = 0.8 * look.head_width * (1 - look.jaw * np.square(np.maximum(y, 0)) * 0.6)
    jaw = 1.0 + 0.12 * max(expression.mouth_open, 0.0)
    height = np.where(y > 0, jaw, 1.04)
    return np.stack([x * (width + grow), y * (height + grow)], axis=1)


def draw_back(canvas: Canvas, look: Look) -> None:
    """Paint what lies behind the head: shoulders, neck, long hair, a bun."""
    _draw_back_hair(canvas, look)
    shoulders = np.concatenate(
        [
            trace_curve((-1.5, 2.2), (-1.3, 1.22), (-0.3, 1.16)),
            trace_curve((0.3, 1.16), (1.3, 1.22), (1.5, 2.2)),
        ]
    )
    shoulders = np.concatenate([shoulders, [[1.5, 3.2], [-1.5, 3.2]]])
    neck = np.array([[-0.33, 0.6], [0.33, 0.6], [0.37, 1.2], [0.2, 1.36], [-0.2, 1.36], [-0.37, 1.2]])
    canvas.fill(shoulders, look.clothes, on_face=False)
    canvas.fill(neck, darken(look.skin, 0.24), on_face=False)
    canvas.stroke(trace_curve((-0.4, 1.16), (0.0, 1.62), (0.4, 1.16)), 0.07, darken(look.clothes, 0.2), on_face=False)


def draw_head(canvas: Canvas, look: Look, expression: Expression) -> None:
    """Paint ears and head, freckles and beard."""
    edge = 0.8 * look.head_width
    for side in (-1, 1):
        canvas.fill(trace_oval((side * edge, 0.04), (0.15, 0.22)), darken(look.skin, 0.1), on_face=False)
        canvas.fill(trace_oval((side * (edge + 0.02), 0.05), (0.07, 0.13)), darken(look.skin, 0.26), on_face=False)
    canvas.fill(trace_head(look, expression), look.skin, on_face=False)
    if look.freckles:
        _draw_freckles(canvas, look)
    _draw_beard(canvas, look, expression)


def _draw_freckles(canvas: Canvas, look: Look) -> None:
    spots = np.random.default_rng(look.detail_seed).uniform((-0.5, 0.08), (0.5, 0.3), (22, 2))
    for x, y in spots:
        canvas.fill(trace_oval((x, y), (0.018, 0.018)), darken(look.skin, 0.3))


def _draw_beard(canvas: Canvas, look: Look, expression: Expression) -> None:
    hair = darken(look.hair, 0.12)
    jaw = 0.12 * max(expression.mouth_open, 0.0)
    if look.beard in ("full", "stubble"):
        colour = hair if look.beard == "full" else mix(look.skin, look.hair, 0.22)
        outline = trace_head(look, expression, grow=0.03 if look.beard == "full" else -0.02)
        below = outline[(np.pi >= _AROUND) | (2 * np.pi - 0.05 < _AROUND)]
        cheek = trace_curve((-0.72 * look.head_width, 0.12), (-0.5, 0.56), (-0.2, 0.38))
        rest = trace_curve((0.2, 0.38), (0.5, 0.56), (0.72 * look.head_width, 0.12))
        canvas.fill(np.concatenate([below, cheek, rest]), colour, on_face=False)
    if look.beard == "goatee":
        canvas.fill(trace_oval((0.0, 0.83 + jaw), (0.22, 0.2)), hair)
    if look.beard in ("moustache", "goatee", "full"):
        lip_y = 0.43 - 0.07 * max(expression.upper_lip, 0.0) - 0.1 * max(expression.mouth_open, 0.0)
        for side in (-1, 1):
            spine = trace_curve((0.0, lip_y - 0.04), (side * 0.2, lip_y - 0.05), (side * 0.36, lip_y + 0.06))
            canvas.stroke(spine, taper(first=0.09, middle=0.1, last=0.02), hair)


def _draw_back_hair(canvas: Canvas, look: Look) -> None:
    colour = darken(look.hair, 0.25)
    if look.hair_style == "long":
        canvas.fill(trace_oval((0.0, -0.08), (1.0, 1.1)), colour, on_face=False)
        right = trace_curve((0.99, -0.2), (1.12, 0.7), (0.98, 1.7))
        canvas.fill(np.concatenate([right, (right * (-1, 1))[::-1]]), colour, on_face=False)
    if look.hair_style == "bob":
        canvas.fill(trace_oval((0.0, 0.02), (1.04, 1.06)), colour, on_face=False)
    if look.hair_style == "bun":
        canvas.fill(trace_oval((0.0, -1.2), (0.34, 0.3)), look.hair, on_face=False)
        canvas.fill(trace_oval((0.0, -0.2), (0.88, 0.95)), colour, on_face=False)
    if look.hair_style == "curly":
        rng = np.random.default_rng(look.detail_seed)
        for angle in np.linspace(np.pi * 0.95, np.pi * 2.05, 13):
            centre = (0.92 * np.cos(angle), 0.98 * np.sin(angle) - 0.05)
            radius = rng.uniform(0.22, 0.3)
            canvas.fill(trace_oval(centre, (radius, radius)), mix(colour, look.hair, rng.uniform(0, 1)), on_face=False)


def draw_hair(canvas: Canvas, look: Look, expression: Expression) -> None:
    """Paint the hair that lies over the head, or the beanie in its place."""
    if look.hair_style == "bald":
        return
    crown = trace_head(look, expression, grow=0.05)[np.pi - 0.12 <= _AROUND]
    crown = np.concatenate([crown, [[0.83 * look.head_width, -0.08]]])
    thin = look.hair_style == "buzz"
    colour = mix(look.skin, look.hair, 0.72) if thin else look.hair
    if look.hair_style == "beanie":
        _draw_beanie(canvas, look, crown)
        return
    if look.hair_style == "spiky":
        _draw_spikes(canvas, look)
    canvas.fill(np.concatenate([crown, _trace_hairline(look)]), colour, on_face=False)
    if not thin:
        _draw_shine(canvas, look)


def _trace_hairline(look: Look) -> Points:
    """Return the lower edge of the hair, from the right temple to the left one."""
    width = 0.8 * look.head_width
    right, left = (width * 0.95, -0.2), (-width * 0.95, -0.2)
    if look.hair_style == "parted":
        part = (0.3 * look.favoured_side, -0.86)
        return np.concatenate(
            [trace_curve(right, (width * 0.72, -0.62), part), trace_curve(part, (-width * 0.72, -0.62), left)]
        )
    if look.hair_style in ("bob", "long"):
        part = (0.12 * look.favoured_side, -0.84)
        return np.concatenate(
            [
                trace_curve((width, 0.1), (width * 0.8, -0.6), part),
                trace_curve(part, (-width * 0.8, -0.6), (-width, 0.1)),
            ]
        )
    height = {"buzz": -0.86, "short": -0.82, "spiky": -0.82, "curly": -0.78, "bun": -0.9}[look.hair_style]
    return np.concatenate(
        [
            trace_curve(right, (width * 0.8, height + 0.06), (width * 0.45, height + 0.02)),
            trace_curve((width * 0.45, height + 0.02), (0.0, height - 0.05), (-width * 0.45, height + 0.02)),
            trace_curve((-width * 0.45, height + 0.02), (-width * 0.8, height + 0.06), left),
        ]
    )


def _draw_spikes(canvas: Canvas, look: Look) -> None:
    lean = 0.12 * look.favoured_side
    for x in np.linspace(-0.62, 0.62, 7):
        root = -1.0 + 0.45 * x * x
        spike = np.array([[x - 0.17, root + 0.12], [x + lean, root - 0.26], [x + 0.17, root + 0.12]])
        canvas.fill(spike, look.hair, on_face=False)


def _draw_shine(canvas: Canvas, look: Look) -> None:
    side = -look.favoured_side
    shine = trace_curve((side * 0.62, -0.66), (side * 0.5, -0.94), (side * 0.12, -1.0))
    canvas.stroke(
        shine,
        taper(first=0.01, middle=0.07, last=0.01),
        mix(look.hair, (255.0, 250.0, 240.0), 0.2),
        on_face=False,
    )


def _draw_beanie(canvas: Canvas, look: Look, crown: Points) -> None:
    cap = crown * (1.04, 1.06)
    canvas.fill(
        np.concatenate([cap, trace_curve((0.84, -0.5), (0.0, -0.86), (-0.84, -0.5))]),
        look.clothes,
        on_face=False,
    )
    brim = trace_curve((-0.86 * look.head_width, -0.5), (0.0, -0.98), (0.86 * look.head_width, -0.5))
    canvas.stroke(brim, 0.2, darken(look.clothes, 0.18), on_face=False)
    canvas.fill(trace_oval((0.0, -1.16), (0.17, 0.16)), mix(look.clothes, (255.0, 255.0, 255.0), 0.35), on_face=False)


def draw_glasses(canvas: Canvas, look: Look) -> None:
    """Paint the frame of the glasses, if any, in front of the eyes."""
    if look.glasses == "none":
        return
    colour: Colour = _FRAME_COLOURS[look.detail_seed % len(_FRAME_COLOURS)]
    power = 1.0 if look.glasses == "round" else 0.45
    turn = np.linspace(0.0, 2 * np.pi, 41)
    x, y = np.cos(turn), np.sin(turn)
    ring = np.stack([np.sign(x) * np.abs(x) ** power * 0.27, np.sign(y) * np.abs(y) ** power * 0.25], axis=1)
    for side in (-1, 1):
        canvas.stroke(ring + np.array([side * 0.35 * look.eye_gap, -0.08]), 0.035, colour)
        temple = trace_curve((side * 0.62, -0.12), (side * 0.72, -0.12), (side * 0.8 * look.head_width, -0.06))
        canvas.stroke(temple, 0.035, colour, on_face=True)
    canvas.stroke(trace_curve((-0.09, -0.1), (0.0, -0.15), (0.09, -0.1)), 0.035, colour)
