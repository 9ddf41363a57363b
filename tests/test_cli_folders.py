import shutil

import pytest

from affect_tasks.cli import Datasplit, main


def test_a_folder_is_relabelled_and_split_from_the_command_line(faces, tmp_path, capsys):
    relabelled, divided = tmp_path / "relabelled", tmp_path / "divided"
    main(["relabel", str(faces), "--output-path", str(relabelled), "--label-csv", str(faces / "labels.csv")])
    main(["datasplit", str(relabelled), "--output-path", str(divided), "--balance-train", "--workers", "1", "--copy"])
    assert capsys.readouterr().out.split() == [str(relabelled), str(divided)]
    assert len((relabelled / "labels.csv").read_text().splitlines()) == 95
    assert {path.name for path in divided.iterdir()} == {"train", "test", "train.csv", "test.csv"}


def test_without_an_output_the_folder_itself_is_split(faces):
    main(["datasplit", str(faces), "--no-group-near-duplicates", "--seed", "3"])
    assert {path.name for path in faces.iterdir()} == {"train", "test", "train.csv", "test.csv", "labels.csv"}


def test_an_archive_is_relabelled_and_split_like_its_folder(faces, tmp_path, settings):
    archive = shutil.make_archive(str(tmp_path / "packed"), "gztar", faces)
    main(["relabel", archive, "--output-path", str(tmp_path / "relabelled")])
    main(["datasplit", archive, "--output-path", str(tmp_path / "divided"), "--seed", "3"])
    main(["datasplit", str(faces), "--output-path", str(tmp_path / "same"), "--seed", "3"])
    assert (tmp_path / "divided" / "test.csv").read_bytes() == (tmp_path / "same" / "test.csv").read_bytes()
    # Whoever edits the tree must not change what was imported.
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "divided" / "train").rglob("*.png"))


def test_an_archive_is_not_rewritten_in_place(faces, tmp_path, settings, capsys):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", faces)
    with pytest.raises(SystemExit, match="Only a folder is rewritten in place"):
        main(["datasplit", archive])


@pytest.mark.integration
def test_ingest_of_an_archive_tells_what_it_holds_and_prints_the_keys_of_the_next_step(
    faces, tmp_path, settings, capsys
):
    (faces / "train" / "sad" / "broken.png").write_bytes(b"")
    link = faces / "train" / "sad" / "link.png"
    link.symlink_to("sad_000.png")
    main(["ingest", str(faces)])
    assert "2 files set aside\n  1: a link" in capsys.readouterr().err
    link.unlink()
    main(["ingest", str(faces)])
    _, of_folder = capsys.readouterr().out.split()
    main(["ingest", shutil.make_archive(str(tmp_path / "packed"), "zip", faces)])
    said = capsys.readouterr()
    run, ingested = said.out.split()
    assert "94 images: anger 35, happy 35, sad 24\n1 files set aside\n  1: An image file must not be empty" in said.err
    assert ingested == of_folder
    main(["relabel", run, ingested])
    assert capsys.readouterr().out.startswith("steps/relabel/")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relabel", "somewhere"], "`--output-path` is missing"),
        (["relabel", "runs/none", "ingest/none"], "is missing"),
        (["datasplit", "nowhere"], "must exist"),
        (["datasplit", "kaggle:owner/dataset"], "Only a folder is rewritten in place"),
        (["datasplit", "nowhere", "--train-split", "1.5"], "train_split"),
    ],
)
def test_a_faulty_command_is_one_message(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AFFECT_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert words in f"{caught.value}{capsys.readouterr().err}"


def test_every_option_of_datasplit_has_a_help_text():
    assert all(field.description for field in Datasplit.model_fields.values())
