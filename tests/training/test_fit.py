from dataclasses import replace

import numpy as np
import pytest

from affect_tasks.errors import DivergedError
from affect_tasks.training.checkpoint import find_checkpoint
from affect_tasks.training.fit import load_trained, train_network
from affect_tasks.training.pipeline import LabelledPixels, alter_batch, draw_batches
from affect_tasks.training.predict import predict
from affect_tasks.training.recipe import Recipe

RECIPE = Recipe(
    epochs=3,
    batch_size=16,
    learning_rate=1e-3,
    weight_decay=0.01,
    label_smoothing=0.0,
    warmup_epochs=1,
    flip=True,
    shift_fraction=0.1,
    seed=27,
)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def images() -> LabelledPixels:
    random = np.random.default_rng(5)
    labels = np.arange(48) % 3
    pixels = (random.integers(0, 40, (48, 32, 32, 3)) + 70 * labels[:, None, None, None]).astype(np.uint8)
    return LabelledPixels(pixels, np.arange(48), labels)


def train(images, folder, *, on_epoch=lambda _score: None, recipe=RECIPE):
    return train_network(
        "resnet18",
        train=images,
        validation=images,
        class_count=3,
        recipe=recipe,
        folder=folder,
        on_epoch=on_epoch,
    )


def test_an_interrupted_training_ends_as_an_uninterrupted_one(images, tmp_path):
    whole = train(images, tmp_path / "whole")
    seen = []

    def stop_after_two(score):
        seen.append(score.epoch)
        if score.epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(images, tmp_path / "cut", on_epoch=stop_after_two)
    again = []
    resumed = train(images, tmp_path / "cut", on_epoch=lambda score: again.append(score.epoch))
    assert (seen, again, resumed.resumed_from_epoch) == ([1, 2], [1, 2, 3], 2)
    assert resumed.best_epoch == whole.best_epoch
    expected, found = (load_trained(done.model_path) for done in (whole, resumed))
    for left, right in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)
    assert whole.history[-1].accuracy > 0.6
    assert predict(found, images.pixels, batch_size=20).shape == (48, 3)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(images, tmp_path):
    train(images, tmp_path, recipe=replace(RECIPE, epochs=2))
    (tmp_path / "epoch-00002.keras").write_bytes(b"cut")
    found = find_checkpoint(tmp_path)
    assert found is not None
    assert found.epoch == 1
    (tmp_path / "epoch-00001.json").write_text("")
    assert find_checkpoint(tmp_path) is None


def test_a_loss_that_is_not_finite_stops_training(images, tmp_path):
    with pytest.raises(DivergedError, match="learning_rate"):
        train(images, tmp_path, recipe=replace(RECIPE, learning_rate=1e30, warmup_epochs=0))


def test_batches_depend_on_seed_and_epoch_alone(images):
    def first(epoch, seed=27):
        return next(draw_batches(images, class_count=3, recipe=replace(RECIPE, seed=seed), epoch=epoch))[0]

    assert np.array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    assert not np.array_equal(first(1), first(1, seed=28))


def test_an_epoch_shows_every_image_once(images):
    still = replace(RECIPE, flip=False, shift_fraction=0.0)
    shown = np.concatenate([pixels for pixels, _ in draw_batches(images, class_count=3, recipe=still, epoch=0)])
    assert {image.tobytes() for image in shown} == {image.tobytes() for image in images.pixels}


def test_flips_and_shifts_move_pixels_and_invent_none(images):
    moved = alter_batch(images.pixels[:1], recipe=RECIPE, random=np.random.default_rng(2))
    assert moved.shape == (1, 32, 32, 3)
    assert set(map(tuple, moved.reshape(-1, 3))) <= set(map(tuple, images.pixels[0].reshape(-1, 3)))
