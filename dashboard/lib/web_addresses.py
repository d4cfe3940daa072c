"""What is an address that can be asked by HTTP."""

from urllib.parse import urlsplit


def is_web_address(text: str) -> bool:
    """Say whether it can be asked: http or https, a host, plain ASCII and no log-in."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(sound) and text.isascii() and "@" not in parts.netloc
