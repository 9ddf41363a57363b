"""Residual networks: a table of depths, two blocks, one builder.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", 2015, table 1, in the form that became
usual since ("v1.5"): in a bottleneck the stride sits on the 3x3 convolution.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportFunctionMemberAccess=false, reportAssignmentType=false
# Keras annotates its own defaults, `str` where it takes an object say, so these rules mislead here.

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
from keras import layers

_Block = Callable[..., keras.KerasTensor]


def _basic(inputs: keras.KerasTensor, width: int, *, stride: int, seeds: Iterator[int], name: str) -> keras.KerasTensor:
    x = _convolve(inputs, width, 3, stride=stride, seeds=seeds, name=f"{name}_1")
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolve(x, width, 3, stride=1, seeds=seeds, name=f"{name}_2", last=True)
    return _join(inputs, x, width, stride=stride, seeds=seeds, name=name)


def _bottleneck(
    inputs: keras.KerasTensor, width: int, *, stride: int, seeds: Iterator[int], name: str
) -> keras.KerasTensor:
    x = _convolve(inputs, width, 1, stride=1, seeds=seeds, name=f"{name}_1")
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolve(x, width, 3, stride=stride, seeds=seeds, name=f"{name}_2")
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = _convolve(x, 4 * width, 1, stride=1, seeds=seeds, name=f"{name}_3", last=True)
    return _join(inputs, x, 4 * width, stride=stride, seeds=seeds, name=name)


@dataclass(frozen=True)
class Depth:
    """A row of the paper's table 1: the block, and how many stand in each of the four stages."""

    block: _Block
    stages: tuple[int, int, int, int]


DEPTHS = {
    "resnet18": Depth(_basic, (2, 2, 2, 2)),
    "resnet34": Depth(_basic, (3, 4, 6, 3)),
    "resnet50": Depth(_bottleneck, (3, 4, 6, 3)),
    "resnet101": Depth(_bottleneck, (3, 4, 23, 3)),
    "resnet152": Depth(_bottleneck, (3, 8, 36, 3)),
}


def build_resnet(name: str, *, side_px: int, class_count: int, seed: int) -> keras.Model:
    """Build one network with fresh weights.

    Args:
        name: A key of DEPTHS.
        side_px: Height and width of the input, in pixels.
        class_count: Number of outputs.
        seed: Of the initial weights.

    Returns:
        A model from (n, side_px, side_px, 3) RGB 0..255 of dtype uint8 to probabilities (n, class_count)
        float32. It is made of stock layers only, so it loads with `safe_mode=True`.
    """
    depth = DEPTHS[name]
    seeds = itertools.count(seed * 1000)
    inputs = keras.Input((side_px, side_px, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    x = _convolve(x, 64, 7, stride=2, seeds=seeds, name="stem")
    x = layers.Activation("relu", name="stem_relu")(x)
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, blocks in enumerate(depth.stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = depth.block(x, 64 * 2**stage, stride=stride, seeds=seeds, name=f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(class_count, kernel_initializer=_he(seeds), dtype="float32", name="logits")(x)
    outputs = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=name)


def _convolve(
    x: keras.KerasTensor,
    width: int,
    kernel: int,
    *,
    stride: int,
    seeds: Iterator[int],
    name: str,
    last: bool = False,
) -> keras.KerasTensor:
    if kernel > 1 and stride > 1:
        # Keras' "same" pads unevenly under a stride; the published networks pad evenly.
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        width,
        kernel,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer=_he(seeds),
        name=f"{name}_conv",
    )(x)
    # A block begins as the identity (Goyal et al. 2017, section 5.1).
    gamma = "zeros" if last else "ones"
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm")(x)


def _join(
    shortcut: keras.KerasTensor,
    x: keras.KerasTensor,
    width: int,
    *,
    stride: int,
    seeds: Iterator[int],
    name: str,
) -> keras.KerasTensor:
    if stride > 1 or shortcut.shape[-1] != width:
        shortcut = _convolve(shortcut, width, 1, stride=stride, seeds=seeds, name=f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _he(seeds: Iterator[int]) -> keras.Initializer:
    return keras.initializers.HeNormal(seed=next(seeds))
