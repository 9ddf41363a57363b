"""The commands `affect pipeline show`, `check` and `example`: look at, check and write recipes of altered copies."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from pydantic_settings import CliApp, CliPositionalArg, CliSubCommand

from affect_tasks.errors import InputError, ParameterError
from affect_tasks.settings import read_settings

if TYPE_CHECKING:
    import numpy as np

_SIDE_PX = 96


class _Command(BaseModel):
    picture: Path | None = Field(default=None, description="Also write a PNG of 8 altered copies here.")
    image: Path | None = Field(default=None, description="The image to alter; by default a drawn face.")

    def try_out(self, data: bytes) -> None:
        """Check a recipe, alter an image by it, and draw the results where a picture is wanted."""
        from affect_tasks.data.recipe import load_recipe
        from affect_tasks.data.recipe_sheet import draw_recipe_sheet, draw_samples

        pixels = _read_image(self.image)
        samples = draw_samples(pixels, load_recipe(data))
        if self.picture:
            _write(self.picture, draw_recipe_sheet(pixels, samples), mode="wb")
            print(f"{len(samples)} altered copies in {self.picture}")


class PipelineShow(_Command):
    """Print a recipe in readable form: the default one, or a file's."""

    file: Path | None = Field(default=None, description="A recipe's file; by default the default recipe.")

    def cli_cmd(self) -> None:
        from affect_tasks.data.recipe import describe_recipe, dump_default_recipe, read_recipe

        read_settings()
        data = read_recipe(self.file) if self.file else dump_default_recipe()
        print(describe_recipe(data))
        if self.picture:
            self.try_out(data)


class PipelineCheck(_Command):
    """Check a recipe's file: what it names, each value, and that it works on an image."""

    file: CliPositionalArg[Path] = Field(description="A recipe's file, as Albumentations saves it.")

    def cli_cmd(self) -> None:
        from affect_tasks.data.recipe import read_recipe

        read_settings()
        self.try_out(read_recipe(self.file))
        print(f"{self.file} is a valid recipe")


class PipelineExample(_Command):
    """Write the default recipe as YAML, to be edited and named by --pipeline-yaml."""

    output: Path = Field(description="File to write; must not be there yet.")

    def cli_cmd(self) -> None:
        from affect_tasks.data.recipe import dump_default_recipe

        read_settings()
        data = dump_default_recipe()
        _write(self.output, data, mode="xb")
        print(f"the default recipe in {self.output}")
        if self.picture:
            self.try_out(data)


class Pipeline(BaseModel):
    """Show, check or write the recipe of altered copies."""

    show: CliSubCommand[PipelineShow]
    check: CliSubCommand[PipelineCheck]
    example: CliSubCommand[PipelineExample]

    def cli_cmd(self) -> None:
        CliApp.run_subcommand(self)


def _read_image(path: Path | None) -> "np.ndarray":
    from affect_tasks.data.decode import decode_image
    from affect_tasks.data.faces import draw_face

    if path is None:
        return draw_face("happy", seed=27, side_px=_SIDE_PX)
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise InputError(f"The image must be a readable file; {path}: {error.strerror}. Correct the path.") from error


def _write(path: Path, data: bytes, *, mode: str) -> None:
    try:
        with path.open(mode) as file:
            file.write(data)
    except OSError as error:
        msg = f"A file to be written needs a folder and a free name; {path}: {error.strerror}. Choose another."
        raise ParameterError(msg) from error
