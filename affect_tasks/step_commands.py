"""The commands that are one step each: of a run by its key, or of a folder, `relabel` and `datasplit`."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field
from pydantic_settings import CliPositionalArg

from affect_tasks.errors import ParameterError
from affect_tasks.params import RunParams, is_path
from affect_tasks.settings import Settings, read_settings

_COPY = "Copy the files instead of linking them; links take no space and are one with their sources."
_SOURCE = "a folder with train/<class>/ or <class>/, a zip or tar of one, s3://bucket/prefix, kaggle:owner/dataset."


class _Step(BaseModel):
    run: CliPositionalArg[str] = Field(description="Key of the run, as `affect check` printed it.")


class Check(RunParams):
    """Check parameters, images and services, and open a run."""

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.check(self.model_dump(), name=name_run(), settings=read_settings()))


class Ingest(BaseModel):
    """Read every image once and store it: of a run, or of the images that you name.

    With a run's key it is the run's step. With images it opens a run on them, whose other parameters keep their
    defaults (`affect check` sets them), tells the images of each class and what was set aside and why, and prints the
    two keys that the next step takes: `affect relabel $(affect ingest faces.zip)`.
    """

    source: CliPositionalArg[str] = Field(description=f"Key of the run, as `affect check` printed it; or {_SOURCE}")

    def cli_cmd(self) -> None:
        from affect_tasks import steps
        from affect_tasks.report import read_ingested

        settings = read_settings()
        if re.fullmatch(r"runs/[^/]+/run\.json", self.source):
            print(steps.ingest(self.source, settings=settings))
            return
        run = steps.check({"data": self.source}, name=name_run(), settings=settings)
        ingested = steps.ingest(run, settings=settings)
        print(read_ingested(ingested, settings=settings), file=sys.stderr)
        print(run, ingested)


class Relabel(BaseModel):
    """Give every image the label that labels.csv says: of the images that you name, or of a run.

    With images and --output-path, they are written as a folder tree. With a run's key and the key that
    `affect ingest` printed, it is the run's step.
    """

    path: CliPositionalArg[str] = Field(description=f"A run's key; or {_SOURCE}")
    ingested: CliPositionalArg[str | None] = Field(default=None, description="Key that `affect ingest` printed.")
    output_path: Path | None = Field(default=None, description="Folder to make; it may exist if it is empty.")
    labels_csv: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("labels-csv", "label-csv"),
        description="CSV with the columns `pth` and `label`; by default labels.csv in the folder.",
    )
    copy_files: bool = Field(default=False, validation_alias="copy", description=_COPY)

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        if self.ingested is not None:
            print(steps.relabel(self.path, self.ingested, settings=read_settings()))
            return
        if self.output_path is None:
            raise ParameterError("To relabel images is to write another folder; `--output-path` is missing. Name one.")
        folder = _find_folder(self.path, settings=read_settings())
        done = steps.relabel_tree(
            folder,
            output_path=self.output_path,
            labels_csv=self.labels_csv,
            copy=self.copy_files or _is_import(folder, self.path),
        )
        print(done.folder)


class Datasplit(BaseModel):
    """Split a folder of images into train/<class>/ and test/<class>/, with train.csv and test.csv.

    Without --output-path the folder itself is rewritten, in one step: a kill leaves the old tree or the new one.
    """

    path: CliPositionalArg[str] = Field(description=f"Images: {_SOURCE}")
    output_path: Path | None = Field(
        default=None, description="Folder to make; it may exist if it is empty or holds one empty `train`."
    )
    balance_train: bool = Field(
        default=False, description="Fill the classes of the training split up to its largest with altered copies."
    )
    balance_test: bool = Field(
        default=False, description="The same for the test split; scores are then partly of altered images."
    )
    train_split: float = Field(default=0.8, gt=0, lt=1, description="Share of each class that is not for testing.")
    validation_split: float = Field(
        default=0.0, ge=0, lt=1, description="Share of each class for validation/, taken from the training share."
    )
    seed: int = Field(default=27, ge=0, lt=2**31, description="Equal seeds split and alter equally.")
    label_col: str = Field(default="label", description="Name of the CSV files' column of labels.")
    filename_col: str = Field(default="filename", description="Name of the CSV files' column of paths.")
    global_multiplier: float = Field(
        default=1.0, ge=1, le=20, description="With balancing: fill up to this multiple of the largest class."
    )
    pipeline_yaml: Path | None = Field(
        default=None, description="A recipe that Albumentations saved as YAML, instead of the default one."
    )
    workers: int | None = Field(
        default=None, ge=1, le=256, description="Processes that draw copies; by default one a core."
    )
    group_near_duplicates: bool = Field(
        default=True, description="Keep images that look alike in one split; equal files always are."
    )
    group_col: str | None = Field(
        default=None, description="Column of labels.csv that names the subject; one subject's images stay together."
    )
    group_pattern: str | None = Field(
        default=None, description="Instead, a regular expression (RE2) over an image's path that names the subject."
    )
    copy_files: bool = Field(default=False, validation_alias="copy", description=_COPY)
    unreadable_fraction: float = Field(default=0.05, ge=0, lt=1, description="Tolerated share of unreadable files.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        folder = _find_folder(self.path, in_place=self.output_path is None, settings=read_settings())
        chosen = self.model_dump(exclude={"copy_files", "path"})
        done = steps.split_tree(folder, **chosen, copy=self.copy_files or _is_import(folder, self.path))
        print(done.folder)


class Split(_Step):
    """Assign every image to train, validation or test."""

    relabelled: CliPositionalArg[str] = Field(description="Key that `affect relabel` printed.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.split(self.run, self.relabelled, settings=read_settings()))


class Augment(_Step):
    """Fill small classes of the training split with altered copies."""

    divided: CliPositionalArg[str] = Field(description="Key that `affect split` printed.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.augment(self.run, self.divided, settings=read_settings()))


class Floor(_Step):
    """Score HOG features with logistic regression."""

    augmented: CliPositionalArg[str] = Field(description="Key that `affect augment` printed.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.measure_floor(self.run, self.augmented, settings=read_settings()))


class Train(_Step):
    """Train one network."""

    augmented: CliPositionalArg[str] = Field(description="Key that `affect augment` printed.")
    network: CliPositionalArg[str] = Field(description="Name of the network, resnet18 say.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.train(self.run, self.augmented, self.network, settings=read_settings()))


class Evaluate(_Step):
    """Score a trained network on validation and test."""

    trained: CliPositionalArg[str] = Field(description="Key that `affect train` printed.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.evaluate(self.run, self.trained, settings=read_settings()))


class Register(_Step):
    """Register the best network and decide whether it becomes champion."""

    floor: CliPositionalArg[str] = Field(description="Key that `affect floor` printed.")
    scores: CliPositionalArg[list[str]] = Field(description="Keys that `affect evaluate` printed.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.register(self.run, self.floor, self.scores, settings=read_settings()))


def name_run() -> str:
    """Name a run by the moment it begins."""
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def _find_folder(path: str, *, settings: Settings, in_place: bool = False) -> Path:
    """Return the folder of the images that a person named; a folder of that name comes before all else."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if in_place and (folder.is_file() or not is_path(path)):
        raise ParameterError(f"Only a folder is rewritten in place; {path} is none. Name one by `--output-path`.")
    from affect_tasks.sources import open_source

    return open_source(path, settings=settings)


def _is_import(folder: Path, path: str) -> bool:
    """Tell whether the images were imported: links to those files would let other tools change them."""
    return folder != Path(path).expanduser()
