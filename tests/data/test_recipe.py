import hashlib
import io
import pickle

import cv2
import numpy as np
import pytest

from affect_tasks.data.allowed_transforms import TRANSFORMS
from affect_tasks.data.faces import draw_face
from affect_tasks.data.recipe import (
    Recipe,
    alter_image,
    build_default_compose,
    build_recipe,
    describe_recipe,
    dump_default_recipe,
    load_recipe,
    read_recipe,
)
from affect_tasks.data.recipe_document import MAX_BYTES, load_document
from affect_tasks.errors import RecipeError

albumentations = pytest.importorskip("albumentations")

SIZES = {
    "CenterCrop": {"height": 40, "width": 50},
    "LongestMaxSize": {"max_size": 64},
    "PadIfNeeded": {"min_height": 128, "min_width": 128},
    "RandomCrop": {"height": 40, "width": 50},
    "RandomResizedCrop": {"size": (40, 50)},
    "RandomSizedCrop": {"min_max_height": (30, 60), "size": (40, 50)},
    "Resize": {"height": 40, "width": 50},
}


@pytest.fixture(scope="module")
def face():
    return draw_face("fear", seed=8, side_px=96)


def save(compose, *, data_format="yaml"):
    text = io.StringIO()
    albumentations.save(compose, text, data_format=data_format)
    return text.getvalue().encode()


def digest(pixels):
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def test_the_example_gives_the_default_recipe():
    assert load_recipe(dump_default_recipe()) == build_recipe(None) == Recipe()


@pytest.mark.parametrize("data_format", ["yaml", "json"])
@pytest.mark.filterwarnings("ignore:ShiftScaleRotate")
@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_each_allowed_transform_survives_saving_and_draws_by_its_seed_alone(face, name, data_format):
    before = albumentations.Compose([getattr(albumentations, name)(p=1.0, **SIZES.get(name, {}))])
    data = save(before, data_format=data_format)
    recipe = load_recipe(data)
    assert load_document(save(recipe.compose)) == load_document(data)
    first = [digest(alter_image(face, recipe, seed=seed)) for seed in range(4)]
    cv2.setRNGSeed(77)
    again = [digest(alter_image(face, build_recipe(data), seed=seed)) for seed in (3, 2, 1, 0)]
    assert first == again[::-1]


@pytest.mark.parametrize("make", [albumentations.OneOf, albumentations.SomeOf, albumentations.RandomOrder])
def test_compositions_draw_by_their_seed_alone(face, make):
    inner = [albumentations.Transpose(p=0.5), albumentations.Blur(p=0.7), albumentations.GaussNoise(p=0.5)]
    data = save(albumentations.Compose([make(inner, p=0.8), albumentations.Sequential(inner, p=0.5)]))
    one, other = load_recipe(data), load_recipe(data)
    forward = [digest(alter_image(face, one, seed=seed)) for seed in range(30)]
    assert forward == [digest(alter_image(face, other, seed=seed)) for seed in reversed(range(30))][::-1]
    assert len(set(forward)) > 10


def test_changes_of_a_users_recipe_are_drawn_independently_of_each_other(face):
    flips = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]
    recipe = load_recipe(save(albumentations.Compose(flips)))
    seen = {digest(alter_image(face, recipe, seed=seed)) for seed in range(40)}
    assert seen == {digest(np.ascontiguousarray(view)) for view in (face, face[:, ::-1], face[::-1], face[::-1, ::-1])}


def test_the_default_recipe_is_told_from_an_edited_one(face):
    edited = load_recipe(dump_default_recipe().replace(b"dropout_prob: 0.01", b"dropout_prob: 0.02"))
    assert edited.compose is not None
    assert alter_image(face, edited, seed=1).shape == face.shape


def test_a_recipe_goes_to_other_processes_as_its_bytes(face):
    description = pickle.loads(pickle.dumps(save(albumentations.Compose([albumentations.GaussNoise(p=1)]))))  # noqa: S301 - our own bytes
    images = [alter_image(face, build_recipe(description), seed=5) for _ in range(2)]
    assert np.array_equal(*images)


@pytest.mark.parametrize(
    "transform",
    [albumentations.RandomCrop(height=500, width=500), albumentations.XYMasking(num_masks_x=1, mask_x_length=500, p=1)],
)
def test_a_recipe_that_fails_on_an_image_says_so(face, transform):
    recipe = load_recipe(save(albumentations.Compose([transform])))
    with pytest.raises(RecipeError, match="96 x 96"):
        alter_image(face, recipe, seed=1)


def test_a_recipe_is_described_with_each_chance_and_value():
    lines = describe_recipe(dump_default_recipe()).splitlines()
    assert len(lines) == 1 + len(build_default_compose().transforms) + 3
    assert lines[1].strip() == "HorizontalFlip  p 0.5"
    assert "limit -20.0 to 20.0" in lines[-1]
    assert lines[-1].strip().startswith("Rotate  always")


def test_of_a_huge_file_no_more_is_read_than_shows_it(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"x" * 10 * 2**20)
    assert len(read_recipe(path)) == MAX_BYTES + 1
    with pytest.raises(RecipeError, match="readable file"):
        read_recipe(tmp_path / "none.yaml")
