"""What a run does: one flat model behind the command line, the trigger form and the tracked parameters."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from affect_tasks.errors import ParameterError

NetworkName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
NETWORKS: tuple[str, ...] = get_args(NetworkName)
DEMO_DATA = "demo"
BUCKET, KAGGLE = "s3://", "kaggle:"

Section = Literal["Data", "Split and balance", "Training", "Promotion"]
_Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


def is_path(data: str) -> bool:
    """Tell whether the parameter `data` names a folder or file of this machine."""
    return data != DEMO_DATA and not data.startswith((BUCKET, KAGGLE))


class RunParams(BaseModel):
    """Everything a person may choose about one run.

    Each field carries its section of the trigger form; title, help, default and bounds reach the form,
    the command line and the tracked parameters from here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    data: str = Field(
        default=DEMO_DATA,
        min_length=1,
        title="Images",
        description="Folder of class folders, directly or under `train/`, or a zip or tar of one; "
        "`s3://bucket/prefix`; `kaggle:owner/dataset`; `demo` stands for the drawn faces.",
        json_schema_extra={"section": "Data"},
    )
    labels_csv: str | None = Field(
        default=None,
        title="Labels file",
        description="CSV with the columns `pth` and `label`; empty: `labels.csv` beside the images, if there is one.",
        json_schema_extra={"section": "Data"},
    )
    unreadable_fraction: _Fraction = Field(
        default=0.05,
        title="Tolerated unreadable share",
        description="The run stops before training when more than this share of the files is unreadable.",
        json_schema_extra={"section": "Data"},
    )
    test_fraction: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        title="Test share",
        description="Share of each class held back for the final scores; originals, unless balanced below.",
        json_schema_extra={"section": "Split and balance"},
    )
    validation_fraction: float = Field(
        default=0.15,
        gt=0.0,
        lt=1.0,
        title="Validation share",
        description="Share of each class that chooses the best epoch and the best network.",
        json_schema_extra={"section": "Split and balance"},
    )
    group_near_duplicates: bool = Field(
        default=True,
        title="Keep near-duplicates together",
        description="Images that look alike, plain or mirrored, share a group, and no group is in two splits.",
        json_schema_extra={"section": "Split and balance"},
    )
    near_duplicate_bits: int = Field(
        default=40,
        ge=0,
        le=64,
        title="Near-duplicates, differing bits",
        description="Near-duplicates' perceptual hashes differ in at most so many of 255 bits; 0: equal hashes alone.",
        json_schema_extra={"section": "Split and balance"},
    )
    group_column: str | None = Field(
        default=None,
        title="Group column",
        description="Column of the labels file that names the subject; images of one subject share a group.",
        json_schema_extra={"section": "Split and balance"},
    )
    group_pattern: str | None = Field(
        default=None,
        max_length=200,
        title="Group pattern",
        description="Regular expression (RE2) whose first group, or whole match, in an image's path names the subject.",
        json_schema_extra={"section": "Split and balance"},
    )
    balance_train: bool = Field(
        default=True,
        title="Balance the training split",
        description="Fill every class up to the largest one with augmented copies.",
        json_schema_extra={"section": "Split and balance"},
    )
    balance_test: bool = Field(
        default=False,
        title="Balance the test split",
        description="Fill the test split with altered copies; every score is then marked, and no model is promoted.",
        json_schema_extra={"section": "Split and balance"},
    )
    global_multiplier: float = Field(
        default=1.0,
        ge=1.0,
        le=20.0,
        title="Training images per class, multiplier",
        description="With balancing: each class is filled up to this multiple of the largest class.",
        json_schema_extra={"section": "Split and balance"},
    )
    pipeline_yaml: str | None = Field(
        default=None,
        title="Recipe of the copies",
        description="File of an Albumentations Compose that draws the copies; empty: the default recipe.",
        json_schema_extra={"section": "Split and balance"},
    )
    seed: int = Field(
        default=27,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Equal data, parameters and seed give equal splits, copies and batches.",
        json_schema_extra={"section": "Split and balance"},
    )
    networks: list[NetworkName] = Field(
        default=["resnet18"],
        min_length=1,
        title="Networks",
        description="Each is trained in a task of its own; the best on validation becomes the candidate.",
        json_schema_extra={"section": "Training"},
    )
    side_px: int = Field(
        default=64,
        ge=32,
        le=512,
        title="Image side, pixels",
        description="Images are scaled to a square of this side before training and prediction.",
        json_schema_extra={"section": "Training"},
    )
    epochs: int = Field(
        default=12,
        ge=1,
        le=1000,
        title="Epochs",
        description="Passes over the training split.",
        json_schema_extra={"section": "Training"},
    )
    batch_size: int = Field(
        default=32,
        ge=2,
        le=4096,
        title="Batch size",
        description="Images per optimisation step.",
        json_schema_extra={"section": "Training"},
    )
    learning_rate: float = Field(
        default=1e-3,
        gt=0.0,
        le=10.0,
        title="Peak learning rate",
        description="Reached after the warm-up; falls to zero along a cosine.",
        json_schema_extra={"section": "Training"},
    )
    weight_decay: _Fraction = Field(
        default=0.05,
        title="Weight decay",
        description="Decoupled weight decay of the optimiser (AdamW).",
        json_schema_extra={"section": "Training"},
    )
    warmup_epochs: int = Field(
        default=1,
        ge=0,
        le=100,
        title="Warm-up epochs",
        description="Epochs over which the learning rate rises linearly from zero.",
        json_schema_extra={"section": "Training"},
    )
    label_smoothing: _Fraction = Field(
        default=0.1,
        title="Label smoothing",
        description="Share of each target that is spread over all classes.",
        json_schema_extra={"section": "Training"},
    )
    flip: bool = Field(
        default=True,
        title="Random flips",
        description="Mirror half of the training images, anew in each epoch.",
        json_schema_extra={"section": "Training"},
    )
    shift_fraction: float = Field(
        default=0.1,
        ge=0.0,
        le=0.5,
        title="Random shifts",
        description="Largest shift of a training image, as a share of its side, anew in each epoch.",
        json_schema_extra={"section": "Training"},
    )
    model_name: str = Field(
        default="affect",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        title="Registered model",
        description="Name under which candidates and the champion are registered.",
        json_schema_extra={"section": "Promotion"},
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        lt=1.0,
        title="Confidence",
        description="Level of all intervals, and of the paired comparison that decides a promotion.",
        json_schema_extra={"section": "Promotion"},
    )
    resamples: int = Field(
        default=5000,
        ge=200,
        le=100_000,
        title="Bootstrap resamples",
        description="Draws behind each interval.",
        json_schema_extra={"section": "Promotion"},
    )

    @model_validator(mode="after")
    def _leave_images_to_train_on(self) -> Self:
        if self.test_fraction + self.validation_fraction >= 0.95:
            msg = (
                "Validation and test shares must leave images to train on (below 0.95 together); "
                f"got {self.validation_fraction} + {self.test_fraction}. Lower one."
            )
            raise ValueError(msg)
        if self.warmup_epochs >= self.epochs and self.warmup_epochs > 0:
            msg = f"The warm-up must end before the last epoch; got {self.warmup_epochs} of {self.epochs}. Shorten it."
            raise ValueError(msg)
        if self.group_column and self.group_pattern:
            msg = (
                "Subjects come from one place; got `group_column` and `group_pattern` "
                f"({self.group_column!r}, {self.group_pattern!r}). Drop one."
            )
            raise ValueError(msg)
        if len(set(self.networks)) != len(self.networks):
            msg = f"Each network may be named once; got {', '.join(self.networks)}. Remove the repeated one."
            raise ValueError(msg)
        return self


def read_params(values: Mapping[str, object]) -> RunParams:
    """Check values from a form, a file or a command line.

    Args:
        values: Field names and their values; absent fields keep their defaults.

    Raises:
        ParameterError: A name is unknown, a value out of bounds, or two values contradict each other.
    """
    try:
        return RunParams.model_validate(dict(values))
    except ValidationError as error:
        raise ParameterError("\n".join(describe_fault(fault) for fault in error.errors())) from error


def describe_fault(fault: ErrorDetails) -> str:
    """Turn one fault that pydantic found into a sentence: rule, received, remedy."""
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, RunParams.model_fields, n=1)
        remedy = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(RunParams.model_fields)}."
        return f"`{name}` is no parameter. {remedy}"
    rule = fault["msg"].removeprefix("Value error, ")
    if not name:
        return rule
    return f"`{name}`: {rule}. Received: {fault['input']!r}. Choose a value within the rule."
