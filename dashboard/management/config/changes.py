"""What loading a file changes: the lines of the diff, in order."""

from dataclasses import dataclass, field


class DiffersError(Exception):
    """Something would change, of what may only be compared."""


@dataclass(slots=True)
class Changes:
    """Collects `+ new`, `~ changed`, `- deleted`, each before it is done.

    `done` has, for each line, what was changed and how: without the values. Notes change
    nothing. With `only_compares` the first change raises DiffersError instead.
    """

    only_compares: bool = False
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)

    def added(self, what: str) -> None:
        self._tell(f"+ {what}", what, "added")

    def changed(self, what: str, name: str, before: object, after: object) -> None:
        line = f"~ {what}: {name} {_shown(before)} -> {_shown(after)}"
        self._tell(line, what, f"changed {name}")

    def deleted(self, what: str) -> None:
        self._tell(f"- {what}", what, "deleted")

    def note(self, text: str) -> None:
        """Tell something once, of however many teams it is true."""
        line = f"  {text}"
        if line not in self.notes:
            self.notes.append(line)

    def _tell(self, line: str, what: str, how: str) -> None:
        if self.only_compares:
            raise DiffersError
        self.lines.append(line)
        self.done.append((what, how))


def _shown(value: object) -> str:
    if value is None or value == "":
        return "(none)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
