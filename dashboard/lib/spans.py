"""Lengths of time in words, the same on pages, in mails and in the terminal."""


def duration(seconds: float) -> str:
    """Return "4 s", "3 min", "2 h 5 min" or "5 d 2 h": two units at most."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 2 * 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def roughly(seconds: float) -> str:
    """Return "22 h" or "5 d": one unit, for what is an estimate anyway."""
    whole = max(0, round(seconds))
    if whole < 2 * 3600:
        return duration(whole)
    if whole < 48 * 3600:
        return f"{round(whole / 3600)} h"
    return f"{round(whole / 86400)} d"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")
