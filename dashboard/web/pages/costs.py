"""What a paid probe costs, said before anybody switches it on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dashboard.probes.kinds import KINDS, runs_a_day
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.prices import each, expected_price
from dashboard.probes.queries import spent_by_team, spent_today
from dashboard.probes.services import spent, why_capped
from dashboard.teams.models import Team
from dashboard.web import words


@dataclass(frozen=True, slots=True)
class Cost:
    sentence: str
    spent: str
    accepted: str
    lacks: str


def a_day(probes: Iterable[Probe]) -> float:
    """Return what those of them that are switched on may cost together a day."""
    return sum(runs_a_day(p.period_s) * expected_price(p) for p in probes if p.enabled)


def when_reached(cap: int, a_day: float) -> str:
    """Return "at about 05:00 UTC each day"; "" where the cap lasts for the whole day."""
    if cap >= a_day:
        return ""
    hours, minutes = divmod(round(24 * 4 * cap / a_day) * 15, 60)
    return f"at about {hours:02}:{minutes:02} UTC each day"


def cap_means(probe: Probe, now: datetime) -> str:
    """Say what the caps of a probe that runs come to; "" where it runs all day."""
    if why := why_capped(probe, spent([probe], now)[probe.pk]):
        return f"It waits until midnight UTC: {'its ' * why.startswith('cap')}{why}."
    cap = probe.daily_credit_cap or 0
    when = when_reached(cap, a_day([probe]))
    return f"With {words.amount(cap, 'credit')} a day it stops {when}." if when else ""


def team_cap_means(team: Team, probes: Iterable[Probe], now: datetime) -> str:
    """Say what the cap of all a team's probes comes to; "" where it stops none."""
    cap = team.daily_credit_cap
    paid = [each for each in probes if each.enabled and expected_price(each)]
    if cap is None or not paid:
        return ""
    used = spent_by_team([team.pk], now).get(team.pk, 0.0)
    if used + min(map(expected_price, paid)) > cap:
        return (
            f"{words.amount(used, 'credit')} are spent today, so its paid probes wait "
            "until midnight UTC."
        )
    when = when_reached(cap, a_day(paid))
    return f"Its paid probes stop {when}." if when else ""


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
    used = words.number(spent_today([probe.pk], now).get(probe.pk, 0.0))
    if probe.daily_credit_cap is None:
        return f"{used} credits spent today (UTC), no cap"
    return f"{used} of {probe.daily_credit_cap:,} credits spent today (UTC)"


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
