import pytest

from affect_tasks.params import RunParams
from affect_tasks.records import DatasetRecord, Job, RunRecord, build_key
from affect_tasks.storage import open_storage, write_blob

INPUTS = {"of": "these images"}


@pytest.fixture
def job(settings) -> Job:
    run = RunRecord(name="run", mlflow_run_id="", params=RunParams(data="demo"))
    return Job(settings, open_storage(settings), run)


@pytest.fixture
def make(job):
    def make(dataset: str) -> DatasetRecord:
        blob = write_blob(job.storage, dataset.encode(), suffix=".parquet")
        return DatasetRecord(dataset=dataset, manifest_blob=blob, images=1, class_names=("anger", "happy"))

    return make


def test_a_finished_step_is_not_run_again(job, make):
    key = job.publish("split", DatasetRecord, INPUTS, lambda: make("first"))
    assert job.publish("split", DatasetRecord, INPUTS, lambda: pytest.fail("ran again")) == key


def test_a_step_whose_blob_is_gone_is_run_again(job, make, settings):
    key = job.publish("split", DatasetRecord, INPUTS, lambda: make("first"))
    (blob,) = job.load(key, DatasetRecord).blobs
    (settings.folder / "store" / "blobs" / blob[:2] / blob).unlink()
    job.publish("split", DatasetRecord, INPUTS, lambda: make("second"))
    assert job.load(key, DatasetRecord).dataset == "second"


def test_a_frozen_try_does_not_overwrite_what_its_retry_published(job, make):
    def thaw_late() -> DatasetRecord:
        job.publish("split", DatasetRecord, INPUTS, lambda: make("of the retry"))
        return make("of the frozen try")

    job.publish("split", DatasetRecord, INPUTS, thaw_late)
    assert job.load(build_key("split", INPUTS), DatasetRecord).dataset == "of the retry"
