import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_tasks.data.labels import parse_labels
from affect_tasks.errors import LabelsFileError, UnknownLabelError

CLASSES = {"anger", "happy", "sad"}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (b"\xef\xbb\xbfpth,label\na.png,sad\n", {"a.png": "sad"}),
        (b",pth,label,relFCs\r\n0,sad/a.png,Sad,0.5\r\n", {"sad/a.png": "sad"}),
        (b"label,pth\nsad,a.png\n", {"a.png": "sad"}),
        (b"pth,label\ntrain/000123.png,SAD \n", {"000123.png": "sad"}),
        (b"pth,label\n1e5,sad\n", {"1e5": "sad"}),
        (b"pth,label\nNA,sad\nnull,happy\n", {"NA": "sad", "null": "happy"}),
        (b"pth,label\na.png,sad\na.png,sad\n", {"a.png": "sad"}),
        (b"pth,label\n./a.png,sad\n\nsad//b.png,happy\n", {"a.png": "sad", "sad/b.png": "happy"}),
        (b'pth,label\n"a, ""b"".png","sad"\n', {'a, "b".png': "sad"}),
        (b"pth,label\na.png,sad", {"a.png": "sad"}),
        ("pth,label\nä.png,sad\n".encode(), {"ä.png": "sad"}),
        (b"pth,label\n-x .png,sad\n", {"-x .png": "sad"}),
    ],
)
def test_paths_and_labels_are_read_as_they_are_written(text, labels):
    assert parse_labels(text, class_names=CLASSES).labels == labels


@pytest.mark.parametrize("label", ["NA", "None", "null", "000123", "1e5", "nan", "True"])
def test_a_class_may_be_called_like_a_missing_value_or_a_number(label):
    table = parse_labels(f"pth,label\na.png,{label}\n".encode(), class_names={label.casefold()})
    assert table.labels == {"a.png": label.casefold()}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (b"pth,label\na.png,sad\nb.png,glad\n", UnknownLabelError, "line 3 has 'glad'"),
        (b"pth,label\na.png,NA\n", UnknownLabelError, "line 2 has 'NA'"),
        (b"pth,label\na.png,None\n", UnknownLabelError, "line 2 has 'None'"),
        (b"pth,label\na.png,null\n", UnknownLabelError, "line 2 has 'null'"),
        (b"pth,label\na.png,\n", UnknownLabelError, "line 2 has ''"),
        (b"pth,label\na.png,sad,1\n", LabelsFileError, "line 2 has 3"),
        (b"pth,label\na.png,sad\nb.png\n", LabelsFileError, "line 3 has 1"),
        (b"pth,label\na.png,sad\na.png,happy\n", LabelsFileError, "line 3 gives 'a.png' 'happy' after 'sad'"),
        (b"pth;label\na.png;sad\n", LabelsFileError, "separated by commas; labels.csv, line 1"),
        (b"index,path,label\n0,a.png,sad\n", LabelsFileError, "`pth`.*line 1"),
        (b"pth,pth,label\na,b,sad\n", LabelsFileError, "one column `pth`.*line 1"),
        (b"pth,label\n", LabelsFileError, "at least one row"),
        (b"\n\n", LabelsFileError, "line 1"),
        (b"", LabelsFileError, "line 1"),
        ("pth,label\na.png,sad\nä.png,sad\n".encode("latin-1"), LabelsFileError, "UTF-8; labels.csv, line 3"),
        ("pth,label\na.png,sad\n".encode("utf-16"), LabelsFileError, "UTF-8; labels.csv, line 1"),
        (b"pth,label\na\0.png,sad\n", LabelsFileError, "line 2 has a NUL"),
        (b'pth,label\n"a.png,sad\n', LabelsFileError, "well-formed CSV; labels.csv, line 2"),
        (b'pth,label\n"a"b.png,sad\n', LabelsFileError, "well-formed CSV; labels.csv, line 2"),
    ],
)
def test_a_faulty_labels_file_is_refused_with_its_line(text, error, words):
    with pytest.raises(error, match=words):
        parse_labels(text, class_names=CLASSES)


@pytest.mark.parametrize(
    "path",
    [
        "../a.png", "../../etc/x.jpg", "sad/../../x.jpg", "/etc/x.jpg", "//host/x.jpg", "file:///etc/x.jpg",
        "https://example.org/x.jpg", "s3://bucket/x.jpg", "C:/x.jpg", "C:\\x.jpg", "\\\\host\\x.jpg", "sad\\x.jpg",
        "..\\x.jpg", "", " ", ".", "./",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused_with_its_line(path):
    with pytest.raises(LabelsFileError, match=r"relative.*line 3"):
        parse_labels(f'pth,label\na.png,sad\n"{path}",sad\n'.encode(), class_names=CLASSES)


def test_a_column_may_name_the_subject():
    text = b"pth,label,who\na.png,sad, s1\nb.png,happy,\n"
    assert parse_labels(text, class_names=CLASSES, group_column="who").subjects == {"a.png": "s1", "b.png": ""}
    assert parse_labels(text, class_names=CLASSES).subjects == {}


def test_a_missing_group_column_or_two_subjects_are_refused_with_their_line():
    with pytest.raises(LabelsFileError, match=r"`whom`.*line 1"):
        parse_labels(b"pth,label,who\na.png,sad,s1\n", class_names=CLASSES, group_column="whom")
    with pytest.raises(LabelsFileError, match=r"one who; labels.csv, line 3 gives 'a.png' 's2' after 's1'"):
        parse_labels(b"pth,label,who\na.png,sad,s1\na.png,sad,s2\n", class_names=CLASSES, group_column="who")


def test_a_million_rows_are_read_in_seconds():
    text = ("pth,label\n" + "".join(f"sad/image{row:07d}.jpg,sad\n" for row in range(1_000_000))).encode()
    started = time.process_time()
    assert len(parse_labels(text, class_names=CLASSES).labels) == 1_000_000
    assert time.process_time() - started < 20


@given(st.one_of(st.binary(max_size=80), st.text("pthlabe,;\"'\r\n\t\0\\/.é ", max_size=40).map(str.encode)))
@settings(max_examples=300)
def test_no_bytes_escape_as_another_error(data):
    for text in (data, b"pth,label\n" + data):
        with contextlib.suppress(LabelsFileError, UnknownLabelError):
            assert parse_labels(text, class_names=CLASSES).labels
