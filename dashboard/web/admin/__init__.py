"""The admin of every application: some pages change more than one of them."""

from dashboard.web.admin import alerts, gateways, people, probes, public, teams

__all__ = ["alerts", "gateways", "people", "probes", "public", "teams"]
