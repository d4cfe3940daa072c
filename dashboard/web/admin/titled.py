"""What all lists of the admin have in common."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from dashboard.teams.models import Team
from dashboard.web.forms import TeamField

if TYPE_CHECKING:
    AnyForms: TypeAlias = BaseModelAdmin[Any]
    AnyModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    AnyForms, AnyModelAdmin = BaseModelAdmin, admin.ModelAdmin

_NUMBERS = {"id__in", "pk__in"}
_MOST_DIGITS = 18


class TeamsByTheirIds(AnyForms):
    """Tell teams apart where one is chosen: a manager calls his as he likes."""

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.related_model is Team:
            kwargs["form_class"] = TeamField
            kwargs["queryset"] = Team.objects.select_related("gateway")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class TitledAdmin(TeamsByTheirIds, AnyModelAdmin):
    """Call a list by what it lists: "Teams", not "Select team to change".

    What names rows by no number, or by one that no row can have, is a bad request.
    """

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = request.POST.getlist(ACTION_CHECKBOX_NAME)
        for name in _NUMBERS & set(request.GET):
            told += request.GET[name].split(",")
        if not all(map(_is_number, told)):
            raise BadRequest("a row is named by no number")
        plural = str(self.opts.verbose_name_plural)
        title = plural[:1].upper() + plural[1:]
        return super().changelist_view(
            request, {"title": title, **(extra_context or {})}
        )

    @admin.display(description="holds for")
    def scope(self, row: Any) -> str:
        """Return what a rule, a silence, a recipient or a page is about."""
        named = getattr(row, "probe", None) or row.team or row.gateway
        return str(named) if named else "everything"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


class Named(admin.AllValuesFieldListFilter):
    """The values that are there; what is empty has no name to click on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lookup_choices = self.lookup_choices.exclude(**{self.field_path: ""})
