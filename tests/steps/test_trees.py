import csv
import hashlib
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from affect_tasks.errors import InputError, LabelsFileError, ParameterError, StorageError
from affect_tasks.steps.trees import relabel_tree, split_tree

CUT = b"\xff\xd8\xff\xe0 an image cut short"


def picture(seed, kind=".png"):
    return cv2.imencode(kind, np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8))[1].tobytes()


def list_tree(folder):
    """Tell a tree by its files' paths and digests."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def count_images(folder):
    return sum(name.endswith((".png", ".jpg")) for name in list_tree(folder))


def test_relabelling_keeps_every_image_under_its_label(faces, tmp_path):
    done = relabel_tree(faces, output_path=tmp_path / "out")
    assert (done.images, done.changed, done.unlisted, done.missing) == (94, 5, 0, 0)
    before = sorted(list_tree(faces / "train").values())
    assert sorted(list_tree(tmp_path / "out" / "train").values()) == before
    for row in read_rows(tmp_path / "out" / "labels.csv"):
        assert row["pth"].split("/")[0] == row["label"]
        assert (tmp_path / "out" / "train" / row["pth"]).is_file()


def test_further_columns_and_the_order_of_rows_are_kept(faces, tmp_path):
    relabel_tree(faces, output_path=tmp_path / "out")
    before, after = read_rows(faces / "labels.csv"), read_rows(tmp_path / "out" / "labels.csv")
    assert [(row["index"], row["relFCs"], row["label"]) for row in before] == [
        (row["index"], row["relFCs"], row["label"]) for row in after
    ]


def test_two_images_that_land_on_one_name_are_both_there_and_listed(faces, tmp_path):
    shutil.copy(faces / "train" / "sad" / "sad_001.png", faces / "train" / "happy" / "anger_010.png")
    with (faces / "labels.csv").open("a") as file:
        file.write("94,happy/anger_010.png,anger,0.1\n")
    done = relabel_tree(faces, output_path=tmp_path / "out")
    assert len(done.collisions) == 1
    assert count_images(tmp_path / "out") == 95
    listed = read_rows(tmp_path / "out" / "relabel-collisions.csv")
    assert [row["given"] for row in listed] == [done.collisions[0].given]
    assert (tmp_path / "out" / "train" / done.collisions[0].given).is_file()
    first, second = (
        (tmp_path / "out" / "train" / "anger" / "anger_010.png"),
        tmp_path / "out" / "train" / listed[0]["given"],
    )
    assert hashlib.sha256(first.read_bytes()).digest() < hashlib.sha256(second.read_bytes()).digest()


def test_images_without_a_row_and_rows_without_an_image_are_counted(faces, tmp_path):
    (faces / "train" / "sad" / "new.png").write_bytes(picture(5))
    (faces / "train" / "sad" / "sad_000.png").unlink()
    done = relabel_tree(faces, output_path=tmp_path / "out")
    assert (done.images, done.unlisted, done.missing) == (94, 1, 1)
    assert read_rows(tmp_path / "out" / "labels.csv")[-1]["pth"] == "sad/new.png"


def test_a_missing_labels_file_is_refused_and_leaves_nothing(faces, tmp_path):
    (faces / "labels.csv").unlink()
    with pytest.raises(LabelsFileError, match=r"labels\.csv"):
        relabel_tree(faces, output_path=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_split_tree_holds_every_image_once_and_its_lists_name_them(faces, tmp_path):
    done = split_tree(faces, output_path=tmp_path / "out")
    assert sum(sum(counts.values()) for counts in done.images.values()) == 94
    assert sorted(list_tree(faces / "train").values()) == sorted(
        digest for name, digest in list_tree(tmp_path / "out").items() if not name.endswith(".csv")
    )
    for split in ("train", "test"):
        rows = read_rows(tmp_path / "out" / f"{split}.csv")
        assert {row["filename"] for row in rows} == {
            name for name in list_tree(tmp_path / "out") if name.startswith(f"{split}/")
        }
        assert all(row["filename"].split("/")[1] == row["label"] for row in rows)
        assert {row["copy_of"] for row in rows} == {""}


def test_balanced_trees_are_equal_for_one_two_and_eight_workers(faces, tmp_path):
    trees = []
    for workers in (1, 2, 8):
        out = tmp_path / f"out{workers}"
        done = split_tree(
            faces, output_path=out, balance_train=True, balance_test=True, global_multiplier=3, workers=workers
        )
        assert len({count for counts in done.images.values() for count in counts.values()}) == 2
        trees.append(list_tree(out))
    assert trees[0] == trees[1] == trees[2]


def test_a_copy_names_its_original_in_the_list(faces, tmp_path):
    split_tree(faces, output_path=tmp_path / "out", balance_train=True, label_col="y", filename_col="x", workers=1)
    copies = [row for row in read_rows(tmp_path / "out" / "train.csv") if row["copy_of"]]
    assert copies
    for row in copies:
        assert (tmp_path / "out" / row["x"]).is_file()
        assert (tmp_path / "out" / row["copy_of"]).is_file()
        assert row["copy_of"].split("/")[1] == row["y"]


def test_validation_is_written_when_it_has_a_share(faces, tmp_path):
    done = split_tree(faces, output_path=tmp_path / "out", validation_split=0.1)
    assert set(done.images) == {"train", "validation", "test"}
    assert len(read_rows(tmp_path / "out" / "validation.csv")) == sum(done.images["validation"].values()) == 10


def test_rewriting_in_place_keeps_images_and_everything_else(faces, tmp_path):
    out = tmp_path / "out"
    expected = split_tree(faces, output_path=out).images
    (faces / "notes").mkdir()
    (faces / "notes" / "a.txt").write_text("mine")
    (faces / "train" / "sad" / "list.txt").write_text("mine too")
    (faces / "train" / "sad" / "cut.jpg").write_bytes(CUT)
    labels = (faces / "labels.csv").read_bytes()
    done = split_tree(faces)
    assert done.images == expected
    assert {file.path for file in done.quarantined} == {"sad/list.txt", "sad/cut.jpg"}
    tree = list_tree(faces)
    assert {name: tree.pop(name) for name in list_tree(out)} == list_tree(out)
    assert set(tree) == {
        "labels.csv",
        "notes/a.txt",
        "quarantine/sad/list.txt",
        "quarantine/sad/cut.jpg",
        "datasplit-quarantine.csv",
    }
    assert (faces / "labels.csv").read_bytes() == labels
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "out"]


def test_a_folder_that_is_split_already_is_not_rewritten(faces):
    split_tree(faces)
    before = list_tree(faces)
    with pytest.raises(InputError, match="must not be split already"):
        split_tree(faces)
    assert list_tree(faces) == before


def test_equal_images_stay_together_and_contradictions_are_reported(faces, tmp_path):
    for number in range(10):
        for label in ("happy", "sad"):
            (faces / "train" / label / f"twin_{number}.png").write_bytes(picture(number))
    done = split_tree(faces, output_path=tmp_path / "out")
    assert len(done.contradictions) == 10
    splits_of = {}
    for name, digest in list_tree(tmp_path / "out").items():
        splits_of.setdefault(digest, set()).add(name.split("/")[0])
    assert {len(splits) for splits in splits_of.values()} == {1}


def test_faulty_choices_are_refused(faces, tmp_path):
    for choices in (
        {"validation_split": 0.8},
        {"train_split": 1.0},
        {"global_multiplier": 0.5},
        {"label_col": "filename"},
        {"filename_col": "copy_of"},
        {"pipeline_yaml": tmp_path / "none.yaml"},
    ):
        with pytest.raises(ParameterError):
            split_tree(faces, output_path=tmp_path / "out", **choices)
    with pytest.raises(InputError, match="outside"):
        split_tree(faces, output_path=faces / "train" / "out")
    (faces / "train" / "sad" / "cut.jpg").write_bytes(CUT)
    with pytest.raises(InputError, match="1 of 95"):
        split_tree(faces, output_path=tmp_path / "out", unreadable_fraction=0.001)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_odd_names_are_kept_apart(tmp_path):
    folder = tmp_path / "in"
    (folder / "train" / "happy" / "deep").mkdir(parents=True)
    (folder / "train" / "sad").mkdir()
    odd = [
        unicodedata.normalize("NFC", "é.png"),
        unicodedata.normalize("NFD", "é.png"),
        "two words.png",
        "-rf.png",
        "x" * 251 + ".png",
        "Case.png",
        "case.png",
        "deep/case.png",
        "日本.png",
        "a,b'\".png",
    ]
    for number, name in enumerate([*odd, *(f"plain{number}.png" for number in range(10))]):
        (folder / "train" / "happy" / name).write_bytes(picture(number))
        (folder / "train" / "sad" / f"{number}.png").write_bytes(picture(100 + number))
    (folder / "train" / "sad" / "new\nline.png").write_bytes(picture(200))
    done = split_tree(folder, output_path=tmp_path / "out", balance_train=True, global_multiplier=2.0, workers=1)
    originals = [
        row for s in ("train", "test") for row in read_rows(tmp_path / "out" / f"{s}.csv") if not row["copy_of"]
    ]
    assert len(originals) + len(done.quarantined) == count_images(folder) == 41
    images = [name for name in list_tree(tmp_path / "out") if "/" in name]
    assert len(images) == sum(sum(counts.values()) for counts in done.images.values())
    assert all((tmp_path / "out" / row["filename"]).is_file() for row in originals)


def test_links_pipes_and_folders_called_like_images_are_skipped_with_a_reason(faces, tmp_path):
    sad = faces / "train" / "sad"
    (sad / "link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(sad / "pipe.jpg")
    (sad / "folder.jpg").mkdir()
    (faces / "train" / " ..").mkdir()
    (faces / "train" / " .." / "out.png").write_bytes(picture(1))
    done = split_tree(faces, output_path=tmp_path / "out")
    assert {file.path: file.reason.split(",")[0] for file in done.quarantined} == {
        "sad/link.jpg": "a link",
        "sad/pipe.jpg": "not a plain file",
        "sad/folder.jpg": "not a plain file",
        " ../out.png": "a class folder whose name is no label",
    }
    assert len(read_rows(tmp_path / "out" / "datasplit-quarantine.csv")) == 4
    split_tree(faces)
    assert (faces / "quarantine" / "sad" / "link.jpg").is_symlink()
    assert (faces / "quarantine" / "sad" / "pipe.jpg").is_fifo()


@pytest.mark.parametrize("choices", [{}, {"balance_train": True, "global_multiplier": 20, "workers": 2}])
def test_a_full_disk_is_a_named_error_and_leaves_the_older_tree_alone(faces, small_disk, choices):
    older = small_disk / "older"
    split_tree(faces, output_path=older)
    before = list_tree(older)
    (small_disk / "ballast").write_bytes(b"x" * (1_200_000 if choices else 1_500_000))
    with pytest.raises(StorageError, match="the disk is full"):
        split_tree(faces, output_path=small_disk / "newer", **choices)
    assert list_tree(older) == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast", "older"]


def test_a_read_only_input_is_split_by_copying(faces, tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a folder can be mounted read-only by root alone")
    mount = tmp_path / "mount"
    mount.mkdir()
    bound = subprocess.run(["mount", "--bind", faces, mount], check=False, capture_output=True)
    if bound.returncode:
        pytest.skip(f"a folder cannot be mounted here: {bound.stderr.decode().strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", mount], check=True)
        before = list_tree(mount)
        split_tree(mount, output_path=tmp_path / "out")
        relabel_tree(mount, output_path=tmp_path / "relabelled")
        with pytest.raises(StorageError):
            split_tree(mount)
        assert list_tree(mount) == before
    finally:
        subprocess.run(["umount", mount], check=True)
    assert count_images(tmp_path / "out") == count_images(tmp_path / "relabelled") == 94


SPLIT_IN_PLACE = """
import sys, time
from pathlib import Path
from affect_tasks.steps.trees import split_tree
print("ready", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
split_tree(Path(sys.argv[1]), balance_train=True, global_multiplier=2, workers=1)
print(time.perf_counter() - begin, flush=True)
"""


def start_split(folder):
    command = [sys.executable, "-c", SPLIT_IN_PLACE, str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    return process


@pytest.mark.integration
def test_a_kill_at_any_moment_leaves_the_old_tree_or_the_new_one_and_a_retry_ends_equal(faces, tmp_path):
    clean = tmp_path / "clean"
    shutil.copytree(faces, clean)
    with start_split(clean) as process:
        seconds = float(process.stdout.read())
    old, new = list_tree(faces), list_tree(clean)
    random = np.random.default_rng(27)
    for round_ in range(10):
        folder = tmp_path / f"round{round_}"
        shutil.copytree(faces, folder)
        with start_split(folder) as process:
            try:
                process.wait(random.uniform(0, 1.1 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
        assert list_tree(folder) in (old, new)
        if list_tree(folder) == old:
            split_tree(folder, balance_train=True, global_multiplier=2, workers=1)
            assert [path.name for path in tmp_path.glob(".affect-*")] == []
        assert list_tree(folder) == new
        shutil.rmtree(folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("choices", ["copy=True", "copy=False"])
def test_files_are_flushed_before_the_rename_and_the_parent_after_it(faces, choices, tmp_path):
    script = (
        "from pathlib import Path\nfrom affect_tasks.steps.trees import split_tree\n"
        f"split_tree(Path({str(faces)!r}), {choices})\n"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,syncfs,renameat2,rename,link,linkat", "-o", trace]
    traced = subprocess.run([*command, sys.executable, "-c", script], check=False, capture_output=True, text=True)
    if "ptrace" in traced.stderr:
        pytest.skip("processes may not be traced here")
    lines = trace.read_text().splitlines()
    renamed = next(number for number, line in enumerate(lines) if "renameat2(" in line)
    before, after = "\n".join(lines[:renamed]), "\n".join(lines[renamed:])
    if choices == "copy=True":
        assert "syncfs(" in before
    else:
        assert "train.csv>" in before
        assert "test.csv>" in before
    for folder in ("train/sad>", "test/happy>", "/train>", "/test>"):
        assert folder in before
    assert f"{Path(faces).parent}>" in after
    assert "link" not in after


def test_a_tree_is_split_without_importing_heavy_libraries(faces, tmp_path):
    script = (
        "import sys\nfrom affect_tasks.cli import main\n"
        f"main(['datasplit', {str(faces)!r}, '--output-path={tmp_path / 'out'}', '--no-group-near-duplicates'])\n"
        "print([name for name in ('pyarrow', 'pandas', 'cv2', 'albumentations', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("choice", [{"group_col": "who"}, {"group_pattern": r"_\d\d(\d)"}])
def test_no_subject_of_a_tree_is_in_two_splits(faces, tmp_path, choice):
    file = faces / "labels.csv"
    header, *rows = file.read_text().splitlines()
    named = [f"{row},s{row.split(',')[1][-5]}" for row in rows]
    file.write_text("\n".join([f"{header},who", *named]) + "\n")
    split_tree(faces, output_path=tmp_path / "out", group_near_duplicates=False, **choice)
    splits_of: dict[str, set[str]] = {}
    for path in (tmp_path / "out").rglob("*.png"):
        splits_of.setdefault(path.stem[-1], set()).add(path.relative_to(tmp_path / "out").parts[0])
    assert len(splits_of) == 10
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_a_group_column_that_is_not_there_is_refused(faces, tmp_path):
    with pytest.raises(LabelsFileError, match="who"):
        split_tree(faces, output_path=tmp_path / "out", group_col="who")
    with pytest.raises(ParameterError, match="one place"):
        split_tree(faces, output_path=tmp_path / "out", group_col="who", group_pattern="x")
    (faces / "labels.csv").unlink()
    with pytest.raises(LabelsFileError, match=r"labels\.csv"):
        split_tree(faces, output_path=tmp_path / "out", group_col="who")
    assert not (tmp_path / "out").exists()
