"""Make the database what a file says, inside the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet
from msgspec import UNSET, Struct, structs

from dashboard.alerts.models import Recipient, Rule
from dashboard.alerts.rulebook import DEFAULTS
from dashboard.management.config.changes import Changes, DiffersError
from dashboard.management.config.document import (
    Document,
    GatewayEntry,
    ProbeEntry,
    RecipientEntry,
    RuleEntry,
    TeamEntry,
)
from dashboard.management.config.keys import load_key
from dashboard.probes.addresses import why_refused
from dashboard.probes.breaker_events import forget_breakers
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.paces import changed_pace
from dashboard.probes.rests import switched
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.rows import take
from dashboard.teams.keys import forget_keys
from dashboard.teams.models import Gateway, Team
from dashboard.teams.services import clean_base_url

M = TypeVar("M", bound=models.Model)
# So many are named in the line that tells what is kept.
_MOST_KEPT = 3


def load(document: Document, now: datetime, *, prune: bool) -> Changes:
    """Apply the file and return what changed; raise UsageError at the first mistake.

    What the file does not name is kept, or with `prune` deleted; probes and the default
    rules are switched off by `enabled`, never deleted.
    """
    # Nothing is probed while all is locked: that is only for what changes something.
    with suppress(DiffersError):
        return _loaded(document, now, Changes(only_compares=True), prune=prune)
    # As the recorder takes them: it may hold some now, and wait for others.
    for rows in (Probe.objects.all(), Team.objects.all(), Gateway.objects.all()):
        take(rows)
    return _loaded(document, now, Changes(), prune=prune)


def _loaded(
    document: Document, now: datetime, changes: Changes, *, prune: bool
) -> Changes:
    loader = _Loader(document, now, changes)
    for number, entry in enumerate(document.entries.gateways):
        loader.gateway(entry, f"gateways[{number}]")
    for number, rule in enumerate(document.entries.rules):
        loader.rule(rule, f"rules[{number}]")
    for number, recipient in enumerate(document.entries.recipients):
        loader.recipient(recipient, f"recipients[{number}]")
    loader.rest(prune=prune)
    return changes


class _Loader:
    def __init__(self, document: Document, now: datetime, changes: Changes) -> None:
        self.changes = changes
        self._document = document
        self._now = now
        # Every row that the file names, to find what is named twice or not at all.
        self._named: dict[tuple[type[models.Model], int], str] = {}

    def gateway(self, entry: GatewayEntry, place: str) -> None:
        try:
            base_url = clean_base_url(entry.base_url)
        except ValueError as error:
            raise self._document.wrong(f"{place}.base_url", str(error)) from None
        told = {**_given(entry, "allow_private"), "base_url": base_url}
        found = Gateway.objects.filter(name=entry.name).first()
        gateway = found or Gateway(name=entry.name)
        what = f"gateway {entry.name}"
        allowed = (
            gateway.allow_private
            if entry.allow_private is UNSET
            else entry.allow_private
        )
        if why := why_refused(base_url, allow_private=True):
            raise self._document.wrong(f"{place}.base_url", why)
        if why := why_refused(base_url, allow_private=bool(allowed)):
            why = f"{why}; allow_private = true allows private ones"
            raise self._document.wrong(f"{place}.base_url", why)
        moved = found is not None and found.base_url != base_url
        self._store(gateway, told, what, place)
        if moved and forget_keys(gateway):
            self.changes.note(f"{what}: keys of its old address are forgotten")
        watch_gateway(gateway, self._now)
        self._probes(entry.probes, gateway, None, what, place)
        for number, team in enumerate(entry.teams):
            self._team(team, gateway, f"{place}.teams[{number}]")

    def _team(self, entry: TeamEntry, gateway: Gateway, place: str) -> None:
        found = gateway.teams.filter(team_id=entry.team_id).first()
        team = found or Team(gateway=gateway, team_id=entry.team_id)
        what = f"team {gateway.name}/{entry.team_id}"
        self._store(team, _given(entry, "name", "daily_credit_cap"), what, place)
        if entry.key is not UNSET:
            try:
                load_key(team, entry.key, what, self.changes, self._now)
            except ValueError as error:
                raise self._document.wrong(f"{place}.key", str(error)) from None
        watch_team(team, self._now)
        self._probes(entry.probes, gateway, team, what, place)

    def _probes(
        self,
        entries: Sequence[ProbeEntry],
        gateway: Gateway,
        team: Team | None,
        owner: str,
        place: str,
    ) -> None:
        probes = Probe.objects.filter(gateway=gateway, team=team)
        by_kind = {probe.kind: probe for probe in probes} if entries else {}
        for number, entry in enumerate(entries):
            spot = f"{place}.probes[{number}]"
            probe = by_kind.get(entry.kind)
            if probe is None:
                kinds = [kind for kind in KINDS if KINDS[kind].for_team == bool(team)]
                why = f"{entry.kind!r} is no probe of a {'team' if team else 'gateway'}"
                raise self._document.wrong(
                    f"{spot}.kind", f"{why}; known: {', '.join(kinds)}"
                )
            self._probe(probe, entry, f"probe {entry.kind} of {owner}", spot)

    def _probe(self, probe: Probe, entry: ProbeEntry, what: str, place: str) -> None:
        told = _given(entry, "period_s", "enabled", "model", "daily_credit_cap")
        was_on, period_s = probe.enabled, probe.period_s
        on = told.get("enabled", was_on)
        costs = KINDS[ProbeKind(probe.kind)].credits_per_run > 0
        model = told.get("model", probe.model)
        cap = told.get("daily_credit_cap", probe.daily_credit_cap)
        # Pages take a cap of nothing, and the admin none: such a probe never runs.
        if on and costs and not (model and (was_on or cap is not None)):
            raise self._document.wrong(
                place, "this probe costs credits; name its model and daily_credit_cap"
            )
        beside = ["paces"]
        period_now_s = entry.period_s or period_s
        probe.paces = changed_pace(probe.paces, period_s, period_now_s, self._now)
        if on != was_on:
            beside += ["paused", "rests"]
            probe.paused = False
            probe.rests = switched(probe.rests, self._now, on=bool(on))
        if on and not was_on:
            beside += ["next_run", "cost_accepted_at"]
            probe.next_run = self._now
            # Who writes the file accepts the cost up to the cap it names.
            probe.cost_accepted_at = self._now if costs else None
        elif period_now_s != period_s:
            beside += ["next_run"]
            soon = self._now + timedelta(seconds=period_now_s)
            probe.next_run = min(probe.next_run, soon)
        self._store(probe, told, what, place, beside)

    def rule(self, entry: RuleEntry, place: str) -> None:
        gateway, team = self._scope(entry, place)
        probe = None
        if entry.probe:
            probe = Probe.objects.filter(
                gateway=gateway, team=team, kind=entry.probe
            ).first()
            if gateway is None or probe is None:
                why = f"{entry.probe!r} is no probe of the rule's gateway and team"
                raise self._document.wrong(f"{place}.probe", why)
        fields = set(entry.__struct_fields__) - {"gateway", "team", "probe", "name"}
        told = {
            **_given(entry, *sorted(fields)),
            "gateway": gateway,
            "team": team,
            "probe": probe,
        }
        rule = Rule.objects.filter(name=entry.name).first() or Rule(name=entry.name)
        self._store(rule, told, f"rule {entry.name}", place)

    def recipient(self, entry: RecipientEntry, place: str) -> None:
        gateway, team = self._scope(entry, place)
        scope = {"email": entry.email, "gateway": gateway, "team": team}
        found = Recipient.objects.filter(**scope).first()
        place_name = entry.team or entry.gateway or "everything"
        what = f"recipient {entry.email} of {place_name}"
        self._store(found or Recipient(**scope), {}, what, place)

    def _scope(
        self, entry: RuleEntry | RecipientEntry, place: str
    ) -> tuple[Gateway | None, Team | None]:
        if not entry.gateway:
            if entry.team:
                why = "a team is found by its gateway; name the gateway too"
                raise self._document.wrong(f"{place}.team", why)
            return None, None
        gateway = Gateway.objects.filter(name=entry.gateway).first()
        if gateway is None:
            why = f"no gateway is called {entry.gateway!r}"
            raise self._document.wrong(f"{place}.gateway", why)
        team = gateway.teams.filter(team_id=entry.team).first()
        if entry.team and team is None:
            why = f"{entry.gateway} has no team {entry.team!r}"
            raise self._document.wrong(f"{place}.team", why)
        return gateway, team

    def _store(
        self,
        row: M,
        told: Mapping[str, object],
        what: str,
        place: str,
        beside: Iterable[str] = (),
    ) -> None:
        """Write the row when it is new or differs, and say so.

        What follows from the difference is written `beside` it, and not said.
        """
        new = row.pk is None
        before = {name: getattr(row, name) for name in told}
        for name, value in told.items():
            setattr(row, name, value)
        different = [name for name in told if before[name] != told[name]]
        if new or different:
            self._clean(row, place)
        if new:
            self.changes.added(what)
        else:
            for name in different:
                self.changes.changed(what, name, before[name], told[name])
        if new or different:
            # Not the whole row: a key or a result may be stored meanwhile.
            row.save(update_fields=None if new else [*different, *beside])
        self._name_once(row, place)

    def _clean(self, row: models.Model, place: str) -> None:
        try:
            row.full_clean()
        except ValidationError as error:
            name, why = _first(error)
            spot = place if name == "__all__" else f"{place}.{name}"
            raise self._document.wrong(spot, why) from None

    def _name_once(self, row: models.Model, place: str) -> None:
        first = self._named.setdefault((type(row), row.pk), place)
        if first != place:
            raise self._document.wrong(place, f"the same as {first}; name it once")

    def rest(self, *, prune: bool) -> None:
        """Delete, or only tell of, what the file does not name."""
        everything: Sequence[tuple[str, QuerySet[Any]]] = (
            ("recipient", Recipient.objects.all()),
            # `up` would only bring the default rules back.
            ("rule", Rule.objects.exclude(name__in=DEFAULTS)),
            ("team", Team.objects.select_related("gateway")),
            ("gateway", Gateway.objects.all()),
        )
        unnamed = [(noun, list(self._unnamed(rows))) for noun, rows in everything]
        if not prune:
            for noun, rows in unnamed:
                self._note_kept(noun, rows)
            return
        for noun, rows in unnamed:
            for row in rows:
                self.changes.deleted(f"{noun} {_path(row)}")
        # Of all that go at once: the recorder may hold some of them.
        teams = Q(team__in=self._unnamed(Team.objects.all()))
        gateways = Q(gateway__in=self._unnamed(Gateway.objects.all()))
        forget_breakers(Probe.objects.filter(teams | gateways))
        for _, rows in unnamed:
            for row in rows:
                row.delete()

    def _note_kept(self, noun: str, rows: Sequence[models.Model]) -> None:
        """Tell in one line what a file that names only some leaves alone."""
        if len(rows) == 1:
            self.changes.note(f"{noun} {_path(rows[0])} is not in the file; kept")
        elif rows:
            some = ", ".join(map(_path, rows[:_MOST_KEPT]))
            more = ", …" if len(rows) > _MOST_KEPT else ""
            self.changes.note(
                f"{len(rows)} {noun}s are not in the file; kept ({some}{more})"
            )

    def _unnamed(self, rows: QuerySet[M]) -> QuerySet[M]:
        named = [pk for kind, pk in self._named if kind is rows.model]
        return rows.exclude(pk__in=named)


def _path(row: models.Model) -> str:
    match row:
        case Team():
            return f"{row.gateway.name}/{row.team_id}"
        case Recipient():
            return f"{row.email} of {row.team or row.gateway or 'everything'}"
        case _:
            return str(row)


def _given(entry: Struct, *names: str) -> dict[str, object]:
    told = structs.asdict(entry)
    return {name: told[name] for name in names if told[name] is not UNSET}


def _first(error: ValidationError) -> tuple[str, str]:
    name, messages = next(iter(error.message_dict.items()))
    return name, messages[0].rstrip(".")
