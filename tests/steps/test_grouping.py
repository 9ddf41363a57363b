import json
import logging

import pytest

from affect_tasks import steps
from affect_tasks.errors import LabelsFileError, ParameterError
from affect_tasks.records import DatasetRecord, ScoreRecord, open_job
from affect_tasks.registry import open_registry
from affect_tasks.steps.data import load_dataset
from affect_tasks.storage import read_blob

PARAMS = {"test_fraction": 0.25, "validation_fraction": 0.25, "resamples": 200}


@pytest.fixture
def named(faces):
    """The folder with a third column that names who is shown: three pictures in a row each."""
    file = faces / "labels.csv"
    header, *rows = file.read_text().splitlines()
    lines = [f"{header},who", *(f"{row},s{number // 3}" for number, row in enumerate(rows))]
    file.write_text("\n".join(lines) + "\n")
    return faces


def prepare(settings, folder, **params):
    run = steps.check({"data": str(folder), **PARAMS, **params}, name="test", settings=settings)
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    divided = steps.split(run, relabelled, settings=settings)
    job = open_job(run, settings)
    record = job.load(divided, DatasetRecord)
    return job, run, divided, record, load_dataset(job, record)


@pytest.mark.parametrize("source", [{"group_column": "who"}, {"group_pattern": r"/([a-z]+_\d\d)"}])
def test_no_subject_is_in_two_splits(settings, named, source):
    *_, manifest = prepare(settings, named, **source)
    split_of = {}
    for subject, split in zip(manifest.values("subject"), manifest.values("split"), strict=True):
        assert subject
        assert split_of.setdefault(subject, split) == split
    assert len(split_of) > 3


def test_duplicates_with_contradicting_labels_are_kept_together_reported_and_listed(settings, faces, caplog):
    (faces / "labels.csv").unlink()
    copy = (faces / "train" / "anger" / "anger_010.png").read_bytes()
    (faces / "train" / "sad" / "same.png").write_bytes(copy)
    with caplog.at_level(logging.WARNING):
        job, *_, record, manifest = prepare(settings, faces)
    assert "1 groups of duplicates (2 images) carry contradicting labels" in caplog.text
    assert record.contradictions == 1
    (found,) = json.loads(read_blob(job.storage, record.contradictions_blob))
    assert (found["paths"], found["labels"]) == (["anger/anger_010.png", "sad/same.png"], ["anger", "sad"])
    rows = [path in found["paths"] for path in manifest.values("path")]
    assert len(set(manifest.values("split")[rows])) == 1


def test_a_group_column_or_pattern_that_cannot_be_is_refused_before_ingest(settings, faces):
    with pytest.raises(LabelsFileError, match=r"`who`.*line 1"):
        prepare(settings, faces, group_column="who")
    with pytest.raises(ParameterError, match="matches none of 94"):
        prepare(settings, faces, group_pattern="nobody")
    (faces / "labels.csv").unlink()
    with pytest.raises(LabelsFileError, match="needs a labels file"):
        prepare(settings, faces, group_column="who")


def test_a_balanced_test_split_marks_dataset_scores_and_run(settings, faces, caplog):
    _, run, divided, before, _ = prepare(settings, faces, balance_test=True)
    assert not before.altered_test
    with caplog.at_level(logging.WARNING):
        augmented = steps.augment(run, divided, settings=settings)
    assert "altered copies" in caplog.text
    job = open_job(run, settings)
    record = job.load(augmented, DatasetRecord)
    assert record.altered_test
    test = load_dataset(job, record).of_split("test")
    assert len({test.values("label").tolist().count(label) for label in record.class_names}) == 1
    score = job.load(steps.measure_floor(run, augmented, settings=settings), ScoreRecord)
    assert score.altered_test
    run_id = open_registry(settings).open_run("floor", key="floor:test", parent_id=job.run.mlflow_run_id)
    from mlflow import MlflowClient

    found = MlflowClient(settings.mlflow_uri).get_run(run_id)
    assert found.data.tags["altered_test"] == "True"


def test_without_balance_no_score_is_marked(settings, faces):
    _, run, divided, _, _ = prepare(settings, faces)
    augmented = steps.augment(run, divided, settings=settings)
    job = open_job(run, settings)
    assert not job.load(augmented, DatasetRecord).altered_test
