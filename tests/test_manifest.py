import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
