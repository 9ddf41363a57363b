"""From what a person gives as images to a folder of this machine: folders, archives, S3, Kaggle, drawn faces.

What is fetched or unpacked lies in `imports/` in the home, each under a key made of its content; it appears there
whole or not at all, and is not fetched again while the source is unchanged.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

from affect_tasks.buckets import BucketObject, fetch_objects, list_objects
from affect_tasks.data.archives import (
    ARCHIVE_SUFFIXES,
    ArchiveReader,
    find_name_fault,
    fold_name,
    is_archive,
    is_wanted,
)
from affect_tasks.data.export import write_tree
from affect_tasks.data.scan import has_image_suffix
from affect_tasks.data.transaction import flush_files, remove_leftovers, stage_folder
from affect_tasks.errors import InputError, NoImagesError, ParameterError
from affect_tasks.kaggle import fetch_dataset
from affect_tasks.params import BUCKET, DEMO_DATA, KAGGLE
from affect_tasks.progress import track
from affect_tasks.settings import Settings
from affect_tasks.storage import connect_s3

log = logging.getLogger(__name__)

_MEGABYTE = 1 << 20


def open_source(data: str, *, settings: Settings) -> Path:
    """Return the folder that holds the images; fetch or unpack them first where they are not in one.

    Args:
        data: A folder, a zip or tar archive, `s3://bucket/prefix`, `kaggle:owner/dataset` or `demo`.
        settings: Say where imports lie, and how S3 is reached.

    Raises:
        InputError: What is there cannot be used.
        ParameterError: The address has the wrong form.
        DownloadError: S3 or Kaggle cannot be reached.
        StorageError: The home cannot be written.
    """
    if data == DEMO_DATA:
        from affect_tasks.data.faces import write_demo_faces

        return write_demo_faces(settings.demo_folder).folder
    if data.startswith(BUCKET):
        return _find_top(_import_bucket(data, settings))
    if data.startswith(KAGGLE):
        return _find_top(_import_kaggle(data, settings))
    path = Path(data).expanduser()
    return _find_top(_import_archive(path, settings)) if path.is_file() else path


def _import_archive(path: Path, settings: Settings) -> Path:
    if not is_archive(path.name):
        kinds = ", ".join(ARCHIVE_SUFFIXES)
        msg = f"Images come in a folder or an archive ({kinds}); {path} is another file. Give one of these."
        raise InputError(msg)
    return _unpack(path, settings)


def _unpack(path: Path, settings: Settings) -> Path:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"An archive must be readable; {path}: {error.strerror}. Mend its permissions.") from error

    def write(staging: Path) -> None:
        reader = ArchiveReader(path)
        size = max(1, path.stat().st_size // _MEGABYTE)
        files = reader.list_files()
        write_tree(
            staging,
            track(files, "unpack, MB", total=size, measure=lambda: reader.consumed // _MEGABYTE),
            copy=False,
        )
        if reader.left_out:
            log.warning("import: left out %d files that are no images, such as %s", reader.left_out, reader.example)

    return _import_once(f"archive-{digest[:40]}", str(path), write, settings)


def _import_bucket(address: str, settings: Settings) -> Path:
    if not re.fullmatch(r"s3://[^/]+(/.*)?", address):
        raise ParameterError(f"Images in S3 are given as `s3://bucket/prefix`; got {address!r}. Name the bucket.")
    client = connect_s3(settings, settings.s3_access_key_id, settings.s3_secret_access_key)
    objects = list_objects(address, client)
    wanted = [item for item in objects if is_wanted(item.path)]
    archives = [item for item in objects if is_archive(item.path)]
    kept = settings.folder / "imports" / "objects"
    if archives and not any(has_image_suffix(item.path.rpartition("/")[2]) for item in wanted):
        if len(archives) > 1:
            msg = f"A prefix without images may hold one archive; {address} holds {len(archives)}. Name one of them."
            raise InputError(msg)
        (place,) = track(fetch_objects(archives, client, kept), "fetch", total=1)
        return _unpack(place, settings)
    _check_keys(wanted, address)

    def write(staging: Path) -> None:
        fetched = track(fetch_objects(wanted, client, kept), "fetch", total=len(wanted))
        files = ((fold_name(item.path), str(place)) for item, place in zip(wanted, fetched, strict=True))
        write_tree(staging, files, copy=False)
        if len(objects) > len(wanted):
            log.warning("import: left out %d objects that are no images", len(objects) - len(wanted))

    listing = json.dumps([[item.path, item.digest] for item in wanted])
    digest = hashlib.sha256(f"{address.rstrip('/')}\n{listing}".encode()).hexdigest()
    return _import_once(f"bucket-{digest[:40]}", address, write, settings)


def _import_kaggle(address: str, settings: Settings) -> Path:
    handle = address.removeprefix(KAGGLE)
    if not re.fullmatch(r"[\w-]+/[\w-]+(/versions/\d+)?", handle, flags=re.ASCII):
        msg = f"A Kaggle data set is given as `kaggle:owner/dataset`, as in its page's address; got {address!r}."
        raise ParameterError(f"{msg} Correct it.")

    def write(staging: Path) -> None:
        fetch_dataset(handle, staging)
        flush_files([str(path) for path in staging.rglob("*") if path.is_file()], staging)

    return _import_once(f"kaggle-{handle.replace('/', '.')}", address, write, settings)


def _check_keys(objects: list[BucketObject], address: str) -> None:
    if not objects:
        raise _no_images(address)
    for item in objects:
        if fault := find_name_fault(item.path):
            msg = f"A key below {address} must be a relative name; {item.path[:80]!r} is {fault}. Rename that object."
            raise InputError(msg)


def _import_once(key: str, source: str, write: Callable[[Path], None], settings: Settings) -> Path:
    """Make a folder of the imports by `write`, unless it is there."""
    target = settings.folder / "imports" / key
    if _is_filled(target):
        log.info("import: %s is in %s", source, target)
        return target
    remove_leftovers(target.parent)
    try:
        with stage_folder(target) as staging:
            write(staging)
            if not any(staging.iterdir()):
                raise _no_images(source)
    except InputError:
        # Another run may have imported the same meanwhile.
        if not _is_filled(target):
            raise
    log.info("import: %s, now in %s", source, target)
    return target


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _no_images(source: str) -> NoImagesError:
    return NoImagesError(f"There must be images in <class>/ or train/<class>/; found none in {source}. Check it.")


def _find_top(folder: Path) -> Path:
    """Go down through folders that hold nothing but one folder, to that of the class folders or of `train`."""
    while True:
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if len(inside) != 1 or inside[0].name == "train" or not _holds_folders(inside[0]):
            return folder
        folder = inside[0]


def _holds_folders(folder: Path) -> bool:
    return folder.is_dir() and any(entry.is_dir() for entry in folder.iterdir())
