import pytest

from affect_tasks.errors import ParameterError
from affect_tasks.params import RunParams, is_path, read_params


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epoch": 3}, "Did you mean `epochs`"),
        ({"side_px": 8}, "greater than or equal to 32. Received: 8"),
        ({"test_fraction": 0.6, "validation_fraction": 0.5}, "got 0.5 + 0.6"),
        ({"networks": ["resnet18", "resnet18"]}, "named once"),
        ({"group_column": "who", "group_pattern": "s[0-9]+"}, "Subjects come from one place"),
        ({"group_pattern": "a" * 201}, "at most 200"),
        ({"near_duplicate_bits": 65}, "less than or equal to 64"),
        ({"networks": ["vgg"]}, "'resnet18'"),
        ({"epochs": 1, "warmup_epochs": 1}, "warm-up must end"),
    ],
)
def test_a_wrong_value_is_refused_with_rule_and_received(values, words):
    with pytest.raises(ParameterError, match=r".") as caught:
        read_params(values)
    assert words in str(caught.value)


def test_addresses_are_no_paths_of_this_machine():
    assert [is_path(data) for data in ("faces", "faces.zip", "/faces", "demo", "s3://bucket", "kaggle:a/b")] == [
        *[True] * 3,
        *[False] * 3,
    ]


def test_defaults_are_valid():
    assert read_params({}) == RunParams()
