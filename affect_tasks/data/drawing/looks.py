"""What a drawn face is made of: a look, an expression and a view, each drawn from a seed.

An expression is a set of muscle movements after the Facial Action Coding System (Ekman and Friesen, 1978): inner
brow raised, lid tightened, lip corner pulled. An affect is one or more typical sets of movements, which a
face shows more or less strongly, so weak expressions of different affects lie close together.
"""

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

import numpy as np

AFFECTS: Final = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
HAIR_STYLES: Final = ("bald", "buzz", "short", "parted", "spiky", "curly", "bob", "long", "bun", "beanie")
BEARDS: Final = ("none", "stubble", "moustache", "goatee", "full")
GLASSES: Final = ("none", "round", "square")

Colour = tuple[float, float, float]

_SKINS: Final = (
    (255, 222, 200),
    (243, 200, 170),
    (229, 178, 140),
    (205, 150, 110),
    (168, 114, 78),
    (122, 80, 56),
)
_HAIRS: Final = (
    (38, 32, 34),
    (52, 38, 34),
    (72, 48, 38),
    (104, 68, 44),
    (134, 88, 54),
    (164, 112, 66),
    (214, 172, 104),
    (232, 200, 140),
    (176, 78, 44),
    (146, 62, 44),
    (190, 186, 184),
    (86, 104, 158),
)
_IRISES: Final = ((70, 48, 34), (104, 70, 40), (70, 112, 76), (74, 122, 168), (104, 116, 126))
_CLOTHES: Final = (
    (226, 106, 92),
    (244, 190, 92),
    (96, 168, 150),
    (84, 132, 190),
    (146, 116, 178),
    (240, 236, 226),
    (72, 82, 102),
)
_BACKGROUNDS: Final = (
    (250, 222, 180),
    (196, 222, 214),
    (186, 208, 236),
    (226, 206, 232),
    (246, 206, 200),
    (214, 226, 180),
    (128, 148, 168),
    (178, 160, 146),
)


@dataclass(frozen=True)
class Expression:
    """Muscle movements, 0 at rest, about 1 at full strength; where both signs make sense, from -1 to 1.

    The last two are the blood's: a flush reddens the skin or, below 0, pales it; sickness turns it green.
    """

    brow_lift: float = 0.0
    brow_inner: float = 0.0
    brow_knit: float = 0.0
    brow_one_sided: float = 0.0
    eye_open: float = 0.0
    lid_lift: float = 0.0
    lid_droop: float = 0.0
    nose_wrinkle: float = 0.0
    corner: float = 0.0
    corner_one_sided: float = 0.0
    mouth_open: float = 0.0
    mouth_stretch: float = 0.0
    mouth_square: float = 0.0
    upper_lip: float = 0.0
    lip_press: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    gaze_aside: float = 0.0
    gaze_down: float = 0.0
    head_up: float = 0.0
    tears: float = 0.0
    flush: float = 0.0
    sickness: float = 0.0


@dataclass(frozen=True)
class Look:
    """What stays of a person when the expression changes. Colours are RGB, 0 to 255; sizes are factors near 1."""

    skin: Colour
    hair: Colour
    iris: Colour
    clothes: Colour
    hair_style: str
    beard: str
    glasses: str
    freckles: bool
    head_width: float
    jaw: float
    brow_weight: float
    brow_height: float
    eye_size: float
    eye_gap: float
    nose_size: float
    mouth_size: float
    lip_weight: float
    favoured_side: int
    detail_seed: int


@dataclass(frozen=True)
class View:
    """How the face is seen: pose in radians and in shares of the image's side, light, and the camera's faults."""

    roll: float
    yaw: float
    pitch: float
    scale: float
    shift: tuple[float, float]
    shear: float
    gaze: tuple[float, float]
    light_angle: float
    light_strength: float
    brightness: float
    cast: Colour
    background: tuple[Colour, Colour]
    background_angle: float
    texture: float
    blur: float
    noise: float


_TYPICAL: Final = MappingProxyType(
    {
        "anger": (
            Expression(
                brow_lift=-0.7,
                brow_inner=-1.0,
                brow_knit=1.0,
                eye_open=0.05,
                lid_lift=0.5,
                corner=-0.45,
                lip_press=1.0,
                flush=1.0,
            ),
            Expression(
                brow_lift=-0.7,
                brow_inner=-1.0,
                brow_knit=1.0,
                eye_open=0.1,
                lid_lift=0.5,
                corner=-0.35,
                mouth_open=0.45,
                mouth_square=1.0,
                mouth_stretch=0.15,
                teeth=1.0,
                flush=1.0,
            ),
        ),
        "contempt": (
            Expression(
                corner_one_sided=1.25,
                brow_one_sided=0.6,
                eye_open=-0.75,
                lip_press=0.3,
                gaze_aside=1.0,
                head_up=0.8,
            ),
            Expression(
                corner_one_sided=1.25,
                brow_one_sided=1.1,
                eye_open=-0.7,
                lip_press=0.1,
                gaze_aside=1.0,
                head_up=0.8,
            ),
        ),
        "disgust": (
            Expression(
                brow_lift=-0.5,
                brow_inner=-0.3,
                brow_knit=0.5,
                eye_open=-0.6,
                lid_lift=0.7,
                nose_wrinkle=1.0,
                corner=-0.6,
                mouth_open=0.16,
                upper_lip=1.0,
                teeth=0.6,
                sickness=1.0,
            ),
            Expression(
                brow_lift=-0.4,
                brow_inner=-0.2,
                brow_knit=0.4,
                eye_open=-0.7,
                lid_lift=0.7,
                nose_wrinkle=1.0,
                corner=-0.6,
                mouth_open=0.45,
                upper_lip=0.8,
                tongue=1.0,
                sickness=1.0,
            ),
        ),
        "fear": (
            Expression(
                brow_lift=0.6,
                brow_inner=0.7,
                brow_knit=0.8,
                eye_open=0.8,
                corner=-0.4,
                mouth_open=0.36,
                mouth_stretch=0.5,
                mouth_square=0.7,
                teeth=0.7,
                flush=-1.0,
            ),
            Expression(
                brow_lift=0.6,
                brow_inner=0.7,
                brow_knit=0.8,
                eye_open=0.9,
                corner=-0.5,
                mouth_open=0.2,
                mouth_stretch=0.6,
                flush=-1.0,
            ),
        ),
        "happy": (
            Expression(
                brow_lift=0.15,
                eye_open=-0.2,
                lid_lift=0.8,
                corner=1.0,
                mouth_open=0.5,
                mouth_stretch=0.35,
                teeth=1.0,
            ),
            Expression(brow_lift=0.1, eye_open=-0.15, lid_lift=0.7, corner=1.0, mouth_stretch=0.35),
        ),
        "neutral": (Expression(),),
        "sad": (
            Expression(
                brow_inner=1.0,
                brow_knit=0.4,
                eye_open=-0.35,
                lid_droop=1.0,
                corner=-1.0,
                mouth_stretch=-0.2,
                gaze_down=1.0,
                head_up=-0.6,
                tears=0.7,
            ),
            Expression(
                brow_inner=1.0,
                brow_knit=0.4,
                eye_open=-0.4,
                lid_droop=1.0,
                corner=-1.0,
                mouth_open=0.16,
                mouth_stretch=-0.1,
                gaze_down=0.6,
                head_up=-0.6,
                tears=1.0,
            ),
        ),
        "surprise": (
            Expression(brow_lift=1.0, eye_open=0.8, mouth_open=0.9, mouth_stretch=-0.5),
            Expression(brow_lift=1.0, eye_open=0.7, mouth_open=0.55, mouth_stretch=-0.65),
        ),
    }
)
_WEAKEST, _STRONGEST = 0.62, 1.2
_TREMOR = 0.06


def sample_expression(affect: str, rng: np.random.Generator) -> Expression:
    """Draw how strongly, and in which of its typical forms, a face shows an affect."""
    forms = _TYPICAL[affect]
    form = forms[int(rng.integers(len(forms)))]
    strength = rng.uniform(_WEAKEST, _STRONGEST)
    tremor = rng.normal(0.0, _TREMOR, len(fields(Expression)))
    at_rest = ("mouth_open", "corner_one_sided", "nose_wrinkle", "upper_lip", "teeth", "tongue", "tears")
    moved = {}
    for field, wobble in zip(fields(Expression), tremor, strict=True):
        movement = getattr(form, field.name)
        moved[field.name] = movement * strength + (0.0 if field.name in at_rest and not movement else wobble)
    return Expression(**moved)


def sample_look(rng: np.random.Generator) -> Look:
    """Draw a person: colours, hair, beard, glasses, proportions."""
    hair_style = str(rng.choice(HAIR_STYLES))
    may_have_beard = hair_style not in ("bob", "long", "bun")
    return Look(
        skin=_sample_between(_SKINS, rng),
        hair=_sample_near(_HAIRS, rng),
        iris=_sample_near(_IRISES, rng),
        clothes=_sample_near(_CLOTHES, rng),
        hair_style=hair_style,
        beard=str(rng.choice(BEARDS, p=(0.56, 0.16, 0.1, 0.09, 0.09))) if may_have_beard else "none",
        glasses=str(rng.choice(GLASSES, p=(0.76, 0.13, 0.11))),
        freckles=bool(rng.random() < 0.12),
        head_width=rng.uniform(0.92, 1.08),
        jaw=rng.uniform(0.0, 0.25),
        brow_weight=rng.uniform(0.75, 1.3),
        brow_height=rng.normal(0.0, 0.025),
        eye_size=rng.uniform(0.88, 1.14),
        eye_gap=rng.uniform(0.94, 1.06),
        nose_size=rng.uniform(0.8, 1.25),
        mouth_size=rng.uniform(0.88, 1.12),
        lip_weight=rng.uniform(0.6, 1.35),
        favoured_side=int(rng.choice((-1, 1))),
        detail_seed=int(rng.integers(2**31)),
    )


def sample_view(rng: np.random.Generator) -> View:
    """Draw a pose, a light, a background and the camera's faults."""
    return View(
        roll=rng.uniform(-0.34, 0.34),
        yaw=rng.uniform(-0.32, 0.32),
        pitch=rng.uniform(-0.14, 0.14),
        scale=rng.uniform(0.87, 1.13),
        shift=(rng.uniform(-0.11, 0.11), rng.uniform(-0.08, 0.08)),
        shear=rng.normal(0.0, 0.05),
        gaze=(rng.normal(0.0, 0.35), rng.normal(0.0, 0.2)),
        light_angle=rng.uniform(0.0, 2 * np.pi),
        light_strength=rng.uniform(0.1, 0.45),
        brightness=rng.uniform(0.82, 1.12),
        cast=_triple(1 + rng.uniform(-0.07, 0.07) * np.array([1.0, 0.15, -1.0])),
        background=(_sample_near(_BACKGROUNDS, rng), _sample_near(_BACKGROUNDS, rng)),
        background_angle=rng.uniform(0.0, 2 * np.pi),
        texture=rng.uniform(0.0, 16.0),
        blur=max(0.0, rng.uniform(-0.6, 0.7)),
        noise=rng.uniform(0.0, 4.0),
    )


def _triple(values: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _sample_near(palette: tuple[tuple[int, int, int], ...], rng: np.random.Generator) -> Colour:
    chosen = np.array(palette[int(rng.integers(len(palette)))], dtype=np.float64)
    return _triple(np.clip(chosen * rng.uniform(0.9, 1.1) + rng.normal(0.0, 4.0, 3), 0, 255))


def _sample_between(ramp: tuple[tuple[int, int, int], ...], rng: np.random.Generator) -> Colour:
    place = rng.uniform(0, len(ramp) - 1)
    low = int(place)
    colour = np.array(ramp[low]) * (low + 1 - place) + np.array(ramp[low + 1]) * (place - low)
    return _triple(np.clip(colour + rng.normal(0.0, 4.0, 3), 0, 255))
