"""What may import what, where each outside service has its door, and the size of modules and functions."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "affect_tasks"
DAGS = ROOT / "dags"

# A part (a module of the package, or a folder) and the parts that it may import. Parameters and manifests know
# nothing of what uses them, the pure core knows no service, and only the edge (records and what comes after it)
# touches settings, storage and registry.
ARROWS = {
    "errors": "",
    "params": "errors",
    "manifest": "errors",
    "settings": "errors",
    "form": "params",
    "data": "errors params manifest",
    "networks": "errors params",
    "training": "errors params manifest networks",
    "evaluation": "errors params manifest",
    "promotion": "errors evaluation",
    "storage": "errors settings",
    "registry": "errors settings",
    "buckets": "errors",
    "kaggle": "errors",
    "sources": "errors params data settings storage buckets kaggle progress",
    "records": "errors params evaluation settings storage registry",
    "progress": "",
    "steps": "errors params manifest data networks training evaluation promotion settings storage registry records "
    "progress sources",
    "report": "errors params manifest data training evaluation settings storage registry records",
    "embedded_runs": "",
    "embedded": "errors params settings storage records report embedded_runs",
    "pipeline_commands": "errors data settings",
    "step_commands": "errors params settings steps report sources",
    "store_setup": "errors settings storage",
    "store_check": "errors settings storage",
    "store_commands": "errors settings store_setup store_check",
    "cli": "errors params data settings steps report embedded pipeline_commands step_commands store_commands",
    "stack": "errors",
    "dags": "errors form settings steps",
}

# An outside library and the only modules that may import it.
DOORS = {
    "tensorflow": {"training/pipeline.py"},
    "mlflow": {"registry.py"},
    "boto3": {"storage.py"},
    "botocore": {"storage.py", "buckets.py"},
    "kagglehub": {"kaggle.py"},
    "requests": {"kaggle.py"},
    "minio": {"store_setup.py"},
    "albumentations": {"data/recipe.py"},
    "airflow": set(),
}

LONG_MODULES = {
    "storage.py": "one door: objects on files and on S3, and the names of their faults",
    "data/drawing/looks.py": "a table of constants: what each affect looks like",
}
# Lines of a function without its docstring.
LONG_FUNCTIONS = {
    "steps/models.py:_train_network": "one transaction: open the run, train, track, store, close",
    "steps/trees.py:split_tree": "one transaction: read, plan, write, publish",
    "embedded.py:serve_uis": "two services' commands and one try-finally that ends them",
}

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted(DAGS.glob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT).as_posix()


def part_of(path: Path) -> str:
    return "dags" if path.is_relative_to(DAGS) else path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def list_imports(tree: ast.AST) -> set[str]:
    """Return the full names of all that is imported, at any depth: `package.module.name` for a `from` import."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what they cross"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def list_parts(path: Path) -> set[str]:
    """Return the parts of the package that a module imports."""
    inside = {name.split(".")[1] for name in list_imports(parse(path)) if name.startswith("affect_tasks.")}
    return inside - {part_of(path)}


def list_tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize(
    "path", [p for p in (*MODULES, *DAGS.glob("*.py")) if p != PACKAGE / "__init__.py"], ids=name_of
)
def test_a_module_imports_only_what_lies_below_it(path):
    assert part_of(path) in ARROWS, f"say in ARROWS what {part_of(path)} may import"
    wrong = list_parts(path) - set(ARROWS[part_of(path)].split())
    assert not wrong, f"{name_of(path)} imports {', '.join(sorted(wrong))}, against the arrows"


def test_the_arrows_have_no_circle_and_name_only_what_there_is():
    parts = {part_of(path) for path in MODULES} | {"dags"}
    assert set(ARROWS) == parts - {"__init__"}
    TopologicalSorter({part: below.split() for part, below in ARROWS.items()}).prepare()


@pytest.mark.parametrize("library", DOORS)
def test_each_outside_library_has_one_door(library):
    users = {name_of(path) for path in MODULES for name in list_imports(parse(path)) if name.split(".")[0] == library}
    assert users <= DOORS[library]


@pytest.mark.parametrize(
    "code",
    [
        "import affect_tasks.cli",
        "from affect_tasks.form import build_form_fields; build_form_fields()",
        "import airflow.sdk, runpy, sys; sys.path.insert(0, 'dags'); runpy.run_path('dags/train_affect.py')",
    ],
    ids=["command line", "form", "DAG file"],
)
def test_nothing_heavy_is_imported_before_work_begins(code, tmp_path):
    look = "import sys; print(*sorted({'tensorflow', 'keras', 'mlflow', 'albumentations', 'cv2'} & set(sys.modules)))"
    environment = {"AIRFLOW_HOME": str(tmp_path), "AFFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{look}"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("folder", ["docker", "mlflow"])
def test_no_folder_shadows_a_library(folder):
    assert not list((ROOT / folder).rglob("*.py")), f"a Python file in {folder}/ shadows the library of that name"


def test_no_tracked_file_names_a_package_index_or_a_path_of_one_machine():
    # The option to leave an index out of a lock file is welcome; the options that name one are not.
    index = re.compile(rb"(?<!no-emit)--(extra-)?index-url\b|--default-index\b|://(test\.)?pypi\b|://registry\.npm")
    path = re.compile(rb"(?<![\w.~/-])/(home|Users)/[a-z][\w.-]*/|(?<![\w.~/-])(?<!target=)/(root|work)/")
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in list_tracked()
        if file != Path(__file__)
        for number, line in enumerate(file.read_bytes().splitlines(), 1)
        if index.search(line.replace(b"--no-emit-index-url", b"")) or path.search(line)
    ]
    assert not found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_have_at_most_300_lines_or_a_reason(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 300 or LONG_MODULES.get(name_of(path)), f"{lines} lines: split it, or say why not in LONG_MODULES"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_have_at_most_40_lines_or_a_reason(path):
    long = {
        f"{name_of(path)}:{node.name}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and count_lines(node) > 40
    }
    assert long <= set(LONG_FUNCTIONS), "split them, or say why not in LONG_FUNCTIONS"


def count_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its docstring, which may be as long as it is useful."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_exceptions_to_the_sizes_are_still_needed():
    long = {name_of(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 300}
    assert set(LONG_MODULES) <= long
    functions = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and count_lines(node) > 40
    }
    assert set(LONG_FUNCTIONS) <= functions


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_each_silenced_warning_says_why(path):
    silent = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore|fmt:\s*off|pragma)")
    reasoned = re.compile(r"#\s*(noqa:\s*[A-Z0-9, ]+|(type|pyright):\s*ignore\[[\w\-, ]+\])\s+(- |# )\S")
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    comments = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    bare = [f"line {line}: {text}" for line, text in comments if silent.match(text) and not reasoned.match(text)]
    assert not bare
