import pytest

from affect_tasks import steps
from affect_tasks.data.recipe import dump_default_recipe
from affect_tasks.errors import RecipeError
from affect_tasks.records import DatasetRecord, RunRecord, load_record
from affect_tasks.storage import open_storage, read_blob


@pytest.mark.integration
def test_a_users_recipe_is_kept_with_the_run_and_tells_its_copies_from_others(settings, faces, tmp_path):
    path = tmp_path / "recipe.yaml"
    storage = open_storage(settings)

    def augment(name, recipe):
        if recipe is not None:
            path.write_bytes(recipe)
        values = {"data": str(faces), "pipeline_yaml": str(path) if recipe is not None else None}
        run = steps.check(values, name=name, settings=settings)
        # The file may go once the run is open: the steps may lie on other machines.
        path.unlink(missing_ok=True)
        relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
        key = steps.augment(run, steps.split(run, relabelled, settings=settings), settings=settings)
        return key, load_record(storage, run, RunRecord), load_record(storage, key, DatasetRecord)

    example = dump_default_recipe()
    edited = example.replace(b"dropout_prob: 0.01", b"dropout_prob: 0.05")
    plain, run, dataset = augment("plain", None)
    assert run.recipe_blob is None
    other, run, changed = augment("edited", edited)
    assert read_blob(storage, run.recipe_blob) == edited
    same, _, unchanged = augment("example", example)
    assert len({plain, other, same}) == 3
    assert dataset.copies == changed.copies > 0
    assert unchanged.dataset == dataset.dataset != changed.dataset
    assert augment("again", edited)[0] == other
    with pytest.raises(RecipeError, match="dropout_prob"):
        augment("wrong", example.replace(b"dropout_prob: 0.01", b"dropout_prob: 5"))
