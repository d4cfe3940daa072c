"""A badge: a small image of a name and a state, to put into a README or a wiki."""

from django.utils.html import format_html

from dashboard.web.states import Tone

# White on these has a contrast of 4.5 or more.
_COLOURS = {
    Tone.OK: "#1b6e3c",
    Tone.WARN: "#8a5300",
    Tone.BAD: "#b3261e",
    Tone.UNKNOWN: "#4f5b69",
}
_HEIGHT, _PAD, _LETTER = 20, 7, 6.6
_LONGEST = 40


def badge(name: str, word: str, tone: Tone) -> str:
    """Return the SVG; its letters are stretched to widths that fit any font."""
    name = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    left, right = _width(name), _width(word)
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'role="img" aria-label="{name}: {word}"><title>{name}: {word}</title>'
        '<rect width="{width}" height="{height}" rx="3" fill="#17202b"/>'
        '<path d="M{left} 0h{flat}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{flat}z" '
        'fill="{colour}"/>'
        '<g fill="#ffffff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        '<text x="{pad}" y="14" textLength="{name_width}">{name}</text>'
        '<text x="{word_x}" y="14" textLength="{word_width}">{word}</text></g></svg>',
        width=left + right,
        height=_HEIGHT,
        left=left,
        flat=right - 3,
        pad=_PAD,
        word_x=left + _PAD,
        name_width=left - 2 * _PAD,
        word_width=right - 2 * _PAD,
        name=name,
        word=word,
        colour=_COLOURS[tone],
    )


def _width(text: str) -> int:
    return round(len(text) * _LETTER) + 2 * _PAD
