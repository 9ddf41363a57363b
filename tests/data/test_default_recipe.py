import hashlib
import random

import cv2
import numpy as np
import pytest
from scipy import stats

from affect_tasks.data.decode import encode_jpeg
from affect_tasks.data.default_recipe import (
    Noise,
    add_noise,
    apply_changes,
    blur,
    build_gaussian_kernel,
    build_motion_kernel,
    draw_changes,
    rotate,
    shift_tones,
)
from affect_tasks.data.faces import draw_face
from affect_tasks.data.recipe import alter_image, build_default_compose, build_recipe

albumentations = pytest.importorskip("albumentations")

DRAWS = 3000
PIXELS = 24 * 24
# All seeds are fixed, so a test below this level fails each time or never.
LEVEL = 0.01


@pytest.fixture(scope="module")
def face():
    return draw_face("surprise", seed=3, side_px=96)


@pytest.fixture(scope="module")
def drawn():
    return [draw_changes(seed, pixel_count=PIXELS) for seed in range(DRAWS)]


@pytest.fixture(scope="module")
def reference():
    """What Albumentations draws for the same recipe: each applied transform's arguments, by its name."""
    compose = build_default_compose()
    compose.save_applied_params = True
    compose.set_random_seed(None)
    rng, coin = np.random.default_rng(5), random.Random(5)
    compose.set_random_state(rng, coin)
    grey = np.full((24, 24, 3), 128, np.uint8)
    return [dict(compose(image=grey)["applied_transforms"]) for _ in range(DRAWS)]


def apply_alone(transform, pixels, seed):
    """Apply one transform of Albumentations; return the image and the arguments it drew."""
    compose = albumentations.Compose([transform], save_applied_params=True, seed=seed)
    done = compose(image=pixels)
    return done["image"], done["applied_transforms"][0][1]


@pytest.mark.parametrize("seed", range(20))
def test_tones_shift_as_albumentations_shifts_them(face, seed):
    theirs, drawn = apply_alone(albumentations.RandomBrightnessContrast(0.2, 0.2, p=1), face, seed)
    ours = shift_tones(face, contrast=drawn["alpha"], brightness=drawn["beta"])
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(20))
def test_rotation_is_that_of_albumentations(face, seed):
    theirs, drawn = apply_alone(albumentations.Rotate(20, border_mode=cv2.BORDER_REPLICATE, p=1), face, seed)
    degrees = np.degrees(np.arctan2(drawn["matrix"][0, 1], drawn["matrix"][0, 0]))
    difference = np.abs(rotate(face, degrees).astype(int) - theirs)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("make", [albumentations.MotionBlur, albumentations.GaussianBlur])
def test_blurs_are_those_of_albumentations(face, make):
    for seed in range(20):
        theirs, drawn = apply_alone(make(p=1), face, seed)
        assert np.array_equal(blur(face, drawn["kernel"]), theirs)


def test_gaussian_kernels_are_those_of_albumentations():
    from albumentations.augmentations.blur.functional import create_gaussian_kernel_1d

    for sigma in np.linspace(0.5, 3.0, 50):
        assert np.allclose(build_gaussian_kernel(sigma), create_gaussian_kernel_1d(sigma, 0))


def test_motion_kernels_are_those_of_albumentations():
    from albumentations.augmentations.blur.functional import create_motion_kernel

    class Shift:
        def __init__(self, values):
            self.values = list(values)

        def uniform(self, _low, _high):
            return self.values.pop(0)

    rng = np.random.default_rng(7)
    for _ in range(500):
        size, degrees, bias = int(rng.choice([3, 5, 7])), rng.uniform(0, 360), rng.uniform(-1, 1)
        shift = tuple(rng.uniform(-1, 1, 2))
        theirs = create_motion_kernel(size, degrees, bias, True, Shift(shift))  # type: ignore[arg-type] - a stand-in
        assert np.allclose(build_motion_kernel(size, degrees=degrees, bias=bias, shift=shift), theirs / theirs.sum())


@pytest.mark.parametrize("share", [0.2, 0.3, 0.44])
def test_noise_is_distributed_as_that_of_albumentations(share):
    grey = np.full((256, 256, 3), 128, np.uint8)
    theirs, _ = apply_alone(albumentations.GaussNoise((share, share), p=1), grey, 1)
    ours = add_noise(grey, Noise(deviation=255 * share, seed=1))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.3)
    assert ours.std() == pytest.approx(theirs.std(), abs=0.3)
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > LEVEL


def test_noise_differs_between_channels_and_pixels():
    noise = add_noise(np.full((64, 64, 3), 128, np.uint8), Noise(deviation=20, seed=4)).astype(float).reshape(-1, 3)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.05
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 0.05


def test_contrast_brightness_and_angle_are_distributed_as_by_albumentations(drawn, reference):
    tones = [draw["RandomBrightnessContrast"] for draw in reference]
    turns = [draw["Rotate"]["matrix"] for draw in reference]
    pairs = {
        "contrast": ([c.contrast for c in drawn], [t["alpha"] for t in tones]),
        "brightness": ([c.brightness for c in drawn], [t["beta"] for t in tones]),
        "angle": ([c.degrees for c in drawn], [np.degrees(np.arctan2(m[0, 1], m[0, 0])) for m in turns]),
    }
    for name, (ours, theirs) in pairs.items():
        assert stats.ks_2samp(ours, theirs).pvalue > LEVEL, name


def test_disturbances_are_distributed_as_by_albumentations(drawn, reference):
    def pick(name, key):
        return [draw[name][key] for draw in reference if name in draw]

    kernels = [c.kernel for c in drawn if c.kernel is not None]
    motion, soft = [k for k in kernels if k.ndim == 2], [k for k in kernels if k.ndim == 1]
    pairs = {
        "deviation": (
            [c.noise.deviation for c in drawn if c.noise],
            [m.std() for m in pick("GaussNoise", "noise_map")],
        ),
        "sigma": ([k.max() for k in soft], [k.max() for k in pick("GaussianBlur", "kernel")]),
        "length": ([len(k) for k in motion], [len(k) for k in pick("MotionBlur", "kernel")]),
        "points": ([(k > 0).sum() for k in motion], [(k > 0).sum() for k in pick("MotionBlur", "kernel")]),
        "dropped": ([len(c.dropped) for c in drawn if c.dropped is not None], count_dropped(reference)),
    }
    for name, (ours, theirs) in pairs.items():
        assert stats.ks_2samp(ours, theirs).pvalue > LEVEL, name


def count_dropped(reference):
    return [draw["PixelDropout"]["drop_mask"][..., 0].sum() for draw in reference if "PixelDropout" in draw]


def test_each_change_happens_as_often_as_by_albumentations(drawn, reference):
    ours = {
        "HorizontalFlip": sum(c.mirrored for c in drawn),
        "MotionBlur": sum(c.kernel is not None and c.kernel.ndim == 2 for c in drawn),
        "GaussianBlur": sum(c.kernel is not None and c.kernel.ndim == 1 for c in drawn),
        "GaussNoise": sum(c.noise is not None for c in drawn),
        "PixelDropout": sum(c.dropped is not None for c in drawn),
    }
    for name, count in ours.items():
        theirs = sum(name in draw for draw in reference)
        table = [[count, DRAWS - count], [theirs, DRAWS - theirs]]
        assert stats.fisher_exact(table).pvalue > LEVEL, name


def test_changes_are_drawn_independently_of_each_other(drawn):
    table = [
        [c.mirrored, c.contrast, c.brightness, c.kernel is not None, c.noise is not None, c.degrees] for c in drawn
    ]
    correlation = np.corrcoef(np.array(table, float).T)
    correlation[3, 4] = correlation[4, 3] = 0  # noise stands in place of a blur
    assert np.abs(correlation - np.eye(6)).max() < 0.08


def test_whole_images_are_distributed_as_by_albumentations(face):
    compose, recipe = build_default_compose(), build_recipe(None)
    compose.set_random_state(np.random.default_rng(9), random.Random(9))
    theirs = [compose(image=face)["image"] for _ in range(1000)]
    ours = [alter_image(face, recipe, seed=seed) for seed in range(1000)]
    measures = {
        "mean": np.mean,
        "deviation": np.std,
        "detail": lambda image: np.abs(np.diff(image.astype(int), axis=0)).mean(),
        "black": lambda image: (image.max(axis=2) == 0).mean(),
        "corner": lambda image: float(image[0, 0, 0]),
    }
    for name, measure in measures.items():
        assert stats.ks_2samp([measure(i) for i in ours], [measure(i) for i in theirs]).pvalue > LEVEL, name


def test_equal_seeds_give_equal_bytes_whatever_was_drawn_before(face):
    def digest(seeds):
        return [hashlib.sha256(encode_jpeg(alter_image(face, build_recipe(None), seed=s))).hexdigest() for s in seeds]

    forward = digest(range(60))
    cv2.setRNGSeed(99)
    assert digest(reversed(range(60))) == forward[::-1]
    assert len(set(forward)) == 60


def test_threads_of_opencv_change_no_byte():
    large = draw_face("anger", seed=1, side_px=512)
    before = cv2.getNumThreads()
    try:
        images = []
        for count in (1, 4):
            cv2.setNumThreads(count)
            images.append([alter_image(large, build_recipe(None), seed=seed) for seed in range(24)])
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(one, four) for one, four in zip(*images, strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 7, 3), (50, 31, 3), (31, 200, 3)])
def test_images_of_any_shape_keep_it_and_are_left_as_they_are(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    pixels.flags.writeable = False
    for seed in range(40):
        altered = apply_changes(pixels, draw_changes(seed, pixel_count=shape[0] * shape[1]))
        assert (altered.shape, altered.dtype) == (shape, np.uint8)
