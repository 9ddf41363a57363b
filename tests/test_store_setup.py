import pytest
from pydantic import SecretStr

from affect_tasks.errors import SettingsError
from affect_tasks.settings import Settings
from affect_tasks.store_setup import list_buckets, plan_keys

STORE = {
    "storage_url": "s3://pipeline/store",
    "artifacts_url": "s3://models",
    "s3_access_key_id": SecretStr("pipeline-key"),
    "s3_secret_access_key": SecretStr("pipeline-secret"),
    "s3_serving_access_key_id": SecretStr("serving-key"),
    "s3_serving_secret_access_key": SecretStr("serving-secret"),
}


def test_a_key_may_touch_its_own_bucket_alone():
    for key, bucket in zip(plan_keys(Settings(**STORE)), ("pipeline", "models"), strict=True):
        resources = [resource for statement in key.statements for resource in statement["Resource"]]
        assert {resource.removeprefix("arn:aws:s3:::").split("/")[0] for resource in resources} == {bucket}


def test_serving_may_not_write():
    (serving,) = (key for key in plan_keys(Settings(**STORE)) if key.policy == "affect-serving")
    actions = {action for statement in serving.statements for action in statement["Action"]}
    assert actions == {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"}


def test_half_a_key_is_refused():
    with pytest.raises(SettingsError, match="key of mlflow"):
        plan_keys(Settings(**STORE, s3_mlflow_access_key_id=SecretStr("mlflow-key")))


def test_two_keys_may_not_share_an_id():
    with pytest.raises(SettingsError, match="id of its own"):
        plan_keys(Settings(**{**STORE, "s3_serving_access_key_id": SecretStr("pipeline-key")}))


def test_one_bucket_for_all_is_made_once():
    assert list_buckets(Settings(**{**STORE, "artifacts_url": "s3://pipeline/models"})) == ("pipeline",)


def test_a_folder_needs_no_preparation(settings):
    with pytest.raises(SettingsError, match="s3://"):
        list_buckets(settings)
