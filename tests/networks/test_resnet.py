import numpy as np
import pytest

from affect_tasks.networks.resnet import DEPTHS, build_resnet
from affect_tasks.params import NETWORKS

PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name):
    model = build_resnet(name, side_px=32, class_count=1000, seed=1)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == PUBLISHED[name]
    assert model.output_shape == (None, 1000)


def test_the_form_offers_exactly_the_networks_there_are():
    assert tuple(DEPTHS) == NETWORKS


def test_outputs_are_probabilities_of_byte_images():
    model = build_resnet("resnet18", side_px=32, class_count=8, seed=1)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    probabilities = model.predict_on_batch(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
