"""Write what is known of gateways and teams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from apiclient.base_url import parse_base_url
from dashboard.rows import insert, locked, update
from dashboard.teams.models import CreditReading, Gateway, Team


def clean_base_url(text: str) -> str:
    """Return the address in its one canonical form, without /api.

    Raises ValueError with one sentence that says what is wrong.
    """
    return str(parse_base_url(text.strip()))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one answer told about a team; None where it told nothing."""

    team_id: int
    seen_at: datetime
    status: str | None = None
    model_aliases: tuple[str, ...] | None = None
    credits: "Credits | None" = None
    organization_id: str | None = None
    terms: "Terms | None" = None


@dataclass(frozen=True, slots=True)
class Credits:
    """Credits as the gateway told them; None is unknown, never 0."""

    allocated: float | None
    used: float | None
    remaining: float | None
    auto_refill: bool | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a team pays; "" and None where the gateway did not tell."""

    budget_mode: str = ""
    tokens_per_credit: float | None = None
    credits_per_dollar: float | None = None
    refill_amount: float | None = None
    refill_period: str = ""


def record_certificates(expiries: Mapping[int, datetime]) -> None:
    """Store when the gateways' certificates end, where that is new; by gateway id."""
    for gateway_id, expires_at in sorted(expiries.items()):
        Gateway.objects.filter(pk=gateway_id).exclude(
            certificate_expires_at=expires_at
        ).update(certificate_expires_at=expires_at)


def record_sightings(sightings: Sequence[Sighting]) -> None:
    """Store statuses, models and credit readings, in order; the caller's transaction.

    A reading that does not tell what remains is none: the latest that did would be sought
    behind all those of a month.
    """
    insert(
        [
            CreditReading(
                team_id=sighting.team_id,
                read_at=sighting.seen_at,
                allocated=sighting.credits.allocated,
                used=sighting.credits.used,
                remaining=sighting.credits.remaining,
                auto_refill=sighting.credits.auto_refill,
            )
            for sighting in sightings
            if sighting.credits and sighting.credits.remaining is not None
        ]
    )
    told: dict[int, dict[str, object]] = {}
    for sighting in sightings:
        told.setdefault(sighting.team_id, {}).update(_told(sighting))
    seen_at = {pk: row["status_at"] for pk, row in told.items() if "status_at" in row}
    changed = {}
    for pk, stored in locked(Team, _SEEN, told).items():
        row = [told[pk].get(name, old) for name, old in zip(_SEEN, stored, strict=True)]
        if row != stored:
            changed[pk] = row
    update(Team, _SEEN, changed)
    update(Team, ["status_at"], {pk: [at] for pk, at in seen_at.items()})


_TERMS = tuple(Terms.__dataclass_fields__)
_SEEN = ("status", "model_aliases", "organization_id", *_TERMS)

# Of all models of a team together. Each page and each tick reads them with the team: two
# hundred names of 255 signs took a hundred teams' overview a second and half a gigabyte.
_MOST_SIGNS = 8000


def _models(told: Sequence[str]) -> list[str]:
    """Return the models as far as there is room for them."""
    sizes = accumulate(map(len, told))
    return [name for name, size in zip(told, sizes, strict=True) if size <= _MOST_SIGNS]


def _told(sighting: Sighting) -> dict[str, object]:
    """Return what is to be stored of a team; what was not told stays as it is."""
    told: dict[str, object] = {}
    if sighting.status is not None:
        told |= {"status": sighting.status, "status_at": sighting.seen_at}
    if sighting.model_aliases is not None:
        told["model_aliases"] = _models(sighting.model_aliases)
    if sighting.organization_id is not None:
        told["organization_id"] = sighting.organization_id[:255]
    # A list of teams tells fewer terms than a team: what it leaves out stays.
    for name in _TERMS if sighting.terms else ():
        value = getattr(sighting.terms, name)
        if value is not None and value != "":
            told[name] = value
    return told
