"""Status pages that anybody may read, for site administrators to open and close."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from dashboard.web.admin.audited import AuditedAdmin
from dashboard.web.models import PublicPage


@admin.register(PublicPage)
class PublicPageAdmin(AuditedAdmin):
    list_display = ["title", "scope", "is_open", "has_badge", "address"]
    list_select_related = ["gateway", "team"]
    fields = ["title", "gateway", "team", "slug", "is_open", "has_badge", "address"]
    readonly_fields = ["address"]

    @admin.display(description="Where to find it")
    def address(self, obj: PublicPage) -> str:
        if not obj.is_open:
            return "nowhere: it is closed"
        page = reverse("public", args=[obj.slug])
        if not obj.has_badge:
            return format_html('<a href="{}">{}</a>', page, page)
        return format_html(
            '<a href="{}">{}</a>, <a href="{}">its badge</a>',
            page,
            page,
            reverse("badge", args=[obj.slug]),
        )
