"""The admin of every application: some pages change more than one of them."""

from dashboard.web.admin import alerts, probes, teams

__all__ = ["alerts", "probes", "teams"]
