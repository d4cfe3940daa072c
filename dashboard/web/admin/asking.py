"""The page that asks before something is done with many rows of a list."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


def ask(
    modeladmin: "ModelAdmin[Any]",
    request: HttpRequest,
    rows: QuerySet[Any],
    action: str,
    *,
    form: forms.Form,
    sentence: str,
    title: str = "Are you sure?",
    verb: str = "",
) -> TemplateResponse:
    context = {
        **modeladmin.admin_site.each_context(request),
        "title": title,
        "opts": modeladmin.model._meta,  # noqa: SLF001 (Django's documented Model._meta)
        # These very rows are sent back, also where all pages of the list were chosen.
        "rows": list(rows),
        "action": action,
        "form": form,
        "sentence": sentence,
        # What the button says where the form's own labels name the rows.
        "verb": verb,
    }
    return TemplateResponse(request, "admin/confirm.html", context)
