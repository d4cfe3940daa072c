"""Admin pages whose every change goes into the audit log, too."""

from itertools import chain
from typing import Any

from django.contrib import admin
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.teams.models import AuditAction, Team
from dashboard.web.admin.titled import TitledAdmin
from dashboard.web.audited import noted
from dashboard.web.changes import told_of


class AuditedAdmin(TitledAdmin):
    """Note who added, changed or deleted what: a plain field's values, else its name.

    Django's own history keeps the same by object, and goes with it.
    """

    audit_action = AuditAction.OTHER
    # The labels of fields whose change leaves a line of its own.
    noted_apart: frozenset[str] = frozenset()

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,
        change: bool,  # noqa: FBT001 (Django's signature)
    ) -> None:
        """Write what was changed, and not what was read before somebody else did."""
        stored = {field.name for field in obj._meta.concrete_fields}  # noqa: SLF001 (Django's documented Model._meta)
        changed = stored.intersection(form.changed_data)
        obj.save(update_fields=changed if change else None)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        entry = super().log_addition(request, obj, _quotable(message))
        self._note(request, obj, entry.get_change_message() or "Added.")
        return entry

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        entry = super().log_change(request, obj, _quotable(message))
        if not self._is_noted_apart(message):
            self._note(request, obj, entry.get_change_message())
        return entry

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: bool = False,  # noqa: FBT001, FBT002 (Django's signature)
    ) -> list[dict[str, dict[str, Any]]]:
        message: list[Any] = super().construct_change_message(
            request, form, formsets, add
        )
        # Another team's values are none of the one's that gets the row.
        if not add and form.changed_data and "team" not in form.changed_data:
            own = message[0]["changed"]
            own["fields"] = told_of(form, own["fields"])
        return message

    def _is_noted_apart(self, message: Any) -> bool:
        """Say whether nothing changed but what leaves a line of its own, or nothing."""
        return not isinstance(message, str) and all(
            self.noted_apart.issuperset(told.get("changed", {}).get("fields", [""]))
            for told in message
        )

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._note(request, obj, "Deleted.")
        return super().log_deletions(request, queryset)

    def _note(self, request: HttpRequest, obj: Model, detail: str) -> None:
        team = obj if isinstance(obj, Team) else getattr(obj, "team", None)
        noted(request, self.audit_action, named(obj), detail=detail, team=team)


def _quotable(message: Any) -> Any:
    """Return what Django says that it did, so that no name in it ends its quotation.

    What it did to a row of another model it tells as `Added membership “…”.`, and a
    manager may call his team `…”. Changed Superuser status. …`.
    """
    if isinstance(message, str):
        return message
    for told in chain.from_iterable(each.values() for each in message):
        if "object" in told:
            told["object"] = told["object"].translate(_STRAIGHT)
    return message


_STRAIGHT = str.maketrans("“”", '""')


def named(obj: Model) -> str:
    """Return "team Acme (3)": its kind, its name, and the number that addresses use."""
    return f"{obj._meta.verbose_name} {obj} ({obj.pk})"  # noqa: SLF001 (Django's documented Model._meta)


# Django notes what it deletes next, so that both happen or neither.
admin.site.add_action(transaction.atomic(delete_selected), "delete_selected")
