"""Texts that people and gateways wrote, as one line."""


def one_line(text: str) -> str:
    """Return the text with a space for whatever would break, hide or reorder a line."""
    return "".join(c if c.isprintable() else " " for c in text)
