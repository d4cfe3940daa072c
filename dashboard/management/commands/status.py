import json
from argparse import ArgumentParser
from datetime import datetime

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.utils import timezone

from dashboard.alerts.queries import outbox_state
from dashboard.management.tables import table
from dashboard.rollups.recent import recent
from dashboard.teams.burn import (
    paces,
)
from dashboard.web import attention, words
from dashboard.web.attention import Facts, Item
from dashboard.web.pages.facts import facts
from dashboard.web.pages.tiles import Tile, credit_hours, tiles
from dashboard.web.states import state_of
from dashboard.web.verdict import Verdict, verdict


class Command(BaseCommand):
    help = "Print the verdict: the same facts as on the overview."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, json: bool, **_: object) -> None:
        now = timezone.now()
        # Who may run commands may see everything.
        known = facts(User(is_superuser=True), now)
        items = attention.items(known)
        told = _json if json else _text
        self.stdout.write(told(known, verdict(known, items), items, now))


def _text(known: Facts, found: Verdict, items: list[Item], now: datetime) -> str:
    lines = [f"{found.tone.value.upper()}: {found.sentence}"]
    if found.detail and not items:
        lines.append(found.detail)
    lines += [_line(item, now) for item in items]
    if known.probes:
        spent = credit_hours(known)
        told = tiles(
            known, recent(known.probes, now), spent, paces(spent, known.readings, now)
        )
        lines += ["", *(_tile_line(tile) for tile in told)]
        lines += ["", _probe_table(known, now)]
    return "\n".join(lines)


def _line(item: Item, now: datetime) -> str:
    since = f" ({words.ago(item.since, now)})" if item.since else ""
    return f"- {item.kind}: {item.title}{since}"


def _tile_line(tile: Tile) -> str:
    told = "; ".join(filter(None, (tile.fine, tile.change)))
    return f"{tile.title}: {tile.value or 'no data'} ({told})"


def _probe_table(known: Facts, now: datetime) -> str:
    rows = []
    for probe in known.probes:
        state = state_of(probe, known.prober, now)
        latency = "-"
        if probe.last_latency_us is not None:
            latency = words.milliseconds(probe.last_latency_us / 1000)
        rows.append(
            [
                str(probe.gateway),
                str(probe.team or "-"),
                probe.kind,
                state.state.value,
                state.reason,
                latency,
                words.ago(probe.last_at, now) if probe.last_at else "never",
            ]
        )
    header = ("GATEWAY", "TEAM", "PROBE", "STATE", "WHY", "LATENCY", "LATEST")
    return table(header, rows)


def _json(known: Facts, found: Verdict, items: list[Item], now: datetime) -> str:
    outbox = outbox_state(now)
    return json.dumps(
        {
            "verdict": found.sentence,
            "tone": found.tone,
            "problems": found.problems,
            "attention": [
                {
                    "tone": item.tone,
                    "kind": item.kind,
                    "title": item.title,
                    "since": item.since,
                    "advice": item.advice,
                }
                for item in items
            ],
            "probes": [
                {
                    "gateway": probe.gateway.name,
                    "team": probe.team.team_id if probe.team else None,
                    "probe": probe.kind,
                    "state": state_of(probe, known.prober, now).state,
                    "class": probe.last_error or None,
                    "latest": probe.last_at,
                }
                for probe in known.probes
            ],
            "last_tick_age_s": known.prober.age_s,
            "outbox": {"depth": outbox.depth, "dead": outbox.dead},
        },
        indent=2,
        default=str,
    )
