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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relabel", "somewhere"], "`--output-path` is missing"),
        (["relabel", "runs/none", "ingest/none"], "is missing"),
        (["datasplit", "nowhere"], "must exist"),
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
