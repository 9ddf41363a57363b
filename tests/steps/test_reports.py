from pathlib import Path

import pytest

from affect_tasks import steps
from affect_tasks.cli import main
from affect_tasks.errors import InputError
from affect_tasks.records import open_job


@pytest.fixture
def augmented(settings, faces):
    (faces / "train" / "sad" / "page.png").write_text("<html>")
    run = steps.check({"data": str(faces)}, name="first", settings=settings)
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    return run, steps.augment(run, steps.split(run, relabelled, settings=settings), settings=settings)


@pytest.mark.integration
def test_the_report_is_attached_to_each_run_and_made_once(settings, augmented, tmp_path):
    from mlflow import MlflowClient

    run, dataset = augmented
    key = steps.report(run, dataset, settings=settings)
    job = open_job(run, settings)
    client = MlflowClient(settings.mlflow_uri)
    path = client.download_artifacts(job.run.mlflow_run_id, "data/report.html", str(tmp_path))
    page = Path(path).read_text()
    assert "sad/page.png" in page
    assert page.count("data:image/jpeg") > 4
    assert steps.report(run, dataset, settings=settings) == key
    assert job.list_notes(("report",))[0].reused


@pytest.mark.integration
def test_the_command_writes_the_latest_runs_report(augmented, tmp_path, capsys):
    out = tmp_path / "report.html"
    main(["report", str(out)])
    assert "the dataset of first" in capsys.readouterr().out
    assert out.read_text().startswith("<!doctype html>")
    main(["report", str(out), "--run-name", "first"])


def test_a_report_without_a_run_or_a_place_to_write_is_refused(settings, augmented, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(InputError, match="'second'"):
        steps.write_report(out, "second", settings=settings)
    with pytest.raises(InputError, match="must be writable"):
        steps.write_report(tmp_path / "no" / "report.html", "first", settings=settings)
    assert not out.exists()
    run = steps.check({"data": open_job(augmented[0], settings).params.data}, name="third", settings=settings)
    with pytest.raises(InputError, match="got as far as `augment`"):
        steps.write_report(out, run.split("/")[1], settings=settings)
