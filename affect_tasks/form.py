"""From RunParams to the fields of Airflow's trigger form, as plain dicts.

Nested models and Enums give `$ref`, which the form cannot draw, so fields are flat and closed choices
are `Literal`; an integer array would be drawn as a raw JSON editor, so networks are strings.
"""

from collections.abc import Mapping

from affect_tasks.params import NETWORKS, RunParams

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


def build_form_fields() -> dict[str, dict[str, JsonValue]]:
    """List one set of `airflow.sdk.Param` keywords per field of RunParams, in form order."""
    properties: Mapping[str, dict[str, JsonValue]] = RunParams.model_json_schema()["properties"]
    return {name: _build_field(schema) for name, schema in properties.items()}


def _build_field(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    field = dict(schema)
    description = field.pop("description")
    if "anyOf" in field:
        field.pop("anyOf")
        field["type"] = ["string", "null"]
    if field.get("type") == "array":
        field["items"] = {"type": "string", "enum": list(NETWORKS)}
        field["examples"] = list(NETWORKS)
    bounds = _describe_bounds(field)
    return {**field, "description_md": f"{description}{bounds}"}


def _describe_bounds(field: Mapping[str, JsonValue]) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    parts = [f"{word} {field[key]}" for key, word in words.items() if key in field]
    return f" ({', '.join(parts)})" if parts else ""
