import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.data.export import fold_path, place_images, suffix_name, write_tree

NAMES = st.lists(
    st.text("aAeE\u00e9\u00c9\u0301.- ", min_size=1, max_size=4).map(lambda s: f"sad/{s}.jpg"), max_size=30
)


def place(wanted, ids=None):
    ids = ids or [f"{row:064x}" for row in range(len(wanted))]
    return place_images(wanted, wanted, identify=ids.__getitem__)


@given(NAMES)
def test_every_image_gets_a_path_that_no_file_system_confuses_with_another(wanted):
    done = place(wanted)
    assert len({fold_path(path) for path in done.paths}) == len(wanted)
    moved = {row for row, path in enumerate(done.paths) if path != wanted[row]}
    assert len(moved) == len(done.collisions)
    assert len(moved) == len(wanted) - len({fold_path(path) for path in wanted})


@given(NAMES, st.randoms(use_true_random=False))
def test_paths_depend_on_the_images_not_on_their_order(wanted, random):
    ids = [f"{row * 2654435761 % 2**32:08x}" for row in range(len(wanted))]
    order = list(range(len(wanted)))
    random.shuffle(order)
    done = place([wanted[row] for row in order], [ids[row] for row in order])
    assert dict(zip(order, done.paths, strict=True)) == dict(enumerate(place(wanted, ids).paths))


def test_the_first_by_image_id_keeps_its_name():
    done = place(["a/x.jpg", "a/X.jpg", "a/x.jpg"], ["cc" * 32, "aa" * 32, "bb" * 32])
    assert done.paths == ("a/x-cccccccc.jpg", "a/X.jpg", "a/x-bbbbbbbb.jpg")
    assert {collision.given for collision in done.collisions} == {"a/x-cccccccc.jpg", "a/x-bbbbbbbb.jpg"}


def test_equal_images_of_one_name_are_all_kept():
    assert place(["a/x.jpg"] * 3, ["aa" * 32] * 3).paths == ("a/x.jpg", "a/x-aaaaaaaa.jpg", "a/x-aaaaaaaa-2.jpg")


def test_a_suffix_never_takes_a_name_that_is_there():
    wanted = ["a/x.jpg", "a/x.jpg", "a/x-bbbbbbbb.jpg"]
    assert place(wanted, ["aa" * 32, "bb" * 32, "cc" * 32]).paths[1:] == ("a/x-bbbbbbbb-2.jpg", "a/x-bbbbbbbb.jpg")


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125, "日" * 83])
def test_a_suffixed_name_fits_into_255_bytes(stem):
    name = suffix_name(f"{stem}.jpg", "1f2e3d4c")
    assert len(name.encode()) <= 255
    assert name.endswith("-1f2e3d4c.jpg")


def test_unicode_forms_count_as_one_name():
    assert fold_path(unicodedata.normalize("NFC", "É")) == fold_path(unicodedata.normalize("NFD", "é"))


def test_files_are_linked_unless_copies_are_asked_for(tmp_path):
    source = tmp_path / "x.jpg"
    source.write_bytes(b"image")
    for copy in (False, True):
        folder = tmp_path / f"tree{copy}"
        folder.mkdir()
        write_tree(folder, [("a/b/x.jpg", str(source)), ("list.csv", b"rows")], copy=copy)
        assert (folder / "a" / "b" / "x.jpg").read_bytes() == b"image"
        assert (folder / "list.csv").read_bytes() == b"rows"
        assert (folder / "a" / "b" / "x.jpg").samefile(source) != copy


def test_nothing_is_overwritten(tmp_path):
    with pytest.raises(FileExistsError):
        write_tree(tmp_path, [("a.csv", b"1"), ("a.csv", b"2")], copy=False)
