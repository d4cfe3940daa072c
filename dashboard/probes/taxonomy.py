"""The error table, for the layers that may not import the client."""

from apiclient.report import TABLE, ErrorClass, Fault, Meaning

__all__ = ["ErrorClass", "Fault", "counted", "meaning"]


def meaning(error_class: str) -> Meaning:
    """Return the table's row of a stored error class; raise ValueError for no class."""
    return TABLE[ErrorClass(error_class)]


def counted(error_class: str) -> bool:
    """Say whether an outcome of this class ("" for a success) is in the error rate."""
    return not error_class or meaning(error_class).counts
