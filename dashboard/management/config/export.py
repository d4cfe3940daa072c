"""The database's gateways, teams, probes, rules and recipients as a file's content."""

from collections.abc import Iterable, Mapping

import tomli_w

from dashboard.alerts.models import Recipient, Rule
from dashboard.management.config.keys import placeholders
from dashboard.probes.models import Probe
from dashboard.teams.models import Gateway, Team

Table = dict[str, object]

_LIMITS = (
    *("enabled", "warn_at", "critical_at", "floor", "objective", "window_s"),
    *("long_window_s", "against_baseline", "of_last"),
    *("min_samples", "min_bad", "for_s", "clear_after", "keep_s"),
)


def export() -> str:
    """Return a file that `load_config` would change nothing by. It holds no key."""
    gateways = Gateway.objects.prefetch_related("probes", "teams__probes")
    keys = placeholders(Team.objects.select_related("gateway"))
    rules = Rule.objects.select_related("gateway", "team__gateway", "probe__team")
    recipients = Recipient.objects.select_related("gateway", "team__gateway")
    content: Table = {
        "gateways": [_gateway(gateway, keys) for gateway in gateways],
        "rules": [_rule(rule) for rule in rules],
        "recipients": [
            {"email": row.email, **_scope(row.gateway, row.team)} for row in recipients
        ],
    }
    return tomli_w.dumps({name: rows for name, rows in content.items() if rows})


def _gateway(gateway: Gateway, keys: Mapping[int, str]) -> Table:
    own = [probe for probe in gateway.probes.all() if probe.team_id is None]
    return _filled(
        name=gateway.name,
        base_url=gateway.base_url,
        allow_private=gateway.allow_private,
        probes=_probes(own),
        teams=[_team(team, keys) for team in gateway.teams.all()],
    )


def _team(team: Team, keys: Mapping[int, str]) -> Table:
    return _filled(
        team_id=team.team_id,
        name=team.name or None,
        daily_credit_cap=team.daily_credit_cap,
        key=keys.get(team.pk),
        probes=_probes(team.probes.all()),
    )


def _probes(probes: Iterable[Probe]) -> list[Table]:
    return [
        _filled(
            kind=probe.kind,
            period_s=probe.period_s,
            enabled=probe.enabled,
            model=probe.model or None,
            daily_credit_cap=probe.daily_credit_cap,
        )
        for probe in probes
    ]


def _rule(rule: Rule) -> Table:
    gateway, team = rule.gateway, rule.team
    if rule.probe:
        gateway, team = rule.probe.gateway, rule.probe.team
    limits = {name: getattr(rule, name) for name in _LIMITS}
    probe = {"probe": rule.probe.kind} if rule.probe else {}
    return _filled(
        name=rule.name, kind=rule.kind, **_scope(gateway, team), **probe, **limits
    )


def _scope(gateway: Gateway | None, team: Team | None) -> Table:
    if team:
        return {"gateway": team.gateway.name, "team": team.team_id}
    return {"gateway": gateway.name} if gateway else {}


def _filled(**fields: object) -> Table:
    """Return the fields that TOML can say: it has no null."""
    return {name: value for name, value in fields.items() if value not in (None, [])}
