import inspect
import json
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.data.allowed_transforms import COMPOSITIONS, FIXED, LARGEST, TRANSFORMS
from affect_tasks.data.recipe import load_recipe
from affect_tasks.data.recipe_document import load_document
from affect_tasks.errors import ParameterError, RecipeError


def write_recipe(*transforms, **arguments):
    compose = {"__class_fullname__": "Compose", "p": 1.0, "transforms": list(transforms), **arguments}
    # A copy, for YAML writes a value that occurs twice as an anchor and an alias.
    return yaml.safe_dump(json.loads(json.dumps({"__version__": "2.0.8", "transform": compose}))).encode()


def name(class_name, **arguments):
    return {"__class_fullname__": class_name, "p": 1.0, **arguments}


albumentations = pytest.importorskip("albumentations")

FLIP = name("HorizontalFlip")
FIRST = "transform.transforms[0]"
DEEP = FLIP
for _ in range(40):
    DEEP = name("Compose", transforms=[DEEP])
BOMB = b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"transform: !!python/object/apply:os.system ['touch x']", ["`transform`", "python/object"]),
        (
            b"transform:\n  __class_fullname__: Compose\n  p: !!python/name:os.system\n",
            ["`transform.p`", "python/name"],
        ),
        (b"transform: {transforms: [{a: !!python/tuple [1]}]}", [f"`{FIRST}.a`"]),
        (b"transform: !mine {}", ["`transform`", "!mine"]),
        (BOMB, ["`a0`", "&a0"]),
        (b"transform: {p: &one 1, q: *one}", ["`transform.p`"]),
        (write_recipe(name("RandomMagic")), [f"`{FIRST}.__class_fullname__`", "RandomMagic"]),
        (write_recipe(name("HorisontalFlip")), ["Did you mean HorizontalFlip?"]),
        (write_recipe(name("os.system")), ["`transform.transforms[0].__class_fullname__`"]),
        (write_recipe(name("evil.HorizontalFlip")), ["evil.HorizontalFlip"]),
        (write_recipe(name("Lambda")), ["Lambda"]),
        (write_recipe(name("FDA", read_fn="open")), ["FDA"]),
        (write_recipe(name("TextImage", font_path="/etc/passwd")), ["TextImage"]),
        (write_recipe(name("Rotate", font_path="/etc/passwd")), [f"`{FIRST}.font_path`", "no argument of Rotate"]),
        (write_recipe(name("Rotate", limits=20)), [f"`{FIRST}.limits`", "Did you mean limit?"]),
        (write_recipe(FLIP, name("Resize", height=100_000, width=8)), ["`transform.transforms[1].height`", "100000"]),
        (write_recipe(name("RandomScale", scale_limit=0.1)), ["RandomScale"]),
        (write_recipe(name("Affine", scale=[1, 10**9])), [f"`{FIRST}.scale[1]`"]),
        (write_recipe(name("Affine", scale={"x": 2000})), [f"`{FIRST}.scale.x`"]),
        (write_recipe(name("Affine", fit_output=True)), [f"`{FIRST}.fit_output`"]),
        (write_recipe(name("Rotate", limit=float("nan"))), [f"`{FIRST}.limit`"]),
        (write_recipe(name("Rotate", limit=float("inf"))), [f"`{FIRST}.limit`"]),
        (write_recipe(name("Rotate", limit="x" * 100)), [f"`{FIRST}.limit`"]),
        (write_recipe(name("Rotate", limit="wide")), [f"`{FIRST}.limit`", "Rotate"]),
        (write_recipe(name("Rotate", limit=list(range(100)))), [f"`{FIRST}.limit`"]),
        (write_recipe(name("PixelDropout", dropout_prob=2)), [f"`{FIRST}.dropout_prob`"]),
        (write_recipe(name("Resize", height=8)), [f"`{FIRST}", "width"]),
        (write_recipe(name("Blur", blur_limit=2)), [f"`{FIRST}", "Blur"]),
        (write_recipe(name("HorizontalFlip") | {"p": 2}), [f"`{FIRST}.p`"]),
        (write_recipe(name("OneOf", transforms=[FLIP], q=1)), [f"`{FIRST}.q`"]),
        (write_recipe(name("OneOf", transforms=[])), [f"`{FIRST}.transforms`"]),
        (write_recipe(name("OneOf", transforms=[FLIP | {"p": 0}])), [f"`{FIRST}`", "OneOf"]),
        (write_recipe(name("SomeOf", transforms=[FLIP], n=10**9)), [f"`{FIRST}.n`"]),
        (write_recipe(name("SomeOf", transforms=[FLIP], n=9, replace=True)), [f"`{FIRST}.replace`"]),
        (write_recipe(name("HorizontalFlip", transforms=[FLIP])), [f"`{FIRST}.transforms`"]),
        (write_recipe("HorizontalFlip"), [f"`{FIRST}`"]),
        (write_recipe(*[FLIP] * 100), ["at most 64 transforms"]),
        (write_recipe(FLIP, bbox_params={"format": "coco"}), ["`transform.bbox_params`"]),
        (write_recipe(DEEP), ["too deep"]),
        (json.dumps({"transform": DEEP}).encode(), ["too deep"]),
        (
            json.dumps({"transform": {"__class_fullname__": "Compose", "transforms": "all"}}).encode(),
            ["`transform.tran"],
        ),
        (yaml.safe_dump({"transform": FLIP}).encode(), ["must be Compose"]),
        (yaml.safe_dump({"transform": FLIP, "also": 1}).encode(), ["`also`"]),
        (b"[" * 60_000, ["too deep"]),
        (b'{"a":' * 10_000, ["too deep"]),
        (b"- " * 30_000, ["too deep"]),
        (b"[" + b"1," * 30_000 + b"1", ["too far"]),
        (b"x" * 10 * 2**20, ["at most 65536 bytes", "10485760"]),
        (b"\xff\xfe\x00", ["UTF-8"]),
        (b"transform: [1", ["YAML or JSON"]),
        (b"a: 2001-99-99", ["YAML or JSON"]),
        (b"a: " + b"9" * 60_000, ["YAML or JSON"]),
        (b"? [1, 2]\n: 3", ["YAML or JSON"]),
        (b"", ["`transform`"]),
        (b"5", ["`transform`"]),
    ],
)
def test_what_a_recipe_may_not_hold_is_refused_at_once_with_its_key(data, words):
    started = time.perf_counter()
    with pytest.raises(RecipeError) as caught:
        load_recipe(data)
    assert time.perf_counter() - started < 1.0
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(str(caught.value)) < 600
    assert isinstance(caught.value, ParameterError)


def test_what_is_dangerous_is_refused_before_albumentations_is_even_imported():
    program = """
import sys
from affect_tasks.data.recipe import load_recipe
from affect_tasks.errors import RecipeError
for data in sys.stdin.buffer.read().split(b"\\0"):
    try:
        load_recipe(data)
    except RecipeError:
        continue
    raise SystemExit(data)
raise SystemExit("albumentations" in sys.modules)
"""
    recipes = [
        b"transform: !!python/object/apply:os.system ['touch x']",
        BOMB,
        write_recipe(name("RandomMagic")),
        write_recipe(name("Rotate", limits=20)),
        write_recipe(name("Resize", height=100_000, width=100_000)),
        write_recipe(name("TextImage", font_path="/etc/passwd")),
        b"x" * 10 * 2**20,
    ]
    done = subprocess.run([sys.executable, "-c", program], input=b"\0".join(recipes), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_each_allowed_transform_and_argument_exists():
    for class_name, words in (COMPOSITIONS | TRANSFORMS).items():
        known = set(inspect.signature(getattr(albumentations, class_name).__init__).parameters)
        assert set(words.split()) <= known, class_name


def test_no_allowed_transform_takes_a_file_or_a_function():
    arguments = {word for words in TRANSFORMS.values() for word in words.split()}
    assert not {word for word in arguments if "path" in word or "file" in word or word.endswith("_fn")}
    assert not {"TextImage", "Lambda", "FDA", "HistogramMatching", "OverlayElements", "RandomScale"} & set(TRANSFORMS)
    assert {"mask", "mask_params"} <= set(FIXED)
    assert set(LARGEST) <= arguments


@given(st.binary(max_size=300))
def test_no_bytes_lead_to_any_other_error(data):
    with pytest.raises(RecipeError):
        load_document(data)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["transform", "transforms", "__class_fullname__", "p", "limit", "n"]) | st.text(max_size=5)
CLASSES = st.sampled_from(["Compose", "OneOf", "SomeOf", "Rotate", "Resize"])
NODES = st.recursive(
    PLAIN | CLASSES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(lambda c, t: {"__class_fullname__": c, "transforms": t}, CLASSES, st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)


@given(NODES)
def test_no_document_leads_to_any_other_error(node):
    for data in (yaml.safe_dump({"transform": node}).encode(), json.dumps({"transform": node}).encode()):
        with suppress(RecipeError):
            load_recipe(data)
