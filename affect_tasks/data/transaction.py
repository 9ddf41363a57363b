"""Publish a whole folder at once, so that a reader or a crash meets the old tree or the new one.

The new tree is written into a hidden sibling of its target, flushed to the disk, renamed, and the parent's
entries are flushed too. A folder that is rewritten in place is exchanged with the new one by Linux's
`renameat2(RENAME_EXCHANGE)`, in one step. Where the file system cannot do that, two renames are made; a kill
between them leaves the old tree under its hidden name, and the next start on the same folder moves it back.

Hidden siblings: `.affect-<target>-new-<random>`, being written (or the old tree, right after the exchange)
and `.affect-<target>-old`, between the two renames. They are locked while their writer lives; the next start
on the same target removes those whose writer was killed.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from affect_tasks.errors import InputError, StorageError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def stage_folder(target: Path, *, in_place: bool = False) -> Generator[Path, None, None]:
    """Give an empty folder to fill, and make it the target when the block ends without an error.

    Args:
        target: The folder to make. It may exist if it is empty or holds one empty `train`.
        in_place: The target exists and is replaced.

    Raises:
        InputError: The target is taken, or with `in_place` it is missing.
        StorageError: The disk is full, say, or another run works on the same target. The target is
            unchanged then, and the new tree is removed.
    """
    target = target.expanduser().resolve()
    with ExitStack() as stack:
        with _name_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _repair(target)
            if in_place:
                _lock_target(target, stack)
            else:
                _check_free(target)
            staging = _make_staging(target, stack)
        # After an exchange the old tree lies there.
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        with _name_faults(target):
            yield staging
            _publish(staging, target, in_place=in_place)


def remove_leftovers(folder: Path, prefix: str = ".affect-*") -> None:
    """Remove what killed runs left half-written in a folder; by default for whatever target."""
    for leftover in folder.glob(f"{prefix}-new-*"):
        with _locked(leftover) as mine:
            if mine:
                shutil.rmtree(leftover, ignore_errors=True)


def flush_files(paths: list[str], folder: Path) -> None:
    """Flush new files below a folder to the disk.

    Many files are flushed by one `syncfs` of their file system where there is one: an `fsync` each would
    take milliseconds each.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flush_all = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if len(paths) > 32 and flush_all is not None:
            if flush_all(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
            return
    finally:
        os.close(descriptor)
    for path in paths:
        flush_entry(path)


def flush_entry(path: str | Path) -> None:
    """Flush one file, or one folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    # The target's own name may be as long as a name can be.
    return f".affect-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}"


def _repair(target: Path) -> None:
    """Undo what a killed run left: bring the old tree back if it was moved away, remove everything else."""
    old = target.with_name(f"{_prefix(target)}-old")
    if old.is_dir():
        with _locked(old) as mine:
            if not mine:
                raise _busy(target)
            if target.exists():
                shutil.rmtree(old)
            else:
                old.rename(target)
                flush_entry(target.parent)
    remove_leftovers(target.parent, _prefix(target))


@contextmanager
def _locked(folder: Path) -> Generator[bool, None, None]:
    """Hold a folder's lock; give False where another process holds it or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield _is_still(folder, descriptor)
    finally:
        os.close(descriptor)


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock_target(target: Path, stack: ExitStack) -> None:
    if not target.is_dir():
        msg = f"The folder to rewrite must exist; {target} is none. Give the folder that holds the images."
        raise InputError(msg)
    if not stack.enter_context(_locked(target)):
        raise _busy(target)


def _check_free(target: Path) -> None:
    if not target.is_dir():
        if target.exists() or target.is_symlink():
            raise _taken(target, "a file of that name")
        return
    names = sorted(path.name for path in target.iterdir())
    train = target / "train"
    if names and not (names == ["train"] and train.is_dir() and not train.is_symlink() and not list(train.iterdir())):
        raise _taken(target, f"{names[0]!r}")


def _make_staging(target: Path, stack: ExitStack) -> Path:
    while True:
        staging = target.with_name(f"{_prefix(target)}-new-{uuid.uuid4().hex[:12]}")
        staging.mkdir()
        # Another run's start may take the folder for a leftover before it is locked; then make another.
        if stack.enter_context(_locked(staging)):
            return staging


def _publish(staging: Path, target: Path, *, in_place: bool) -> None:
    if in_place:
        staging.chmod(target.stat().st_mode & 0o7777)
        flush_entry(staging)
        if not _exchange(staging, target):
            _swap_by_two_renames(staging, target)
        flush_entry(target.parent)
        return
    flush_entry(staging)
    try:
        if target.is_dir():
            for inner in target.iterdir():
                inner.rmdir()
        # Replaces an empty folder in one step, and refuses one that another run has filled.
        staging.rename(target)
    except (FileExistsError, NotADirectoryError) as error:
        raise _taken(target, "what another run wrote meanwhile") from error
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise _taken(target, "what another run wrote meanwhile") from error
        raise
    flush_entry(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(second))


def _swap_by_two_renames(staging: Path, target: Path) -> None:
    old = target.with_name(f"{_prefix(target)}-old")
    target.rename(old)
    staging.rename(target)
    flush_entry(target.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _name_faults(target: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        place = f" ({error.filename})" if error.filename else ""
        msg = (
            f"A folder tree must be written whole or not at all; {target}: {reason}{place}. "
            "Free space, mend the permissions or name another folder, then run again."
        )
        raise StorageError(msg) from error


def _busy(target: Path) -> StorageError:
    return StorageError(f"One run at a time may rewrite a folder; another works on {target}. Wait for it to end.")


def _taken(target: Path, what: str) -> InputError:
    return InputError(
        f"The output folder must be new, empty or hold one empty `train`; {target} holds {what}. Name another folder."
    )
