"""h11's patterns of lines, made to take no longer than a line is long.

Its own try each blank behind a header's colon, or before a chunk's line break, as the end
of what is before it. Sixty kilobytes of blanks and a sign that may not be there took them a
quarter of a minute, in which no other thread of the process ran and no deadline was kept.
"""

import re

import h11._readers as readers
from h11._abnf import chunk_size, field_name, field_value

# A blank that was taken is not given back: a value begins with none.
HEADER_FIELD = re.compile(
    rf"(?P<field_name>{field_name}):[ \t]*+(?P<field_value>{field_value})[ \t]*".encode()
)
# What stands behind the size says nothing, blanks or not.
CHUNK_HEADER = re.compile(rf"(?P<chunk_size>{chunk_size})(?:;.*|[ \t]*)\r\n".encode())


def hurry_h11() -> None:
    """Let all of h11 in this process read lines by these patterns."""
    readers.header_field_re = HEADER_FIELD
    readers.chunk_header_re = CHUNK_HEADER
