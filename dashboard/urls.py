"""The addresses of the site. Whoever is not logged in sees only those marked public."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from dashboard.api import health
from dashboard.web.views import (
    account,
    audit,
    breakers,
    broken,
    channels,
    imports,
    incidents,
    mail,
    outcomes,
    overview,
    preferences,
    probes,
    public,
    rules,
    search,
    setup,
    silences,
    start,
    status,
    storage,
    team_settings,
    teams,
    trends,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("probes/<int:pk>/", probes.probe, name="probe"),
    path("probes/<int:pk>/run/", probes.run, name="run"),
    path("probes/<int:pk>/accept/", probes.accept, name="accept"),
    path("probes/<int:pk>/stop/", probes.stop, name="stop"),
    path("outcomes/", outcomes.outcomes, name="outcomes"),
    path("outcomes/<int:pk>/", outcomes.outcome, name="outcome"),
    path("trends/", trends.trends, name="trends"),
    path("search/", search.search, name="search"),
    path("teams/", teams.teams, name="teams"),
    path("teams/<int:pk>/", teams.team, name="team"),
    path("credits/", teams.credits, name="credits"),
    path("teams/<int:pk>/settings/", team_settings.settings, name="team_settings"),
    path("teams/<int:pk>/rules/<str:kind>/", team_settings.rule, name="team_rule"),
    path("gateways/<int:pk>/import/", imports.import_teams, name="import_teams"),
    path("incidents/", incidents.incidents, name="incidents"),
    path("incidents/<int:pk>/", incidents.incident, name="incident"),
    path("incidents/<int:pk>/acknowledge/", incidents.acknowledge, name="acknowledge"),
    path("incidents/<int:pk>/export/", incidents.export, name="export_incident"),
    path("incidents/<int:pk>/note/", incidents.note, name="note"),
    path(
        "incidents/<int:pk>/silence/",
        silences.silence_incident,
        name="silence_incident",
    ),
    path("breakers/", breakers.breakers, name="breakers"),
    path("breakers/<int:pk>/force/", breakers.force, name="force"),
    path("rules/<int:pk>/past/", rules.past, name="rule_past"),
    path("silences/", silences.silences, name="silences"),
    path("silences/<int:pk>/end/", silences.end, name="end_silence"),
    path("audit/", audit.audit, name="audit"),
    path("mail/", mail.mail, name="mail"),
    path("mail/test/", mail.test_mail, name="test_mail"),
    path("mail/self-test/", mail.self_test, name="self_test"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("channels/", channels.channels, name="channels"),
    path("channels/<int:pk>/test/", channels.test_channel, name="test_channel"),
    path("channels/<int:pk>/switch/", channels.switch_channel, name="switch_channel"),
    path("channels/<int:pk>/delete/", channels.delete_channel, name="delete_channel"),
    path("mail/<int:pk>/retry/", mail.retry, name="retry"),
    path("status/", status.status, name="status"),
    path("storage/", storage.storage, name="storage"),
    path("start/", start.start, name="start"),
    path("start/watch/", start.watch, name="watch"),
    # Public: the log-in, the set-up link while nobody can log in, the health, and the
    # status pages that an administrator opened.
    path("log-in/", account.LogIn.as_view(), name="login"),
    path("setup/<str:token>/", setup.setup, name="setup"),
    path("public/<slug:slug>/", public.public, name="public"),
    path("public/<slug:slug>/badge.svg", public.badge, name="badge"),
    # Public: the signed link in a regular mail; it only ends that mail.
    path("unsubscribe/<str:token>/", preferences.unsubscribe, name="unsubscribe"),
    path("healthz", health.healthz, name="healthz"),
    path("healthz/prober", health.healthz_prober, name="healthz_prober"),
    path("favicon.ico", account.favicon, name="favicon"),
    path("log-out/", LogoutView.as_view(), name="logout"),
    path("password/", account.Password.as_view(), name="password"),
    # The admin's own log-in would be a second door.
    path("admin/login/", account.to_log_in),
    path("admin/", admin.site.urls),
]

handler500 = broken.broken
