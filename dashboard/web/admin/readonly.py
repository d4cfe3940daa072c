"""Admin pages of what Gatewatch itself writes: to look at, not to change."""

from django.db.models import Model
from django.http import HttpRequest

from dashboard.web.admin.titled import TitledAdmin


class ReadOnlyAdmin(TitledAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False
