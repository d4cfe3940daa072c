"""Django's admin as Gatewatch shows it."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model
from django.db.models.base import ModelBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class GatewatchSite(AdminSite):
    """The admin without the job queue's own pages, which show pickled arguments."""

    site_header = site_title = "Gatewatch"
    index_title = "Administration"
    site_url = "/"
    # The header leads everywhere, and wide lists need the room.
    enable_nav_sidebar = False

    def password_change(  # type: ignore[override]  # a redirection has no template
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the site's own page, which notes the change in the audit log."""
        return redirect("password")

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: "type[ModelAdmin[Any]] | None" = None,
        **options: Any,
    ) -> None:
        models = (
            [model_or_iterable]
            if isinstance(model_or_iterable, ModelBase)
            else list(model_or_iterable)
        )
        shown = [m for m in models if m._meta.app_label != "django_q"]  # noqa: SLF001 (Django's documented Model._meta)
        if shown:
            super().register(shown, admin_class, **options)
