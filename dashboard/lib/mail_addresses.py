"""What is an address to which a mail goes as it is written."""

import re

# Quoted names and encoded words are valid, and mean another mailbox to some on the way;
# letters that are not ASCII are one when their case is ignored.
_NAME = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")


def is_plain_address(text: str) -> bool:
    """Say whether a valid address reads the same to people and to all mail programs."""
    name, _, host = text.rpartition("@")
    return bool(_NAME.fullmatch(name)) and "=?" not in name and host.isprintable()
