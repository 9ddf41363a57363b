"""The command line: `affect run` and each step by hand, the embedded demo and UIs, and predictions."""

import difflib
import logging
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pydantic import AliasChoices, BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UsageError

from affect_tasks.errors import AffectError, ParameterError
from affect_tasks.params import RunParams, describe_fault
from affect_tasks.pipeline_commands import Pipeline
from affect_tasks.settings import Settings, read_settings

_COPY = "Copy the files instead of linking them; links take no space and are one with their sources."


class _Step(BaseModel):
    run: CliPositionalArg[str] = Field(description="Key of the run, as `affect check` printed it.")


class Check(RunParams):
    """Check parameters, images and services, and open a run."""

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.check(self.model_dump(), name=name_run(), settings=read_settings()))


class Ingest(_Step):
    """Read every image once and store it."""

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(steps.ingest(self.run, settings=read_settings()))


class Relabel(BaseModel):
    """Give every image the label that labels.csv says: of a folder, or of a run.

    With a folder and --output-path, the images are written as a folder tree. With a run's key and the key that
    `affect ingest` printed, it is the run's step.
    """

    path: CliPositionalArg[str] = Field(description="Folder with train/<class>/ or <class>/; or a run's key.")
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
            raise ParameterError("To relabel a folder is to write another; `--output-path` is missing. Name a folder.")
        done = steps.relabel_tree(
            Path(self.path), output_path=self.output_path, labels_csv=self.labels_csv, copy=self.copy_files
        )
        print(done.folder)


class Datasplit(BaseModel):
    """Split a folder of images into train/<class>/ and test/<class>/, with train.csv and test.csv.

    Without --output-path the folder itself is rewritten, in one step: a kill leaves the old tree or the new one.
    """

    path: CliPositionalArg[Path] = Field(description="Folder with train/<class>/ or <class>/.")
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
    copy_files: bool = Field(default=False, validation_alias="copy", description=_COPY)
    unreadable_fraction: float = Field(default=0.05, ge=0, lt=1, description="Tolerated share of unreadable files.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        read_settings()  # sets the libraries' defaults
        done = steps.split_tree(**self.model_dump(exclude={"copy_files"}), copy=self.copy_files)
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


class Run(RunParams):
    """Run all steps here, one after another, without Airflow."""

    def cli_cmd(self) -> None:
        from affect_tasks.report import read_outcome

        settings = read_settings()
        print(read_outcome(run_steps(self, settings=settings), settings=settings))


class Demo(RunParams):
    """Run the DAG through Airflow on embedded parts: SQLite, local files, no server."""

    def cli_cmd(self) -> None:
        from affect_tasks.embedded import run_demo

        run_demo(self, settings=read_settings())


class Ui(BaseModel):
    """Open the Airflow and MLflow UIs on 127.0.0.1; Ctrl-C ends them."""

    def cli_cmd(self) -> None:
        from affect_tasks.embedded import serve_uis

        serve_uis(settings=read_settings())


class Predict(BaseModel):
    """Ask the champion what a picture shows."""

    image: CliPositionalArg[Path] = Field(description="An image file.")
    model_name: str = Field(default="affect", description="The registered model.")

    def cli_cmd(self) -> None:
        from affect_tasks.report import predict_image

        print(predict_image(self.image, model_name=self.model_name, settings=read_settings()))


class DemoFaces(BaseModel):
    """Draw the demo data set into a folder."""

    folder: CliPositionalArg[Path] = Field(description="Folder to make.")
    count: int = Field(default=1600, ge=80, le=1_000_000, description="Number of faces.")
    seed: int = Field(default=27, ge=0, description="Equal seeds draw equal faces.")

    def cli_cmd(self) -> None:
        from affect_tasks.data.faces import write_demo_faces

        done = write_demo_faces(self.folder, count=self.count, seed=self.seed)
        print(f"{done.images} faces in {done.folder}, {done.wrong_folders} of them in a wrong folder on purpose")


class Affect(BaseSettings):
    """Train, compare and promote image classifiers."""

    model_config = SettingsConfigDict(
        cli_prog_name="affect",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
    )

    run: CliSubCommand[Run]
    demo: CliSubCommand[Demo]
    ui: CliSubCommand[Ui]
    predict: CliSubCommand[Predict]
    demo_faces: CliSubCommand[DemoFaces]
    pipeline: CliSubCommand[Pipeline]
    check: CliSubCommand[Check]
    ingest: CliSubCommand[Ingest]
    relabel: CliSubCommand[Relabel]
    datasplit: CliSubCommand[Datasplit]
    split: CliSubCommand[Split]
    augment: CliSubCommand[Augment]
    floor: CliSubCommand[Floor]
    train: CliSubCommand[Train]
    evaluate: CliSubCommand[Evaluate]
    register_: CliSubCommand[Register] = Field(alias="register")

    def cli_cmd(self) -> None:
        CliApp.run_subcommand(self)


def run_steps(params: RunParams, *, settings: Settings) -> str:
    """Run all steps in order, as the DAG does; return the key of the outcome."""
    from affect_tasks import steps

    run = steps.check(params.model_dump(), name=name_run(), settings=settings)
    ingested = steps.ingest(run, settings=settings)
    divided = steps.split(run, steps.relabel(run, ingested, settings=settings), settings=settings)
    augmented = steps.augment(run, divided, settings=settings)
    floor = steps.measure_floor(run, augmented, settings=settings)
    trained = [
        steps.train(run, augmented, network, settings=settings) for network in steps.plan(run, settings=settings)
    ]
    scores = [steps.evaluate(run, key, settings=settings) for key in trained]
    return steps.register(run, floor, scores, settings=settings)


def name_run() -> str:
    """Name a run by the moment it begins."""
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    An error that a user can mend is one message and no traceback: exit status 2 where the command was typed
    wrongly, 1 otherwise.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("affect_tasks").setLevel(logging.INFO)
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        CliApp.run(Affect, cli_args=typed, cli_exit_on_error=False)
    except AffectError as error:
        sys.exit(f"affect: {error}")
    except UsageError as error:
        _refuse(describe_usage(str(error), typed))
    except ValidationError as error:
        # A fault's place begins with the command, which says nothing here.
        _refuse("\n".join(describe_fault({**fault, "loc": fault["loc"][1:]}) for fault in error.errors()))
    except KeyboardInterrupt:
        sys.exit("affect: interrupted. What is finished is kept; run it again to go on.")


def describe_usage(rule: str, typed: Sequence[str]) -> str:
    """Turn what the parser says of a wrong command or option into a sentence that ends with the remedy."""
    rule = re.sub(r"^error parsing CLI: (argument \{.*?\}: )?", "", rule).splitlines()[0]
    commands = [(field.alias or name).replace("_", "-") for name, field in Affect.model_fields.items()]
    known = [*(f"--{name.replace('_', '-')}" for name in RunParams.model_fields), *commands]
    wrong = [word for word in (word.split("=")[0] for word in typed) if word in rule and word not in known]
    close = [match for word in wrong for match in difflib.get_close_matches(word, known, n=1)]
    command = typed[0] if typed[0] in commands else ""
    remedy = f"Did you mean `{close[0]}`? " if close else ""
    return f"{rule}. {remedy}Ask `affect {command} --help`.".replace("  ", " ")


def _refuse(message: str) -> NoReturn:
    print(f"affect: {message}", file=sys.stderr)
    sys.exit(2)
