"""A run's price is in the credits of its team's own terms, as the gateway charges them."""

from math import inf

import pytest

from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.prices import each, expected_price, price
from dashboard.teams.models import Gateway, Team
from dashboard.teams.services import Terms

JOBS = Terms("job_based", tokens_per_credit=10.0)
TOKENS = Terms("consumption_tokens", tokens_per_credit=10.0)
DOLLARS = Terms("consumption_usd", credits_per_dollar=10.0)


@pytest.mark.parametrize(
    ("terms", "tokens", "dollars", "charged"),
    [
        (JOBS, 93, 9.0, 1),
        (Terms(), 93, 9.0, 1),
        (TOKENS, 93, 9.0, 9),
        (TOKENS, 3, 0.0, 1),
        (Terms("consumption_tokens"), 93, 0.0, 1),
        (Terms("consumption_tokens", tokens_per_credit=-1.0), 93, 0.0, 1),
        (DOLLARS, 93, 0.55, 5),
        (DOLLARS, 93, 0.0, 1),
        (Terms("consumption_usd"), 93, 9.0, 1),
        (DOLLARS, 93, -1e308, 1),
        (TOKENS, -(10**400), 0.0, 1),
        (Terms("consumption_usd", credits_per_dollar=1e308), 93, 9e9, 1e9),
        (Terms("consumption_tokens", tokens_per_credit=5e-324), 93, 0.0, 1e9),
        (TOKENS, 10**400, 0.0, 1e8),
    ],
)
def test_a_job_costs_whole_credits_and_one_at_least(
    terms: Terms, tokens: int, dollars: float, charged: float
) -> None:
    assert price(terms, tokens=tokens, dollars=dollars) == charged


def test_no_number_that_a_gateway_may_tell_makes_a_run_free_or_priceless() -> None:
    """A run whose price could not be told would count nothing, and no cap would hold."""
    odd = (0, 1, 93, 5e-324, 1e15, 1e308, inf, 10**400)
    told = [sign * each for sign in (1, -1) for each in odd]
    rates = [float(each) for each in told if abs(each) <= 1e308]

    prices = {
        price(Terms(mode, rate, rate), tokens=number, dollars=number)  # type: ignore[arg-type]
        for mode in ("job_based", "consumption_tokens", "consumption_usd", "")
        for rate in (*rates, None)
        for number in told
    }

    assert all(1 <= each <= 1e9 for each in prices)


@pytest.mark.parametrize(
    ("kind", "terms", "most", "said"),
    [
        (ProbeKind.DEEP_JOB, JOBS, 1, "one each"),
        (ProbeKind.DEEP_JOB, TOKENS, 5, "at most 5 each"),
        (ProbeKind.STREAM_JOB, DOLLARS, 1, "one each or more"),
        (ProbeKind.KEY_CHECK, TOKENS, 0, ""),
    ],
)
def test_what_a_run_may_cost_is_told_before(
    kind: ProbeKind, terms: Terms, most: float, said: str
) -> None:
    team = Team(
        budget_mode=terms.budget_mode,
        tokens_per_credit=terms.tokens_per_credit,
        credits_per_dollar=terms.credits_per_dollar,
    )
    probe = Probe(kind=kind, team=team, gateway=Gateway())

    assert expected_price(probe) == most
    assert each(probe).startswith(said)
