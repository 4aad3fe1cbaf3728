"""The root of all our errors. Every message says the fact, the expectation and the remedy.

ZhiweiError
├── InvalidInput         a file, an option or a request that we cannot use (exit code 2)
├── SettingsError        a setting that is missing or wrong (exit code 2)
├── StoreError           the event store cannot be read or written
├── SnapshotError        an index on disk that is missing, broken or of another catalogue
│   └── IndexMismatch    built with another model, dimension or format than the one in use
├── ModelError           the embedding model or the predictor cannot be loaded
├── MissingPropensity    an impression whose policy did not log a usable propensity
└── SafetyViolation      a choice that the safety rules forbid reached a later stage
"""


class ZhiweiError(Exception):
    """Shown to the person who ran the command; so it is a sentence that helps."""


class InvalidInput(ZhiweiError):
    """A file, an option or a request that cannot be used."""


class SettingsError(ZhiweiError):
    """A setting that is missing or has a value that we cannot use."""


class StoreError(ZhiweiError):
    """The event store cannot be opened, read or written."""


class SnapshotError(ZhiweiError):
    """An index on disk is missing, incomplete or damaged."""


class IndexMismatch(SnapshotError):
    """An index on disk was built with another model, dimension or format."""


class ModelError(ZhiweiError):
    """An embedding model or a predictor cannot be loaded."""


class MissingPropensity(ZhiweiError):
    """An impression carries no usable propensity; its policy did not log it."""


class SafetyViolation(ZhiweiError):
    """An item that the safety rules forbid for this person was about to pass."""
