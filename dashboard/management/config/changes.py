"""What loading a file changes: the lines of the diff, in order."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Changes:
    """Collects `+ new`, `~ changed`, `- deleted`; notes change nothing.

    `done` has, for each line, what was changed and how: without the values.
    """

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)

    def added(self, what: str) -> None:
        self.lines.append(f"+ {what}")
        self.done.append((what, "added"))

    def changed(self, what: str, name: str, before: object, after: object) -> None:
        self.lines.append(f"~ {what}: {name} {_shown(before)} -> {_shown(after)}")
        self.done.append((what, f"changed {name}"))

    def deleted(self, what: str) -> None:
        self.lines.append(f"- {what}")
        self.done.append((what, "deleted"))

    def note(self, text: str) -> None:
        """Tell something once, of however many teams it is true."""
        line = f"  {text}"
        if line not in self.notes:
            self.notes.append(line)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "(none)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
