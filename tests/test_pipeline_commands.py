import cv2
import numpy as np
import pytest

from affect_tasks.cli import main


def test_the_example_is_valid_and_shown(tmp_path, capsys):
    output, picture = tmp_path / "recipe.yaml", tmp_path / "recipe.png"
    main(["pipeline", "example", "--output", str(output), "--picture", str(picture)])
    main(["pipeline", "check", str(output)])
    assert "is a valid recipe" in capsys.readouterr().out
    main(["pipeline", "show"])
    default = capsys.readouterr().out
    main(["pipeline", "show", "--file", str(output)])
    assert capsys.readouterr().out == default
    assert "HorizontalFlip  p 0.5" in default
    sheet = cv2.imread(str(picture))
    assert sheet is not None
    assert sheet.shape[0] == sheet.shape[1] > 3 * 96
    assert sheet.std() > 10


def test_the_picture_shows_altered_copies_of_the_image_given(tmp_path):
    image, picture = tmp_path / "red.png", tmp_path / "sheet.png"
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 2] = 200
    cv2.imwrite(str(image), pixels)
    output = tmp_path / "recipe.yaml"
    main(["pipeline", "example", "--output", str(output), "--image", str(image), "--picture", str(picture)])
    sheet = cv2.imread(str(picture))
    assert sheet is not None
    assert tuple(sheet[100, 100]) == (0, 0, 200)
    colours = [tuple(sheet[8 + 200 * row + 96, 8 + 200 * column + 96]) for row in range(3) for column in range(3)]
    assert len(set(colours)) > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "{folder}/none.yaml"], "readable file"),
        (["check", "{folder}/bad.yaml"], "`transform.transforms[0].__class_fullname__`"),
        (["show", "--file", "{folder}/bad.yaml"], "`transform.transforms[0].__class_fullname__`"),
        (["example", "--output", "{folder}/bad.yaml"], "exists"),
        (["example", "--output", "{folder}/none/recipe.yaml"], "No such file"),
        (["check", "{folder}/good.yaml", "--image", "{folder}/none.png"], "none.png"),
        (["check", "{folder}/large.yaml"], "96 x 96"),
    ],
)
def test_a_fault_is_one_message_and_status_one(tmp_path, arguments, words):
    recipe = "transform:\n  __class_fullname__: Compose\n  transforms:\n  - __class_fullname__: {}\n"
    (tmp_path / "bad.yaml").write_text(recipe.format("Magic"))
    (tmp_path / "good.yaml").write_text(recipe.format("HorizontalFlip"))
    (tmp_path / "large.yaml").write_text(recipe.format("RandomCrop") + "    height: 400\n    width: 400\n")
    with pytest.raises(SystemExit) as caught:
        main(["pipeline", *(argument.format(folder=tmp_path) for argument in arguments)])
    assert str(caught.value).startswith("affect: ")
    assert words in str(caught.value)
