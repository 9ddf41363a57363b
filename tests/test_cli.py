import pytest

from affect_tasks.cli import Affect, main
from affect_tasks.params import RunParams

COMMANDS = [(field.alias or name).replace("_", "-") for name, field in Affect.model_fields.items()]


@pytest.fixture
def call(settings, capsys):
    """Run a command in this process; return its exit status and what it said to each stream."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status, said = 0, ""
        try:
            main(arguments)
        except SystemExit as stop:
            # The interpreter prints a status that is text, and ends with 1.
            status, said = (1, stop.code) if isinstance(stop.code, str) else (stop.code or 0, "")
        out, err = capsys.readouterr()
        return status, out, err + said

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call, command):
    status, out, _ = call(command, "--help")
    assert status == 0
    assert f"usage: affect {command}" in out


def test_no_command_asks_for_one(call):
    status, out, _ = call()
    assert status == 0
    assert all(command in out for command in COMMANDS)


def test_the_help_of_a_run_tells_every_parameter(call):
    _, out, _ = call("run", "--help")
    for name in RunParams.model_fields:
        assert f"--{name.replace('_', '-')}" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--epocs", "3"], "Did you mean `--epochs`? Ask `affect run --help`."),
        (["run", "--epocs=3"], "Did you mean `--epochs`?"),
        (["trian", "a", "b", "c"], "Did you mean `train`? Ask `affect --help`."),
        (["demofaces", "folder"], "Did you mean `demo-faces`?"),
        (["predict"], "required: IMAGE. Ask `affect predict --help`."),
        (["run", "--side-px", "8"], "`side_px`: Input should be greater than or equal to 32. Received: '8'."),
        (["run", "--epochs", "many"], "`epochs`: Input should be a valid integer"),
        (["run", "--networks", "vgg"], "'resnet18'"),
        (["check", "--warmup-epochs", "30"], "affect: The warm-up must end before the last epoch; got 30 of 12."),
    ],
    ids=" ".join,
)
def test_a_mistyped_command_is_one_sentence_and_status_2(call, settings, arguments, words):
    status, out, err = call(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("affect: ")
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not settings.folder.exists()


def test_images_that_are_not_there_are_one_sentence_and_status_1(call, tmp_path):
    status, _, err = call("check", "--data", str(tmp_path / "nowhere"))
    assert status == 1
    assert "nowhere is none. Give a folder" in err
    assert "Traceback" not in err


def test_a_setting_that_is_none_is_one_sentence_and_status_1(call, monkeypatch):
    monkeypatch.setenv("AFFECT_HOEM", "x")
    status, _, err = call("predict", "face.png")
    assert status == 1
    assert "AFFECT_HOEM is no setting" in err


def test_drawn_faces_come_in_the_number_asked_for(call, tmp_path):
    status, out, _ = call("demo-faces", str(tmp_path / "faces"), "--count", "80")
    assert status == 0
    assert out.startswith("80 faces in ")
    assert len(list((tmp_path / "faces").rglob("*/*/*.*"))) == 80
