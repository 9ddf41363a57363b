import subprocess
import sys
import threading

import pytest

from affect_tasks.data import transaction
from affect_tasks.data.transaction import flush_files, stage_folder
from affect_tasks.errors import InputError, StorageError


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    return folder


@pytest.fixture(params=["exchange", "two renames"])
def exchange(request, monkeypatch):
    """Both ways to replace a folder; the second is for file systems without RENAME_EXCHANGE."""
    if request.param == "two renames":
        monkeypatch.setattr(transaction, "_exchange", lambda first, second: False)


def rewrite(folder, text="new"):
    with stage_folder(folder, in_place=True) as staging:
        (staging / "new.txt").write_text(text)


def fail_to_rewrite(folder):
    with stage_folder(folder, in_place=True) as staging:
        (staging / "new.txt").write_text("half")
        raise ZeroDivisionError("half-way")


def overtake(target):
    with stage_folder(target) as slow:
        (slow / "slow.txt").write_text("slow")
        with stage_folder(target) as fast:
            (fast / "fast.txt").write_text("fast")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_whole_and_nothing_is_left_beside_it(tree, exchange):
    tree.chmod(0o750)
    rewrite(tree)
    assert names(tree) == ["new.txt"]
    assert names(tree.parent) == ["tree"]
    assert tree.stat().st_mode & 0o777 == 0o750


def test_an_error_leaves_the_old_tree_and_nothing_beside_it(tree):
    with pytest.raises(ZeroDivisionError, match="half-way"):
        fail_to_rewrite(tree)
    assert names(tree) == ["old.txt"]
    assert names(tree.parent) == ["tree"]


@pytest.mark.parametrize("present", ["nothing", "an empty folder", "an empty train"])
def test_the_output_may_be_missing_or_empty_or_hold_an_empty_train(tmp_path, present):
    target = tmp_path / "deep" / "out"
    if present != "nothing":
        (target / "train" if present == "an empty train" else target).mkdir(parents=True)
    with stage_folder(target) as staging:
        (staging / "new.txt").write_text("new")
    assert names(target) == ["new.txt"]


@pytest.mark.parametrize("entry", ["a file", "a full train", "two folders"])
def test_an_output_folder_that_holds_something_is_refused(tmp_path, entry):
    target = tmp_path / "out"
    if entry == "a file":
        target.write_text("mine")
    else:
        (target / "train").mkdir(parents=True)
        (target / "train" / "x" if entry == "a full train" else target / "test").mkdir()
    with pytest.raises(InputError, match="must be new, empty or hold one empty `train`"), stage_folder(target):
        pass
    assert target.exists()


def test_two_runs_on_one_output_do_not_mix(tmp_path):
    target = tmp_path / "out"
    with pytest.raises(InputError, match="another run"):
        overtake(target)
    assert names(target) == ["fast.txt"]
    assert names(tmp_path) == ["out"]


def test_two_runs_may_not_rewrite_one_folder_at_once(tree):
    faults = []

    def second():
        try:
            rewrite(tree)
        except StorageError as error:
            faults.append(str(error))

    with stage_folder(tree, in_place=True) as staging:
        (staging / "first.txt").write_text("first")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "One run at a time" in faults[0]
    assert names(tree) == ["first.txt"]


def test_the_next_start_removes_what_a_killed_run_left(tree):
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom affect_tasks.data.transaction import stage_folder\n"
        f"with stage_folder(Path({str(tree)!r}), in_place=True) as staging:\n"
        "    (staging / 'half.txt').write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert names(tree) == ["old.txt"]
    assert len(names(tree.parent)) == 2
    rewrite(tree)
    assert names(tree) == ["new.txt"]
    assert names(tree.parent) == ["tree"]


def test_the_next_start_brings_back_a_tree_that_was_moved_away_when_its_run_was_killed(tree):
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom affect_tasks.data import transaction\n"
        "transaction._exchange = lambda first, second: False\n"
        "transaction.flush_entry = lambda path: None\n"
        "rename = Path.rename\n"
        "def rename_once(path, to):\n    rename(path, to)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.rename = rename_once\n"
        f"with transaction.stage_folder(Path({str(tree)!r}), in_place=True) as staging:\n    pass\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert not tree.exists()
    with pytest.raises(ZeroDivisionError, match="half-way"):
        fail_to_rewrite(tree)
    assert names(tree) == ["old.txt"]
    assert names(tree.parent) == ["tree"]


def test_a_folder_to_rewrite_must_exist(tmp_path):
    with pytest.raises(InputError, match="must exist"):
        rewrite(tmp_path / "nowhere")


def test_names_of_255_bytes_can_be_made_and_rewritten(tmp_path):
    target = tmp_path / ("n" * 255)
    with stage_folder(target) as staging:
        (staging / "a").write_text("a")
    rewrite(target)
    assert names(target) == ["new.txt"]


@pytest.mark.parametrize("count", [1, 100])
def test_flushing_works_for_few_and_for_many_files(tmp_path, count):
    for number in range(count):
        (tmp_path / str(number)).write_bytes(b"x")
    flush_files([str(path) for path in tmp_path.iterdir()], tmp_path)
    assert len(names(tmp_path)) == count
