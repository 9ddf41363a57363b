from itertools import groupby
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from affect_tasks.errors import ParameterError
from affect_tasks.form import build_form_fields
from affect_tasks.params import NETWORKS, RunParams, Section, read_params

FIELDS = build_form_fields()
NUMBERS = [name for name, field in FIELDS.items() if field.get("type") in ("integer", "number")]


def accepts(name: str, value: object) -> bool:
    """Tell whether the form takes a value; Airflow checks it against the field's schema, as here."""
    return Draft202012Validator(FIELDS[name]).is_valid(value)


def is_valid(name: str, value: object) -> bool:
    try:
        read_params({name: value})
    except ParameterError:
        return False
    return True


def test_every_parameter_is_in_the_form_in_order():
    assert list(FIELDS) == list(RunParams.model_fields)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_title_help_and_a_default_that_the_form_takes(name):
    field = FIELDS[name]
    assert field["title"]
    assert str(field["description_md"]).startswith(RunParams.model_fields[name].description)
    Draft202012Validator.check_schema(field)
    assert accepts(name, field["default"])


def test_sections_follow_one_another_and_none_is_empty():
    assert [section for section, _ in groupby(FIELDS.values(), lambda field: field["section"])] == list(
        get_args(Section)
    )


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_flat_as_the_form_can_draw_it(name):
    assert not {"$ref", "$defs", "anyOf", "allOf", "oneOf"} & set(FIELDS[name])
    assert "type" in FIELDS[name]
    assert "$ref" not in str(FIELDS[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_bound_on_each_side_which_the_help_tells(name):
    field = FIELDS[name]
    low = [bound for bound in ("minimum", "exclusiveMinimum") if bound in field]
    high = [bound for bound in ("maximum", "exclusiveMaximum") if bound in field]
    assert low
    assert high
    for bound in (*low, *high):
        assert f" {field[bound]}" in str(field["description_md"])


@pytest.mark.parametrize("name", NUMBERS)
def test_the_form_refuses_what_the_run_would_refuse(name):
    field = FIELDS[name]
    bounds = [
        field[bound] for bound in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if bound in field
    ]
    for bound in bounds:
        step = 1 if field["type"] == "integer" else 0.001
        outside = bound - step if bound == min(bounds) else bound + step
        assert not accepts(name, outside)
        assert not is_valid(name, outside)


def test_networks_are_a_multiple_choice_of_names():
    assert FIELDS["networks"]["examples"] == list(NETWORKS)
    assert accepts("networks", list(NETWORKS))
    assert not accepts("networks", ["vgg"])
    assert not accepts("networks", [])
    assert not accepts("networks", [18])


def test_the_labels_file_may_stay_empty():
    assert accepts("labels_csv", None)
    assert accepts("labels_csv", "labels.csv")
    assert not accepts("labels_csv", 3)
