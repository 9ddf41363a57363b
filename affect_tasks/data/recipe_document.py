"""A recipe's file, from bytes to plain values that are safe to build from. Nothing here imports Albumentations.

A recipe comes from outside. Albumentations' own loader is a safe one, yet follows aliases to any size, lets an
image grow to 100,000 pixels a side, and takes a misspelt argument for none.
"""

import difflib
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

import yaml

from affect_tasks.data.allowed_transforms import COMPOSITIONS, FIXED, IGNORED, LARGEST, LARGEST_NUMBER, TRANSFORMS
from affect_tasks.errors import RecipeError

MAX_BYTES = 64 * 1024
_MAX_EVENTS = 10_000
_MAX_DEPTH = 24
_MAX_NESTING = 8
_MAX_TRANSFORMS = 64
_MAX_ITEMS = 64
_MAX_TEXT = 64

_CLASS = "__class_fullname__"
_KNOWN = {name: {"p", *words.split()} for name, words in (COMPOSITIONS | TRANSFORMS).items()}


@dataclass
class _Open:
    """A collection of the YAML document that is being read."""

    is_mapping: bool
    count: int = 0
    key: str = ""

    def step(self, value: str) -> None:
        if self.is_mapping and self.count % 2 == 0:
            self.key = value
        self.count += 1

    def __str__(self) -> str:
        return f".{self.key}" if self.is_mapping else f"[{self.count - 1}]"


def load_document(data: bytes) -> dict[str, Any]:
    """Read a recipe as Albumentations saves it, in YAML or JSON, and check it against the allow-list.

    Returns:
        The value of `transform`: a Compose, its arguments, and its transforms in turn. Classes bear short names,
        and arguments that Albumentations saves but ignores are left out.

    Raises:
        RecipeError: The file is too large, is neither YAML nor JSON, uses tags, anchors or aliases, or names a
            transform, an argument or a value that is not allowed. The message names the key.
    """
    document = _parse(_decode(data))
    if not isinstance(document, dict) or "transform" not in document:
        raise RecipeError("A recipe must be a mapping with the key `transform`; this file is not. Save it anew.")
    if extra := [key for key in document if key not in {"transform", "__version__"}]:
        raise _refuse(str(extra[0])[:_MAX_TEXT], "is no key of a recipe; known are `transform` and `__version__`")
    built = _check_transform(document["transform"], "transform", iter(range(_MAX_TRANSFORMS)))
    if built[_CLASS] != "Compose":
        raise _refuse(f"transform.{_CLASS}", f"must be Compose; got {built[_CLASS]}. Save a Compose")
    return built


def split_document(transform: dict[str, Any]) -> tuple[str, list[dict[str, Any]] | None, dict[str, Any]]:
    """Take a checked transform apart: its class, its inner transforms if it is a composition, its arguments."""
    arguments = {key: value for key, value in transform.items() if key not in {_CLASS, "transforms"}}
    return transform[_CLASS], transform.get("transforms"), arguments


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise RecipeError(f"A recipe may hold at most {MAX_BYTES} bytes; got {len(data)} or more. Shorten it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"A recipe must be UTF-8 text; byte {error.start} is not. Save it as UTF-8.") from error


def _parse(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    try:
        _refuse_references(text)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise RecipeError(f"A recipe must be YAML or JSON; {error.problem}{place}. Correct it.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"A recipe must be YAML or JSON; {str(error)[:200]}. Correct it.") from error


def _refuse_references(text: str) -> None:
    """Refuse tags, anchors, aliases and too deep or too many values before any of them is built."""
    place: list[_Open] = []
    for number, event in enumerate(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
        if isinstance(event, yaml.CollectionEndEvent):
            place.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        if place:
            place[-1].step(event.value if isinstance(event, yaml.ScalarEvent) else "?")
        key = "".join(map(str, place)).removeprefix(".")[:200] or "(top)"
        _refuse_event(event, key)
        if len(place) >= _MAX_DEPTH or number >= _MAX_EVENTS:
            raise _refuse(key, f"lies too deep or too far on; at most {_MAX_DEPTH} levels and {_MAX_EVENTS} values")
        if isinstance(event, yaml.CollectionStartEvent):
            place.append(_Open(isinstance(event, yaml.MappingStartEvent)))


def _refuse_event(event: yaml.NodeEvent, key: str) -> None:
    if event.anchor is not None:
        sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
        raise _refuse(key, f"may not use an anchor or alias; got {sign}{event.anchor[:_MAX_TEXT]}")
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise _refuse(key, f"may not bear a tag; got {tag[:_MAX_TEXT]}")


def _check_transform(node: Any, key: str, places: Iterator[int]) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise _refuse(key, f"must be a mapping that names a transform; got {_show(node)}")
    if key.count("[") > _MAX_NESTING:
        raise _refuse(key, f"lies too deep; compositions may lie {_MAX_NESTING} in each other")
    if next(places, None) is None:
        raise _refuse(key, f"is one too many; a recipe may hold at most {_MAX_TRANSFORMS} transforms")
    name = _check_class(node.get(_CLASS), key)
    skipped = {_CLASS, *IGNORED.get(name, "").split()}
    arguments = {argument: value for argument, value in node.items() if argument not in skipped}
    if name in COMPOSITIONS and "transforms" not in arguments:
        raise _refuse(f"{key}.transforms", f"must be there: what {name} is made of")
    checked: dict[str, Any] = {_CLASS: name}
    for argument, value in arguments.items():
        here = f"{key}.{_show_key(argument)}"
        if argument not in _KNOWN[name]:
            raise _refuse(here, f"is no argument of {name}.{_suggest(str(argument), _KNOWN[name])} Correct it")
        inner = argument == "transforms"
        checked[argument] = _check_transforms(value, here, places) if inner else _check_value(value, here, argument)
    return checked


def _check_class(name: Any, key: str) -> str:
    here = f"{key}.{_CLASS}"
    if not isinstance(name, str):
        raise _refuse(here, f"must name a transform of Albumentations; got {_show(name)}")
    short = name.rsplit(".", 1)[-1] if name.startswith("albumentations.") else name
    if short not in _KNOWN:
        raise _refuse(here, f"is {_show(name)}, which a recipe may not use.{_suggest(short, _KNOWN)} Replace it")
    return short


def _check_transforms(nodes: Any, key: str, places: Iterator[int]) -> list[dict[str, Any]]:
    if not isinstance(nodes, list) or not nodes:
        raise _refuse(key, f"must be a list of transforms; got {_show(nodes)}")
    return [_check_transform(node, f"{key}[{number}]", places) for number, node in enumerate(nodes)]


def _check_value(value: Any, key: str, argument: str, *, depth: int = 0) -> Any:
    if depth == 0:
        _check_special(value, key, argument)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        largest = LARGEST.get(argument, LARGEST_NUMBER)
        if not math.isfinite(value) or abs(value) > largest:
            raise _refuse(key, f"must lie between -{largest} and {largest}; got {_show(value)}. Lower it")
        return value
    if isinstance(value, str) and len(value) <= _MAX_TEXT:
        return value
    if isinstance(value, list | dict) and len(value) <= _MAX_ITEMS and depth < 3:
        return _check_items(value, key, argument, depth=depth)
    raise _refuse(key, f"must be a number, a word, or a short list or mapping of these; got {_show(value)}")


def _check_special(value: Any, key: str, argument: str) -> None:
    if argument in FIXED and value is not None and value != FIXED[argument]:
        raise _refuse(key, f"must stay {FIXED[argument]}; got {_show(value)}")
    # The compositions themselves check neither.
    if argument == "p" and not (_is_number(value) and 0 <= value <= 1):
        raise _refuse(key, f"must be a probability, 0 to 1; got {_show(value)}")
    if argument == "n" and not (_is_number(value) and value in range(1, _MAX_TRANSFORMS + 1)):
        raise _refuse(key, f"must be a number of transforms, 1 to {_MAX_TRANSFORMS}; got {_show(value)}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_items(value: list[Any] | dict[Any, Any], key: str, argument: str, *, depth: int) -> Any:
    if isinstance(value, list):
        return [_check_value(v, f"{key}[{i}]", argument, depth=depth + 1) for i, v in enumerate(value)]
    if wrong := [name for name in value if not isinstance(name, str) or len(name) > _MAX_TEXT]:
        raise _refuse(key, f"must have words for keys; got {_show(wrong[0])}")
    return {name: _check_value(v, f"{key}.{name}", argument, depth=depth + 1) for name, v in value.items()}


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:_MAX_TEXT], known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _show(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    # Python refuses to print integers of thousands of digits.
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    return repr(value)[:_MAX_TEXT]


def _show_key(key: Any) -> str:
    return key[:_MAX_TEXT] if isinstance(key, str) else _show(key)


def _refuse(key: str, fault: str) -> RecipeError:
    return RecipeError(f"The recipe's `{key}` {fault}.")
