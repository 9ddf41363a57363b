"""The baselines: the plain way to do the same work, restated here in its smallest faithful form.

One process; a one-row DataFrame and a `pd.concat` per image; `shutil.copy` of every file into a folder that is
made when it is first needed; equal names overwrite each other; one Albumentations call per altered copy.
"""

import random
import shutil
from pathlib import Path

import cv2
import pandas as pd


def relabel(data: Path, out: Path) -> int:
    """Copy every listed image into its label's folder; return how many files are there in the end."""
    labels = pd.read_csv(data / "labels.csv", index_col=0)
    frame = pd.DataFrame(columns=["pth", "label"])
    for _, row in labels.iterrows():
        source = data / "train" / row["pth"]
        if not source.exists():
            continue
        folder = out / "train" / row["label"]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / source.name)
        line = pd.DataFrame({"pth": [f"{row['label']}/{source.name}"], "label": [row["label"]]})
        frame = pd.concat([frame, line], ignore_index=True)
    frame.to_csv(out / "labels.csv")
    return sum(1 for _ in (out / "train").rglob("*.*"))


def split(data: Path, out: Path, *, balance: bool = False) -> int:
    """Copy every image into its split's and label's folder, and fill up the training classes if asked to."""
    frame = pd.DataFrame(columns=["filename", "label"])
    for path in sorted((data / "train").rglob("*.*")):
        line = pd.DataFrame({"filename": [str(path)], "label": [path.parent.name]})
        frame = pd.concat([frame, line], ignore_index=True)
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "test": []}
    for _, images in frame.groupby("label"):
        train = images.sample(frac=0.8, random_state=27)
        parts["train"].append(train)
        parts["test"].append(images.drop(train.index))
    written = 0
    for name, frames in parts.items():
        largest = max(len(images) for images in frames)
        listed = pd.DataFrame(columns=["filename", "label"])
        for images in frames:
            listed = _write_class(images, out / name, listed, fill_to=largest if balance else len(images))
        listed.to_csv(out / f"{name}.csv")
        written += len(listed)
    return written


def _write_class(images: pd.DataFrame, folder: Path, listed: pd.DataFrame, *, fill_to: int) -> pd.DataFrame:
    for _, row in images.iterrows():
        source = Path(row["filename"])
        (folder / row["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / row["label"] / source.name)
        line = pd.DataFrame({"filename": [source.name], "label": [row["label"]]})
        listed = pd.concat([listed, line], ignore_index=True)
    rows = images.to_dict("records")
    draw = random.Random(27)  # noqa: S311 - no secret
    for number in range(fill_to - len(images)):
        row = draw.choice(rows)
        name = f"{Path(row['filename']).stem}_{number}.jpg"
        pixels = cv2.cvtColor(cv2.imread(row["filename"]), cv2.COLOR_BGR2RGB)
        changed = _build_recipe()(image=pixels)["image"]
        cv2.imwrite(str(folder / row["label"] / name), cv2.cvtColor(changed, cv2.COLOR_RGB2BGR))
        line = pd.DataFrame({"filename": [name], "label": [row["label"]]})
        listed = pd.concat([listed, line], ignore_index=True)
    return listed


_recipes: list = []


def _build_recipe():  # noqa: ANN202 - Albumentations has no types
    if not _recipes:
        import albumentations as a

        noise = a.OneOf([a.MotionBlur(p=1.0), a.GaussNoise(p=1.0), a.GaussianBlur(p=1.0)], p=0.5)
        light = a.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1.0)
        turn = a.Rotate(limit=20, border_mode=cv2.BORDER_REPLICATE, p=1.0)
        _recipes.append(a.Compose([a.HorizontalFlip(p=0.5), light, noise, a.PixelDropout(p=0.25), turn]))
    return _recipes[0]
