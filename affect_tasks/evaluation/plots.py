"""Pictures of scores, as PNG bytes, in one style and in colours that colour-blind readers tell apart."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.typing import RcKeyType
from PIL import Image

from affect_tasks.evaluation.metrics import Interval, Scores

# Okabe & Ito, "Color Universal Design", 2008.
_BLUE = "#0072B2"
_ORANGE = "#D55E00"
_GREY = "#767676"
_INK = "#262626"
_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", "#9CC9E3", _BLUE, "#003A5C"])
_DOTS_PER_INCH = 130
_PALETTE = 128
_MOST_CLASSES_WITH_NUMBERS = 16
_STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": _INK,
    "text.parse_math": False,  # A class may be called "$$"; that is no formula.
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#B0B0B0",
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": "#B0B0B0",
    "ytick.color": "#B0B0B0",
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "legend.frameon": False,
}


class EpochFigures(Protocol):
    """What one epoch of training left behind."""

    @property
    def epoch(self) -> int:
        """Its number."""
        ...

    @property
    def loss(self) -> float:
        """On the training images."""
        ...

    @property
    def accuracy(self) -> float:
        """On the training images, 0 to 1."""
        ...

    @property
    def validation_loss(self) -> float:
        """On the validation images."""
        ...

    @property
    def validation_accuracy(self) -> float:
        """On the validation images, 0 to 1."""
        ...


@rc_context(_STYLE)
def plot_confusion(scores: Scores, class_names: Sequence[str], *, title: str) -> bytes:
    """Draw the confusion matrix: each row a true class, shaded by the share of its images.

    Args:
        scores: Scores of k classes.
        class_names: Their k labels, in the order of the rows.
        title: Heading of the picture.

    Returns:
        A PNG file. Up to 16 classes have shares and counts in the cells, more have a colour key.
    """
    counts = np.asarray(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    numbered = len(class_names) <= _MOST_CLASSES_WITH_NUMBERS
    side = min(2.6 + (0.6 if numbered else 0.18) * len(class_names), 14)
    figure = _new_figure(side + 0.5, side, title)
    axes = figure.subplots()
    shading = axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    if numbered:
        _write_cells(axes, counts, shares)
    else:
        _draw_key(figure, shading)
    places = np.arange(len(class_names))
    axes.set_xticks(places, class_names, rotation=40 if numbered else 90, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, class_names)
    axes.set_xticks(places[:-1] + 0.5, minor=True)
    axes.set_yticks(places[:-1] + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true")
    return _render(figure)


@rc_context(_STYLE)
def plot_history(history: Sequence[EpochFigures], *, title: str) -> bytes:
    """Draw loss and accuracy over the epochs, for training and for validation.

    Args:
        history: One item per epoch, in order, at least one.
        title: Heading of the picture.

    Returns:
        A PNG file.
    """
    figure = _new_figure(8, 3.4, title)
    losses, accuracies = figure.subplots(1, 2)
    _draw_curves(losses, [(item.epoch, item.loss, item.validation_loss) for item in history])
    _draw_curves(accuracies, [(item.epoch, item.accuracy, item.validation_accuracy) for item in history])
    losses.set(title="loss", xlabel="epoch")
    accuracies.set(title="accuracy", xlabel="epoch", ylim=(0, 1))
    accuracies.yaxis.set_major_formatter(PercentFormatter(1))
    losses.legend()
    return _render(figure)


@rc_context(_STYLE)
def plot_scores(rows: Sequence[tuple[str, Interval]], *, title: str, floor: Interval | None = None) -> bytes:
    """Draw each network's score with its interval, and the floor as a band behind them.

    Args:
        rows: Name and score, from 0 to 1, in the order from top to bottom.
        title: Heading of the picture.
        floor: The floor's score on the same images.

    Returns:
        A PNG file.
    """
    figure = _new_figure(7, 1.7 + 0.42 * len(rows), title)
    axes = figure.subplots()
    if floor is not None:
        axes.axvspan(floor.low, floor.high, color=_ORANGE, alpha=0.15, linewidth=0)
        axes.axvline(floor.value, color=_ORANGE, linestyle="--", label=f"floor {floor:.1%}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0.2, handlelength=1.5)
    for place, (_, score) in enumerate(rows):
        axes.plot([score.low, score.high], [place, place], color=_BLUE, linewidth=2)
        axes.plot(score.value, place, "o", color=_BLUE, markersize=6)
    axes.set_yticks(range(len(rows)), [f"{name}\n{score:.1%}" for name, score in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return _render(figure)


def _new_figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _render(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = io.BytesIO()
    opaque = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    # A palette makes the file a third, and loses nothing that the eye sees.
    Image.fromarray(opaque).quantize(_PALETTE).save(picture, "PNG", optimize=True)
    return picture.getvalue()


def _draw_key(figure: Figure, shading: AxesImage) -> None:
    bar = figure.colorbar(shading, shrink=0.6, format=PercentFormatter(1), label="share of the true class")
    bar.outline.set_visible(False)


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            share = shares[row, column]
            ink = "white" if share > 0.5 else _INK
            axes.text(column, row, f"{share:.0%}\n{count}", ha="center", va="center", color=ink, fontsize=9)


def _draw_curves(axes: Axes, points: list[tuple[int, float, float]]) -> None:
    epochs, training, validation = zip(*points, strict=True)
    axes.plot(epochs, training, color=_GREY, linestyle="--", marker="o", markersize=3.5, label="training")
    axes.plot(epochs, validation, color=_BLUE, marker="o", markersize=4.5, linewidth=2, label="validation")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.grid(axis="y")
