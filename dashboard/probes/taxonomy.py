"""The error table, for the layers that may not import the client."""

from apiclient.taxonomy import TABLE, Category, ErrorClass, Fault, Meaning

__all__ = [
    "TIMED_OUT",
    "Category",
    "ErrorClass",
    "Fault",
    "counted",
    "in_a_sentence",
    "in_words",
    "meaning",
]

_CLASSES = frozenset(ErrorClass)
# Calls that were given up: nobody knows how long they would have taken.
TIMED_OUT = frozenset(
    {
        ErrorClass.TIMEOUT,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.PROVIDER_TIMEOUT,
        ErrorClass.STREAM_STALLED,
        ErrorClass.STREAM_TIMEOUT,
    }
)


def meaning(error_class: str) -> Meaning:
    """Return the table's row of a stored error class; raise ValueError for no class."""
    return TABLE[ErrorClass(error_class)]


def counted(error_class: str) -> bool:
    """Say whether an outcome of this class ("" for a success) is in the error rate."""
    return not error_class or meaning(error_class).counts


def in_a_sentence(title: str) -> str:
    """Return a title as it stands inside a sentence: "TLS failed" keeps its capitals."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def in_words(reason: str) -> str:
    """Return the title of the error class that `reason` is; other text as it is."""
    return meaning(reason).title if reason in _CLASSES else reason
