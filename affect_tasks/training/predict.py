"""Probabilities for many images, in batches of one fixed size."""

import keras
import numpy as np


def predict(model: keras.Model, pixels: np.ndarray, *, batch_size: int = 64) -> np.ndarray:
    """Return probabilities, (n, classes) float32.

    Args:
        model: From (n, side, side, 3) uint8 to probabilities.
        pixels: (n, side, side, 3) uint8; may be mapped from disk.
        batch_size: Images at once. The last batch is filled up, since another shape would be compiled anew.
    """
    parts: list[np.ndarray] = []
    for start in range(0, len(pixels), batch_size):
        batch = np.asarray(pixels[start : start + batch_size])
        missing = batch_size - len(batch)
        filled = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)]) if missing else batch
        parts.append(np.asarray(model.predict_on_batch(filled), dtype=np.float32)[: len(batch)])
    return np.concatenate(parts)
