"""What the steps share about dataset versions: writing and reading their manifests."""

from affect_tasks.manifest import Manifest, dump_manifest, load_manifest
from affect_tasks.records import DatasetRecord, Job
from affect_tasks.storage import read_blob, write_blob


def load_dataset(job: Job, record: DatasetRecord) -> Manifest:
    """Read a dataset version's manifest."""
    return load_manifest(read_blob(job.storage, record.manifest_blob))


def store_dataset(job: Job, manifest: Manifest, **facts: object) -> DatasetRecord:
    """Store a manifest and describe it; `facts` are the record's other fields."""
    described = {
        "dataset": manifest.digest,
        "manifest_blob": write_blob(job.storage, dump_manifest(manifest), suffix=".parquet"),
        "images": len(manifest),
        "altered_test": manifest.has_altered_test,
        "class_names": manifest.class_names,
    }
    return DatasetRecord.model_validate({**described, **facts})
