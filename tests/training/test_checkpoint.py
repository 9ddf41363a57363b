import errno

import pytest

from affect_tasks.errors import StorageError
from affect_tasks.training.checkpoint import EpochScore, find_checkpoint, write_checkpoint


@pytest.fixture
def score():
    return EpochScore(1, 1.0, 0.5, 1.1, 0.4, 1e-3, 2.0, 100.0)


def test_the_last_two_checkpoints_are_kept(tmp_path, score):
    for epoch in range(1, 5):
        write_checkpoint(tmp_path, [score] * epoch, lambda path: path.write_bytes(b"model"))
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == ["epoch-00003.keras", "epoch-00004.keras"]
    assert find_checkpoint(tmp_path).epoch == 4


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(tmp_path, score):
    write_checkpoint(tmp_path, [score], lambda path: path.write_bytes(b"first"))

    def fail_half_way(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"No space left.*Free space"):
        write_checkpoint(tmp_path, [score, score], fail_half_way)
    found = find_checkpoint(tmp_path)
    assert (found.epoch, found.model_path.read_bytes()) == (1, b"first")
    assert not list(tmp_path.glob(".aside-*"))
