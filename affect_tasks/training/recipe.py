"""How a network is trained: the choices that a run's parameters carry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """AdamW with linear warm-up and cosine decay, label smoothing, random flips and shifts."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    warmup_epochs: int
    flip: bool
    shift_fraction: float
    seed: int
