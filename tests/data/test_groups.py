import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.data.decode import encode_jpeg
from affect_tasks.data.drawing.looks import AFFECTS
from affect_tasks.data.duplicates import are_near, group_fingerprints
from affect_tasks.data.faces import draw_face
from affect_tasks.data.fingerprint import compute_fingerprint, mirror_fingerprints, unpack_fingerprints
from affect_tasks.data.groups import find_contradictions, find_unseen, join_near_duplicates, join_subjects
from affect_tasks.data.subjects import extract_subjects, look_up_subjects
from affect_tasks.errors import InputError, ParameterError
from affect_tasks.manifest import build_manifest

BITS = 40
FACES = [draw_face(AFFECTS[seed % 8], seed=seed, side_px=96) for seed in range(160)]
PRINTS = [compute_fingerprint(face) for face in FACES]


def scale(pixels, share):
    return np.clip(pixels.astype(np.float32) * share, 0, 255).astype(np.uint8)


def shrink(pixels):
    small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC)


ALTERATIONS = {
    "encoded again": lambda p: cv2.imdecode(np.frombuffer(encode_jpeg(p, quality=75), np.uint8), cv2.IMREAD_COLOR_RGB),
    "scaled": shrink,
    "brighter": lambda p: scale(p, 1.1),
    "darker": lambda p: scale(p, 0.9),
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "mirrored and encoded again": lambda p: cv2.imdecode(
        np.frombuffer(encode_jpeg(np.ascontiguousarray(p[:, ::-1]), quality=75), np.uint8), cv2.IMREAD_COLOR_RGB
    ),
}


def join(fingerprints, **options):
    ids = [f"{number:04d}" for number in range(len(fingerprints))]
    return join_near_duplicates(ids, ids, fingerprints, near_duplicate_bits=options.get("bits", BITS)).tolist()


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_of_faces_join_their_originals_and_no_other(name):
    groups = join([*PRINTS, *(compute_fingerprint(ALTERATIONS[name](face)) for face in FACES)])
    assert groups[: len(FACES)] == groups[len(FACES) :]
    assert len(set(groups)) == len(FACES)


def test_a_mirrored_picture_has_the_mirrored_fingerprint():
    mirrored = [compute_fingerprint(np.ascontiguousarray(face[:, ::-1])) for face in FACES]
    assert (mirror_fingerprints(unpack_fingerprints(PRINTS)) == unpack_fingerprints(mirrored)).all()


def test_at_0_bits_equal_fingerprints_alone_share_a_group():
    altered = PRINTS[0][:-1] + f"{int(PRINTS[0][-1], 16) ^ 1:x}"
    assert len(set(join([*PRINTS, PRINTS[0], altered], bits=0))) == len(PRINTS) + 1


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_almost_flat_pictures_have_no_fingerprint_and_join_nothing(shade):
    noise = np.random.default_rng(shade).integers(0, 4, (20, 96, 96, 3))
    flat = [compute_fingerprint(np.clip(noise[row] + shade, 0, 255).astype(np.uint8)) for row in range(20)]
    assert set(flat) == {""}
    assert len(set(join(flat))) == 20


def test_duplicates_without_fingerprint_stay_together():
    groups = join_near_duplicates(["b", "b", "a"], ["b", "b", "a"], ["", "", ""], near_duplicate_bits=BITS)
    assert groups.tolist() == ["b", "b", "a"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_groups_are_the_same_in_any_order_and_none_joins_the_unlike(seed, count):
    random = np.random.default_rng(seed)
    originals = random.integers(0, 2**64, (count, 4), dtype=np.uint64) & ~np.uint64(1 << 7)
    copies = originals ^ (np.uint64(1) << random.integers(8, 64, (count, 1), dtype=np.uint64))
    words = np.unique(np.concatenate([originals, copies, mirror_fingerprints(copies[::2])]), axis=0)
    groups = group_fingerprints(words, max_bits=32)
    assert len(set(groups)) == count
    order = random.permutation(len(words))
    again = group_fingerprints(words[order], max_bits=32)
    assert len(set(zip(groups[order].tolist(), again.tolist(), strict=True))) == count


def test_pictures_that_differ_in_coarse_structure_are_not_near():
    word = unpack_fingerprints(["0" * 64])
    coarse, fine = ["70" + "0" * 62], ["0" * 54 + "ff" * 5]
    assert not are_near(word, unpack_fingerprints(coarse), max_bits=BITS)[0]
    assert are_near(word, unpack_fingerprints(fine), max_bits=BITS)[0]
    assert not are_near(word, unpack_fingerprints(["0" * 52 + "ff" * 6]), max_bits=BITS)[0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=30))
def test_subjects_and_groups_are_joined_through_each_other(rows):
    ids = [f"{number:02d}" for number in range(len(rows))]
    groups, subjects = [f"g{group}" for group, _ in rows], [f"s{who}" if who else "" for _, who in rows]
    joined = join_subjects(ids, groups, subjects)
    for first, one in enumerate(rows):
        for second, other in enumerate(rows):
            if one[0] == other[0] or (one[1] and one[1] == other[1]):
                assert joined[first] == joined[second]
    assert all(joined[ids.index(name)] == name for name in joined)
    assert join_subjects(ids, joined, subjects).tolist() == joined.tolist()
    assert len(set(join_subjects(ids, groups, [""] * len(ids)))) == len(set(groups))


def test_contradicting_labels_within_a_group_are_listed():
    found = find_contradictions(
        ["1", "2", "3", "4"], ["1", "1", "3", "3"], paths=["b", "a", "c", "d"], labels=["sad", "happy", "sad", "sad"]
    )
    assert [(one.group, one.paths, one.image_ids, one.labels) for one in found] == [
        ("1", ("a", "b"), ("2", "1"), ("happy", "sad"))
    ]


def make_manifest(image_ids, groups, fingerprints, subjects):
    texts = ("path", "label", "folder_label", "origin", "split", "source_id", "shard")
    numbers = {name: [0] * len(image_ids) for name in ("width", "height", "seed")}
    columns = {"image_id": image_ids, "group": groups, "fingerprint": fingerprints, "subject": subjects}
    return build_manifest({**columns, **numbers, **{name: [""] * len(image_ids) for name in texts}})


def test_an_image_is_seen_by_id_by_group_by_subject_and_by_look():
    altered = compute_fingerprint(ALTERATIONS["encoded again"](FACES[1]))
    ours = make_manifest(
        ["0", "1", "2", "3", "4"], ["0", "1", "2", "g", "4"], ["", altered, "", "", ""], ["", "", "s", "", ""]
    )
    theirs = make_manifest(["0", "5", "6", "7"], ["x", "5", "6", "g"], ["", PRINTS[1], "", ""], ["", "", "s", ""])
    assert find_unseen(ours, theirs, near_duplicate_bits=BITS).tolist() == [False, False, False, False, True]
    assert find_unseen(ours, theirs, near_duplicate_bits=None).tolist() == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("pattern", "subjects"),
    [
        ("/(s[0-9]+)_", ["s01", "s02", ""]),
        ("s[0-9]+", ["s01", "s02", ""]),
        (r"(?P<who>s\d+)_(\d)", ["s01", "s02", ""]),
        ("^sad|anger", ["anger", "", "sad"]),
        (r"[a-z]\.png$", ["", "", "x.png"]),
    ],
)
def test_a_pattern_names_the_subject_by_its_group_or_all_it_matches(pattern, subjects):
    assert extract_subjects(["anger/s01_003.png", "happy/s02_1.png", "sad/x.png"], pattern) == subjects


@pytest.mark.parametrize(
    ("pattern", "words"), [("(s", "missing"), ("a)(b", "unexpected"), ("(?=s)", "RE2"), ("zzz", "none of 1")]
)
def test_a_pattern_that_is_wrong_or_matches_nothing_is_refused(pattern, words):
    with pytest.raises(ParameterError, match=words):
        extract_subjects(["anger/s01.png"], pattern)


def test_no_pattern_can_hang_a_run():
    assert extract_subjects(["a" * 250 + "!", "b/a"], "(a+)+$") == ["", "a"]


def test_an_empty_group_column_is_refused():
    assert look_up_subjects(["a", "b"], {"a": "s1"}, column="who") == ["s1", ""]
    with pytest.raises(InputError, match="'who' is empty for all 2"):
        look_up_subjects(["a", "b"], {"c": "s1"}, column="who")
