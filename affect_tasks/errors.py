"""Every error a user can meet, in one tree.

    AffectError
    ├── ParameterError          a run's parameter is unknown, out of bounds or contradicts another
    │   └── RecipeError         a recipe of altered copies holds what it may not, or fails on an image
    ├── SettingsError           a setting (environment, AFFECT_...) is unknown or unusable
    ├── InputError              the user's images or labels cannot be used
    │   ├── NoImagesError       the folder holds no images, or is missing
    │   ├── EmptyClassError     too few classes, or a class with too few images
    │   ├── UnknownLabelError   a label that is no class
    │   ├── LabelsFileError     labels.csv has the wrong shape
    │   ├── UnreadableImageError  the bytes are not a complete image of an accepted kind
    │   └── ArchiveError        a zip or tar archive is damaged, or holds what it may not
    ├── DownloadError           images cannot be fetched from S3 or Kaggle
    ├── StorageError            the store cannot be read or written
    │   ├── MissingBlobError    a blob that a record names is not there
    │   └── CorruptBlobError    a blob's bytes do not match its digest
    ├── TrainingError           training cannot go on
    │   └── DivergedError       the loss is not finite
    ├── RegistryError           the tracking server or registry cannot be used
    │   └── NoChampionError     no model version carries the champion alias
    ├── WorkerError             a process that draws copies was killed
    └── ServiceError            an embedded service cannot start (a port in use, say)

Messages say the rule, what was received, and the remedy.
"""


class AffectError(Exception):
    """Root of all errors that are the user's to read."""


class ParameterError(AffectError):
    """A run's parameter is unknown, out of bounds or contradicts another."""


class RecipeError(ParameterError):
    """A recipe of altered copies holds what it may not, or fails on an image."""


class SettingsError(AffectError):
    """A setting is unknown or unusable."""


class InputError(AffectError):
    """The user's images or labels cannot be used."""


class NoImagesError(InputError):
    """The folder holds no images, or is missing."""


class EmptyClassError(InputError):
    """Too few classes, or a class with too few images."""


class UnknownLabelError(InputError):
    """A label that is no class."""


class LabelsFileError(InputError):
    """The labels file has the wrong shape."""


class UnreadableImageError(InputError):
    """The bytes are not a complete image of an accepted kind."""


class ArchiveError(InputError):
    """A zip or tar archive is damaged, or holds what it may not."""


class DownloadError(AffectError):
    """Images cannot be fetched from S3 or Kaggle."""


class StorageError(AffectError):
    """The store cannot be read or written."""


class MissingBlobError(StorageError):
    """A blob that a record names is not there."""


class CorruptBlobError(StorageError):
    """A blob's bytes do not match its digest."""


class TrainingError(AffectError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The loss is not finite."""


class RegistryError(AffectError):
    """The tracking server or registry cannot be used."""


class NoChampionError(RegistryError):
    """No model version carries the champion alias."""


class WorkerError(AffectError):
    """A process that draws copies was killed."""


class ServiceError(AffectError):
    """An embedded service cannot start."""
