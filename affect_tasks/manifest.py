"""The typed table that steps hand to each other: one row per image.

| column | meaning |
|---|---|
| image_id | sha256 of the image file's bytes; for a copy, of the copy's bytes |
| path | where the image lay, relative to the folder the user gave; empty for a copy |
| label | what the image shows, as far as known now |
| folder_label | the class folder it lay in |
| origin | the file name's part before the first digit, `ffhq` say; for slicing scores, never for a model |
| width, height | size in pixels as decoded |
| group | least image_id of the group: duplicates, near-duplicates and images of one subject share it |
| subject | whom or what the image shows, as the user knows it; empty if unknown |
| fingerprint | perceptual hash, 64 hexadecimal digits; empty for a copy and for an almost flat image |
| split | train, validation, test, or empty before the split |
| source_id | for a copy: image_id of its original; empty otherwise |
| seed | for a copy: the seed its changes were drawn from; -1 otherwise |
| shard | blob that holds the image's bytes |

In memory a row takes about 370 bytes: the texts themselves, without an object for each. In a file, about 110.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from affect_tasks.errors import CorruptBlobError

SPLITS = ("train", "validation", "test")

_TEXT = pa.string()
SCHEMA = pa.schema(
    [
        ("image_id", _TEXT),
        ("path", _TEXT),
        ("label", _TEXT),
        ("folder_label", _TEXT),
        ("origin", _TEXT),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("group", _TEXT),
        ("subject", _TEXT),
        ("fingerprint", _TEXT),
        ("split", _TEXT),
        ("source_id", _TEXT),
        ("seed", pa.int64()),
        ("shard", _TEXT),
    ]
)
# May be left out, and are then empty: not every source of images knows them.
_OPTIONAL = ("subject", "fingerprint")
SHARD_SCHEMA = pa.schema([("image_id", _TEXT), ("data", pa.binary())])


@dataclass(frozen=True)
class Manifest:
    """A dataset version. Rows keep their order; every column is there and nothing is null."""

    table: pa.Table

    def __post_init__(self) -> None:
        if self.table.schema != SCHEMA:
            object.__setattr__(self, "table", self.table.select(SCHEMA.names).cast(SCHEMA))

    def __len__(self) -> int:
        return self.table.num_rows

    def values(self, column: str) -> np.ndarray:
        """Return one column: (n,) of str objects or of integers."""
        return self.table.column(column).to_numpy()

    @property
    def class_names(self) -> tuple[str, ...]:
        """All labels, sorted; a class's index here is the index that models use."""
        return tuple(sorted(self.table.column("label").unique().to_pylist()))

    @property
    def shards(self) -> tuple[str, ...]:
        """All blobs that hold these images' bytes, sorted."""
        return tuple(sorted(self.table.column("shard").unique().to_pylist()))

    @property
    def has_altered_test(self) -> bool:
        """Whether the test split holds altered copies: its scores then say less than those on originals."""
        return bool((self.of_split("test").values("source_id") != "").any())

    @property
    def digest(self) -> str:
        """The dataset version: 64 hexadecimal digits over all values, whatever the file's encoding."""
        total = hashlib.sha256()
        for name in SCHEMA.names:
            values = self.values(name)
            text = values.dtype == object
            column = "\0".join(values).encode() if text else np.ascontiguousarray(values, dtype="<i8").tobytes()
            total.update(f"{name}:{len(values)}:{len(column)}\n".encode())
            total.update(column)
        return total.hexdigest()

    def replace(self, columns: Mapping[str, Sequence[str] | Sequence[int] | np.ndarray]) -> "Manifest":
        """Return a manifest with some columns' values replaced."""
        table = self.table
        for name, values in columns.items():
            field = SCHEMA.field(name)
            table = table.set_column(SCHEMA.get_field_index(name), field, pa.array(values, type=field.type))
        return Manifest(table)

    def select(self, mask: np.ndarray) -> "Manifest":
        """Return the rows where the mask, (n,) bool, is true."""
        return Manifest(self.table.filter(pa.array(mask)))

    def take(self, rows: np.ndarray) -> "Manifest":
        """Return some rows, (n,) int, in that order; a row may be taken several times."""
        return Manifest(self.table.take(pa.array(rows)))

    def of_split(self, split: str) -> "Manifest":
        """Return one split's rows."""
        return self.select(self.values("split") == split)

    def append(self, *others: "Manifest") -> "Manifest":
        """Return all manifests' rows, these first."""
        return Manifest(pa.concat_tables([self.table, *(other.table for other in others)]))


def build_manifest(columns: Mapping[str, Sequence[str] | Sequence[int] | np.ndarray]) -> Manifest:
    """Make a manifest from columns of equal length: all of SCHEMA's; `subject` and `fingerprint` may be left out."""
    given = {name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names if name in columns}
    return Manifest(_fill_optional(pa.table(given)))


def dump_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as a Parquet file's bytes."""
    return dump_table(manifest.table)


def load_manifest(data: bytes) -> Manifest:
    """Read a manifest from a Parquet file's bytes.

    Raises:
        CorruptBlobError: They are no manifest: no Parquet file, a column is missing, of another type or has a null.
    """
    try:
        table = _fill_optional(load_table(data))
        if any(table.column(name).null_count for name in SCHEMA.names):
            raise CorruptBlobError("A manifest's rows must be whole; this one has empty cells. Run the steps again.")
        manifest = Manifest(table)
        manifest.table.validate(full=True)
        return manifest
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        msg = f"A manifest must be a Parquet file with its {len(SCHEMA)} columns; got {error}. Run the steps again."
        raise CorruptBlobError(msg) from error


def _fill_optional(table: pa.Table) -> pa.Table:
    for name in _OPTIONAL:
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat("", table.num_rows))
    return table


def dump_table(table: pa.Table, *, compression: str = "zstd") -> bytes:
    """Write any table as a Parquet file's bytes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=compression)
    return sink.getvalue()


def load_table(data: bytes) -> pa.Table:
    """Read any table from a Parquet file's bytes."""
    return pq.read_table(pa.BufferReader(data))
