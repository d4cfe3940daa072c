"""Why something is no longer watched: its incident ends, and has not recovered."""

from collections.abc import Iterable

from dashboard.alerts.models import Incident, RuleKind
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.queries import breaker_keys, gateway_key
from dashboard.probes.rhythm import waits_for_key
from dashboard.teams.models import Gateway

_MOVED = "the gateway's address was changed"
_NO_KEY = "the team has no key"


def why(incident: Incident, probes: Iterable[Probe]) -> str:
    """Return why nothing judges an incident any more; "" while `probes` still do.

    `probes` are all that are switched on, of the incident's gateway at least.
    """
    ours = [each for each in probes if each.gateway_id == incident.gateway_id]
    if incident.probe_id is not None:
        return _of_probe(incident, ours)
    if incident.team_id is not None:
        if any(each.team_id == incident.team_id for each in ours):
            return ""
        return "all probes of the team are switched off"
    if not ours:
        return "all probes of the gateway are switched off"
    return _of_gateway(incident, ours)


def _of_probe(incident: Incident, probes: Iterable[Probe]) -> str:
    probe = next((each for each in probes if each.pk == incident.probe_id), None)
    if probe is None:
        return "the probe is switched off"
    if waits_for_key(probe):
        return _NO_KEY
    key = incident.evidence.get("key")
    if not key or key in breaker_keys(probe).values():
        return ""
    if key.split("|")[0] != gateway_key(probe.gateway).split("|")[0]:
        return _MOVED
    return "the team's id was changed"


def _of_gateway(incident: Incident, probes: list[Probe]) -> str:
    gateway = probes[0].gateway
    if incident.kind == RuleKind.GATEWAY_DOWN:
        asked = any(each.kind == ProbeKind.HEALTH for each in probes)
        return "" if asked else "the health probe is switched off"
    if incident.kind == RuleKind.CERTIFICATE:
        return "" if has_certificate(gateway) else _MOVED
    here = incident.evidence.get("key") in {None, gateway_key(gateway)}
    return "" if here else _MOVED


def has_certificate(gateway: Gateway) -> bool:
    return gateway.base_url.lower().startswith("https:")
