"""What the documents promise: nothing that a user can type is missing from them, and nothing they name is gone."""

import re
from pathlib import Path
from typing import get_args

import pytest

from affect_tasks import errors
from affect_tasks.cli import Affect, Pipeline
from affect_tasks.errors import AffectError
from affect_tasks.params import RunParams, Section
from affect_tasks.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", MAKEFILE, flags=re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
ERRORS = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, AffectError)]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(("target", "rest"), TARGETS, ids=[target for target, _ in TARGETS])
def test_every_make_target_has_help_and_is_in_the_readme(target, rest):
    assert re.search(r"## \S", rest), f"`make` alone would not list {target}"
    assert target == "help" or re.search(rf"`?make {target}(?![\w-])", README)


def test_every_make_target_that_a_page_names_is_there():
    known = {target for target, _ in TARGETS}
    for page in PAGES:
        named = re.findall(r"(?:`|\$ )make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
        assert set(named) <= known, name_of(page)


def list_commands() -> list[str]:
    return [(field.alias or name).replace("_", "-") for name, field in Affect.model_fields.items()]


@pytest.mark.parametrize("command", list_commands())
def test_every_command_is_in_the_readme(command):
    assert re.search(rf"affect {command}(?![\w-])", README)


def test_every_command_that_a_page_names_is_there():
    for page in PAGES:
        named = re.findall(r"(?:`|/)affect ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
        assert set(named) <= set(list_commands()), name_of(page)


def list_options(commands, name):
    field = commands.model_fields.get(f"{name}_", commands.model_fields.get(name.replace("-", "_")))
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    return {
        (option.validation_alias if isinstance(option.validation_alias, str) else key).replace("_", "-")
        for kind in kinds
        for key, option in kind.model_fields.items()
    }


def test_every_option_of_a_command_that_the_readme_shows_is_there():
    lines = re.findall(r"(?:`|/)affect ([a-z][a-z-]*)([^`\n]*)", README)
    for command, rest in lines:
        fields = list_options(Affect, command)
        for below in re.findall(r"(?<=[ |])(?:show|check|example)(?![\w-])", rest) if command == "pipeline" else ():
            fields |= list_options(Pipeline, below)
        assert set(re.findall(r"--([a-z][a-z-]*)", rest)) - {"help"} <= fields, command


@pytest.mark.parametrize("name", RunParams.model_fields)
def test_every_parameter_has_title_help_and_section(name):
    field = RunParams.model_fields[name]
    assert field.title
    assert (field.description or "").endswith(".")
    assert isinstance(field.json_schema_extra, dict)
    assert field.json_schema_extra["section"] in get_args(Section)


@pytest.mark.parametrize(("name", "field"), Settings.model_fields.items(), ids=list(Settings.model_fields))
def test_every_setting_has_its_row(name, field):
    row = re.search(rf"^\| `AFFECT_{name.upper()}` \| (.*?) \| (.*?) \|", SETTINGS, flags=re.MULTILINE)
    assert row, f"docs/settings.md lacks AFFECT_{name.upper()}"
    default = "" if field.default in ("", None) else f"`{field.default}`"
    assert (row[1].strip(), row[2].strip()) == (default, field.description)


def test_every_setting_that_a_page_names_is_there():
    known = {f"AFFECT_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        assert set(re.findall(r"AFFECT_[A-Z0-9_]+", page.read_text(encoding="utf-8"))) <= known, name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing


def test_every_file_that_a_page_names_is_there():
    places = re.compile(r"`((?:affect_tasks|dags|docs|requirements|tests)/[\w./-]*)`")
    for page in PAGES:
        missing = [place for place in places.findall(page.read_text(encoding="utf-8")) if not (ROOT / place).exists()]
        assert not missing, name_of(page)


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_every_decision_has_its_four_parts_on_one_page(record):
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(record.stem[:4])}. ")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
    assert re.search(r"^(Accepted|Superseded by \[.+\]\(.+\)), \d{4}-\d{2}-\d{2}\.$", text, flags=re.MULTILINE)
    assert len([line for line in text.splitlines() if not line.startswith("|")]) <= 80  # tables may be long


def test_decisions_are_numbered_in_a_row_and_each_has_its_line_in_the_index():
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d{4}[\w-]*\.md)\)", index) == [record.name for record in RECORDS]


def test_every_direct_dependency_has_its_reason():
    page = next(record for record in RECORDS if "dependencies" in record.stem).read_text(encoding="utf-8")
    reasoned = set(re.findall(r"^\| `([\w.-]+)` \|", page, flags=re.MULTILINE))
    assert reasoned == list_dependencies()


def list_dependencies() -> set[str]:
    """Return the bare names of all that the requirements and the package ask for."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = (ROOT / "requirements").glob("*.in")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    lines += project["project"]["dependencies"] + project["build-system"]["requires"]
    return {match[0] for line in lines if (match := re.match(r"[A-Za-z][\w.-]*", line))}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_tree_under_its_parent(error):
    tree = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"\w+Error", line)]
    place = {re.findall(r"\w+Error", line)[0]: number for number, line in enumerate(tree)}
    indent = {name: re.search(r"\w", tree[number]).start() for name, number in place.items()}
    assert error.__name__ in place
    if error is AffectError:
        return
    above = [name for name in place if place[name] < place[error.__name__] and indent[name] < indent[error.__name__]]
    assert above[-1] == error.__base__.__name__


def test_the_tree_names_only_errors_that_there_are():
    assert set(re.findall(r"\w+Error", errors.__doc__ or "")) == {error.__name__ for error in ERRORS}


def test_the_changelog_has_room_for_the_next_change():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings[0] in {"Unreleased", "[Unreleased]"}
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_commit_hooks_fetch_nothing_and_call_the_tools_of_make_check():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}
    tools = re.findall(r"entry: (\S+)", text)
    assert len(tools) == len(re.findall(r"- id:", text))
    wanted = (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8")
    for tool in tools:
        assert tool.startswith(".venv/bin/")
        assert re.search(rf"^{tool.removeprefix('.venv/bin/')}\b", wanted, flags=re.MULTILINE)


def test_the_readme_is_about_a_page():
    assert len(README.splitlines()) <= 180
