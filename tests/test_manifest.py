import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.errors import CorruptBlobError
from affect_tasks.manifest import build_manifest, dump_manifest, load_manifest


def make_manifest(labels, *, groups=None):
    """Make a manifest of images with these labels; groups are by number."""
    count = len(labels)
    ids = [f"{index:064x}" for index in range(count)]
    group = [f"g{number:06d}" for number in groups] if groups is not None else ids
    texts = {"image_id": ids, "path": [f"{label}/{i}.png" for i, label in enumerate(labels)], "label": labels}
    empty = {name: [""] * count for name in ("origin", "split", "source_id", "shard")}
    return build_manifest(
        {
            **texts,
            **empty,
            "folder_label": labels,
            "width": [96] * count,
            "height": [96] * count,
            "group": group,
            "seed": [-1] * count,
        }
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=20))
def test_a_manifest_survives_write_and_read(labels):
    manifest = make_manifest(labels)
    read = load_manifest(dump_manifest(manifest))
    assert read.table.equals(manifest.table)
    assert read.digest == manifest.digest


def test_the_digest_follows_every_value():
    manifest = make_manifest(["anger", "sad"])
    assert manifest.replace({"label": ["anger", "happy"]}).digest != manifest.digest
    assert manifest.replace({"seed": np.array([1, -1])}).digest != manifest.digest
    assert manifest.replace({"label": ["anger", "sad"]}).digest == manifest.digest


def write_parquet(table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_a_manifest_without_the_optional_columns_reads_as_if_they_were_empty():
    manifest = make_manifest(["anger", "sad"])
    older = write_parquet(manifest.table.drop_columns(["subject", "fingerprint"]))
    assert load_manifest(older).table.equals(manifest.table)


def test_what_is_no_manifest_is_refused_with_a_sentence():
    table = make_manifest(["anger", "sad"]).table
    nulls = table.set_column(2, "label", pa.array(["anger", None]))
    texts = table.set_column(5, "width", pa.array(["wide", "high"]))
    broken = pa.StringArray.from_buffers(2, *pa.array([b"\xff", b"a"]).buffers()[1:])
    faults = [b"", b"PAR1", b"text", *map(write_parquet, [table.drop_columns(["label"]), nulls, texts])]
    faults.append(write_parquet(table.set_column(2, "label", broken)))
    for data in faults:
        with pytest.raises(CorruptBlobError, match=r"Run the steps again\.$"):
            load_manifest(data)


@given(
    places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    length=st.integers(0, 10_000),
)
def test_no_damaged_manifest_escapes_as_another_error(places, length):
    data = bytearray(dump_manifest(make_manifest(["anger", "sad"])))
    for at, value in places:
        data[at % len(data)] = value
    for damaged in (bytes(data), bytes(data[: length % len(data)])):
        try:
            assert len(load_manifest(damaged).digest) == 64
        except CorruptBlobError:
            continue


def test_copies_in_the_test_split_are_told_from_those_in_training():
    manifest = make_manifest(["anger", "sad", "sad"]).replace({"split": ["train", "test", "test"]})
    assert not manifest.has_altered_test
    assert not manifest.replace({"source_id": ["original", "", ""]}).has_altered_test
    assert manifest.replace({"source_id": ["", "", "original"]}).has_altered_test
