"""The command line: `affect run` and each step by hand, the embedded demo and UIs, and predictions."""

import difflib
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UsageError

from affect_tasks.errors import AffectError
from affect_tasks.params import RunParams, describe_fault
from affect_tasks.pipeline_commands import Pipeline
from affect_tasks.settings import Settings, read_settings
from affect_tasks.step_commands import (
    Augment,
    Check,
    Datasplit,
    Evaluate,
    Floor,
    Ingest,
    Register,
    Relabel,
    Split,
    Train,
    name_run,
)
from affect_tasks.store_commands import CheckStore, PrepareStore


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


class Report(BaseModel):
    """Write what is known of a run's dataset version as one HTML page."""

    out: CliPositionalArg[Path] = Field(description="The HTML file to write.")
    run_name: str | None = Field(default=None, description="Name of the run; by default the latest.")

    def cli_cmd(self) -> None:
        from affect_tasks import steps

        print(f"{self.out}: the dataset of {steps.write_report(self.out, self.run_name, settings=read_settings())}")


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
    report: CliSubCommand[Report]
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
    prepare_store: CliSubCommand[PrepareStore]
    check_store: CliSubCommand[CheckStore]

    def cli_cmd(self) -> None:
        CliApp.run_subcommand(self)


def run_steps(params: RunParams, *, settings: Settings) -> str:
    """Run all steps in order, as the DAG does; return the key of the outcome."""
    from affect_tasks import steps

    run = steps.check(params.model_dump(), name=name_run(), settings=settings)
    ingested = steps.ingest(run, settings=settings)
    divided = steps.split(run, steps.relabel(run, ingested, settings=settings), settings=settings)
    augmented = steps.augment(run, divided, settings=settings)
    steps.report(run, augmented, settings=settings)
    floor = steps.measure_floor(run, augmented, settings=settings)
    trained = [
        steps.train(run, augmented, network, settings=settings) for network in steps.plan(run, settings=settings)
    ]
    scores = [steps.evaluate(run, key, settings=settings) for key in trained]
    return steps.register(run, floor, scores, settings=settings)


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
