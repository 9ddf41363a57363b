"""The demo data: drawn faces in the layout of the Kaggle data set, some of them in a wrong folder.

About 1,600 faces take a few seconds. The image of an index follows from the seed and the index alone, so a
larger data set begins with the smaller one's images.
"""

import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from affect_tasks.data.drawing.looks import AFFECTS, sample_expression, sample_look, sample_view
from affect_tasks.data.drawing.portrait import Image, draw_portrait
from affect_tasks.errors import InputError, ParameterError, StorageError

# One round of images holds each affect this often: mildly unbalanced, as collections of faces are.
_PER_ROUND: Final = {
    "anger": 5, "contempt": 4, "disgust": 4, "fear": 5, "happy": 6, "neutral": 6, "sad": 5, "surprise": 5,
}  # fmt: skip
_ROUND: Final = tuple(affect for affect, times in _PER_ROUND.items() for _ in range(times))
_REPEAT_EVERY, _REPEAT_BACK = 160, 75
_PNG_EVERY = 4
_JPEG_QUALITY = 92
_RECORD = "faces.json"
# Raise it when the drawing changes: it tells an older folder from one that this code would write.
_VERSION = 1


@dataclass(frozen=True)
class DemoFaces:
    """A written demo data set: its folder, how many images it holds and how many lie in a wrong class folder."""

    folder: Path
    images: int
    wrong_folders: int


@dataclass(frozen=True)
class _Order:
    """What was asked for; kept beside the images, so that a finished folder is known again."""

    version: int
    count: int
    seed: int
    side_px: int
    wrong_folder_fraction: float


@dataclass(frozen=True)
class _File:
    """One image to write: where, what it shows, and which index's image it holds."""

    path: str
    affect: str
    source: int
    misplaced: bool


def write_demo_faces(
    folder: Path, *, count: int = 1600, seed: int = 27, side_px: int = 96, wrong_folder_fraction: float = 0.10
) -> DemoFaces:
    """Write drawn faces to `train/<class>/` and their labels to `labels.csv`, or find them written.

    One image in 160 repeats an earlier one byte for byte. Everything is written aside and then renamed: the
    folder is there whole or not at all.

    Args:
        folder: Where the data set goes; missing, empty, or written by an equal call before.
        count: How many images.
        seed: Of everything drawn.
        side_px: Height and width of the images, in pixels.
        wrong_folder_fraction: Share of the images that lie in another class's folder than `labels.csv` says.

    Raises:
        ParameterError: A number is out of its bounds.
        InputError: The folder holds something else.
        StorageError: The folder cannot be written.
    """
    _check_numbers(count, side_px, wrong_folder_fraction)
    order = _Order(_VERSION, count, seed, side_px, wrong_folder_fraction)
    files = list(_plan_files(order))
    try:
        if not _is_written(folder, order):
            _write_whole(folder, order, files)
    except OSError as error:
        msg = f"The demo faces need a folder that can be written; {folder}: {error.strerror or error}. Name another."
        raise StorageError(msg) from error
    return DemoFaces(folder, count, sum(file.misplaced for file in files))


def draw_face(affect: str, *, seed: int, side_px: int) -> Image:
    """Draw one face.

    Args:
        affect: One of the eight affects, `happy` say.
        seed: Of the person, how the affect shows, pose, light and background.
        side_px: Height and width of the result, in pixels.

    Returns:
        RGB array of shape (side_px, side_px, 3), uint8.
    """
    _check_affect(affect)
    rng = np.random.default_rng(seed)
    look, expression, view = sample_look(rng), sample_expression(affect, rng), sample_view(rng)
    return draw_portrait(look, expression, view, seed=seed, side_px=side_px)


def draw_sheet(*, rows: int, seed: int, side_px: int) -> Image:
    """Draw a table of faces for people to look at: one captioned column per affect.

    Returns:
        RGB array, uint8, 8 columns wide; one strip of captions above `rows` rows of faces.
    """
    gap, strip = max(side_px // 24, 2), max(side_px // 4, 16)
    step = side_px + gap
    sheet = np.full((strip + rows * step, len(AFFECTS) * step + gap, 3), 255, dtype=np.uint8)
    for column, affect in enumerate(AFFECTS):
        left = gap + column * step
        _write_caption(sheet, affect, centre=left + side_px // 2, baseline=round(strip * 0.72), height=strip * 0.42)
        for row in range(rows):
            face = draw_face(affect, seed=seed + row * len(AFFECTS) + column, side_px=side_px)
            sheet[strip + row * step :][:side_px, left : left + side_px] = face
    return sheet


def _write_caption(sheet: Image, text: str, *, centre: int, baseline: int, height: float) -> None:
    font = cv2.FONT_HERSHEY_DUPLEX
    size = height / 22
    (width, _), _ = cv2.getTextSize(text, font, size, 1)
    cv2.putText(sheet, text, (centre - width // 2, baseline), font, size, (52, 48, 60), 1, cv2.LINE_AA)


def _plan_files(order: _Order) -> Iterator[_File]:
    for index in range(order.count):
        repeats = index % _REPEAT_EVERY == _REPEAT_EVERY - 1
        source = index - _REPEAT_BACK if repeats else index
        affect = _choose_affect(source, order.seed)
        misplaced = _passes_whole(index, order.wrong_folder_fraction)
        class_folder = _choose_other(affect, index, order.seed) if misplaced else affect
        ending = "png" if source % _PNG_EVERY == 0 else "jpg"
        yield _File(f"{class_folder}/face_{index:05d}.{ending}", affect, source, misplaced)


def _choose_affect(index: int, seed: int) -> str:
    turn, place = divmod(index, len(_ROUND))
    return _ROUND[np.random.default_rng([seed, turn]).permutation(len(_ROUND))[place]]


def _passes_whole(index: int, fraction: float) -> bool:
    """Tell whether the running total of the fraction passes a whole number here: spread evenly, exact in number."""
    return int((index + 1) * fraction + 1e-9) > int(index * fraction + 1e-9)


def _choose_other(affect: str, index: int, seed: int) -> str:
    others = [other for other in AFFECTS if other != affect]
    return others[int(np.random.default_rng([seed, index, 1]).integers(len(others)))]


def _write_whole(folder: Path, order: _Order, files: list[_File]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as aside:
        whole = Path(aside) / folder.name
        _write_files(whole, order, files)
        try:
            whole.rename(folder)
        except OSError:
            # Another call may have finished first; its images are the same.
            if not _is_written(folder, order):
                raise


def _write_files(folder: Path, order: _Order, files: list[_File]) -> None:
    for affect in AFFECTS:
        (folder / "train" / affect).mkdir(parents=True)
    table = io.StringIO()
    table.write(",pth,label,relFCs\n")
    for row, file in enumerate(files):
        face = draw_face(file.affect, seed=_seed_face(order.seed, file.source), side_px=order.side_px)
        (folder / "train" / file.path).write_bytes(_encode(face, file.path))
        table.write(f"{row},{file.path},{file.affect},{_measure_colour(face):.6f}\n")
    (folder / "labels.csv").write_text(table.getvalue(), encoding="utf-8")
    (folder / _RECORD).write_text(json.dumps(asdict(order), indent=1) + "\n", encoding="utf-8")


def _seed_face(seed: int, index: int) -> int:
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def _encode(face: Image, path: str) -> bytes:
    ending = Path(path).suffix
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if ending == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    return cv2.imencode(ending, cv2.cvtColor(face, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _measure_colour(face: Image) -> float:
    """Return the share of the colours' variance that lies along their first principal component."""
    variances = np.linalg.eigvalsh(np.cov(face.reshape(-1, 3)[::7].T))
    return float(variances[-1] / max(variances.sum(), 1e-9))


def _is_written(folder: Path, order: _Order) -> bool:
    record = folder / _RECORD
    if record.is_file():
        if record.read_text(encoding="utf-8") == json.dumps(asdict(order), indent=1) + "\n":
            return True
        msg = f"A folder holds one set of demo faces; {folder} was written otherwise. Remove it or name another."
        raise InputError(msg)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"Demo faces go to a new or empty folder; {folder} holds something else. Name another folder.")
    return False


def _check_affect(affect: str) -> None:
    if affect not in AFFECTS:
        raise ParameterError(f"An affect is one of {', '.join(AFFECTS)}; got {affect!r}. Choose one of them.")


def _check_numbers(count: int, side_px: int, wrong_folder_fraction: float) -> None:
    if count < len(_ROUND):
        raise ParameterError(f"A demo needs {len(_ROUND)} faces or more, to show every affect; got {count}. Raise it.")
    if not 16 <= side_px <= 1024:
        raise ParameterError(f"A drawn face is 16 to 1024 pixels wide; got {side_px}. Choose a side between.")
    if not 0.0 <= wrong_folder_fraction < 1.0:
        raise ParameterError(
            f"The share in a wrong folder lies from 0 to below 1; got {wrong_folder_fraction}. Choose one between."
        )
