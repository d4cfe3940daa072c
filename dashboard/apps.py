"""The project's applications: one for each sub-package with models or checks."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    verbose_name = "Gatewatch"

    def ready(self) -> None:
        from dashboard import checks  # noqa: F401, PLC0415 (registers the checks)


class TeamsConfig(AppConfig):
    name = "dashboard.teams"
    verbose_name = "Gateways and teams"
    default_auto_field = "django.db.models.BigAutoField"


class ProbesConfig(AppConfig):
    name = "dashboard.probes"
    default_auto_field = "django.db.models.BigAutoField"


class RollupsConfig(AppConfig):
    name = "dashboard.rollups"
    default_auto_field = "django.db.models.BigAutoField"


class AlertsConfig(AppConfig):
    name = "dashboard.alerts"
    verbose_name = "Alarms"
    default_auto_field = "django.db.models.BigAutoField"


class WebConfig(AppConfig):
    name = "dashboard.web"
    verbose_name = "Status pages"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dashboard.web.audited import watch_log_ins  # noqa: PLC0415 (needs models)

        watch_log_ins()


class GatewatchAdminConfig(AdminConfig):
    """Django's admin, for site administrators."""

    default_site = "dashboard.web.site.GatewatchSite"
