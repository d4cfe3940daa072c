"""What a paid probe costs, said before anybody switches it on."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.probes.kinds import KINDS, runs_a_day
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.prices import each, expected_price
from dashboard.probes.queries import spent_today
from dashboard.web import words


@dataclass(frozen=True, slots=True)
class Cost:
    sentence: str
    spent: str
    accepted: str
    lacks: str


def cost(probe: Probe, now: datetime) -> Cost:
    kind = KINDS[ProbeKind(probe.kind)]
    runs = runs_a_day(probe.period_s)
    every = words.duration(probe.period_s)
    if kind.credits_per_run:
        credit_words = words.number(runs * expected_price(probe))
        tokens = words.number(runs * kind.tokens_per_run)
        price = f"{credit_words} credits a day at {each(probe)}, and at most {tokens} tokens"
    else:
        price = "no credits; it leaves a failed job in the team's statistics"
    return Cost(
        sentence=f"One run every {every}, {words.number(runs)} a day: {price}.",
        spent=_spent(probe, now) if probe.enabled and kind.credits_per_run else "",
        accepted=_accepted(probe),
        lacks=_lacks(probe, needs_model=kind.credits_per_run > 0),
    )


def _spent(probe: Probe, now: datetime) -> str:
    spent = words.number(spent_today([probe.pk], now).get(probe.pk, 0.0))
    if probe.daily_credit_cap is None:
        return f"{spent} credits spent today (UTC), no cap"
    return f"{spent} of {probe.daily_credit_cap:,} credits spent today (UTC)"


def _accepted(probe: Probe) -> str:
    if not probe.enabled or probe.cost_accepted_at is None:
        return ""
    who = probe.cost_accepted_by or "somebody"
    model = f", model {probe.model}" if probe.model else ""
    return f"accepted by {who}, {words.exact(probe.cost_accepted_at)}{model}"


def _lacks(probe: Probe, *, needs_model: bool) -> str:
    """Return why it cannot be switched on yet, "" when nothing is lacking."""
    if probe.team is None or not probe.team.has_key:
        return "The team has no virtual key yet."
    if needs_model and not probe.team.model_aliases:
        return "The gateway has not told yet which models the team may call."
    return ""
