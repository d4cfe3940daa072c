"""What a run of a paid probe costs, in credits and by its team's own terms."""

from math import ceil

from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.teams.models import Team
from dashboard.teams.services import Terms

# More credits, tokens or dollars of one run are nonsense, as are fewer than none: what is
# reckoned from them might come to no number, and the run be counted as free.
_MOST = 1e9
_BY_TOKENS, _BY_DOLLARS = "consumption_tokens", "consumption_usd"


def terms_of(team: Team | None) -> Terms:
    if team is None:
        return Terms()
    return Terms(
        budget_mode=team.budget_mode,
        tokens_per_credit=team.tokens_per_credit,
        credits_per_dollar=team.credits_per_dollar,
    )


def price(terms: Terms, *, tokens: int, dollars: float) -> float:
    """Return what the gateway charges for a completed job: whole credits, one at least."""
    if terms.budget_mode == _BY_TOKENS and (terms.tokens_per_credit or 0) > 0:
        return _whole(_believed(tokens) / (terms.tokens_per_credit or 1))
    if terms.budget_mode == _BY_DOLLARS:
        return _whole(_believed(dollars) * (terms.credits_per_dollar or 0))
    return 1.0


def _believed(told: float) -> float:
    return float(max(0, min(told, _MOST)))


def _whole(credits: float) -> float:  # noqa: A002
    return float(int(max(1, min(credits, _MOST))))


def expected_price(probe: Probe) -> float:
    """Return what a run may cost at most, 0 for a free kind.

    Where the team pays in dollars nobody can tell before: it is the least, one credit.
    """
    kind = KINDS[ProbeKind(probe.kind)]
    if not kind.credits_per_run:
        return 0.0
    return price(terms_of(probe.team), tokens=kind.tokens_per_run, dollars=0.0)


def least_cap(probe: Probe) -> int:
    """Return the smallest cap a day with which the probe ever runs: one run's cost."""
    return ceil(expected_price(probe))


def each(probe: Probe) -> str:
    """Return how a run's price is told beside a sum: "one each", "at most 5 each"."""
    if terms_of(probe.team).budget_mode == _BY_DOLLARS:
        return "one each or more, as the gateway counts dollars"
    most = expected_price(probe)
    return "one each" if most <= 1 else f"at most {most:,.0f} each"
