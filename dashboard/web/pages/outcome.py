"""One result under an address of its own: what happened, why, and what to do."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.blame import beside_class
from dashboard.alerts.models import Incident
from dashboard.alerts.queries import touching
from dashboard.probes.attempts import attempts_of, stream_of
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, ProbeKind
from dashboard.probes.taxonomy import meaning
from dashboard.web import access, words
from dashboard.web.exports import Sheet
from dashboard.web.pages.incidents import IncidentRow, incident_row
from dashboard.web.pages.outcomes import outcome_badge
from dashboard.web.pages.parts import Badge, Fact, Link
from dashboard.web.pages.waterfall import AttemptRow, waterfall

_RETRIED = {True: "may be retried", False: "is never retried"}
_COUNTS = {
    True: "counts as a failure",
    False: "is left out of the error rate: it says nothing of the gateway",
}
_BREAKER = {
    "failure": "a failure",
    "success": "a sign of life: the gateway answered",
    "ignored": "nothing: it changes no count",
}
_MOST_INCIDENTS = 10


@dataclass(frozen=True, slots=True)
class Meant:
    """The error table's row of the class, in words."""

    title: str
    name: str
    sentences: list[str]
    advice: str


@dataclass(frozen=True, slots=True)
class OutcomePage:
    title: str
    probe: Link
    place: str
    badge: Badge
    at: SafeString
    endpoint: str
    facts: list[Fact]
    attempts: list[AttemptRow]
    unkept: str
    nothing_sent: str
    detail: str
    meant: Meant | None
    incidents: list[IncidentRow]
    older_url: str
    newer_url: str
    list_url: str


def outcome(user: access.Visitor, shown: Outcome, now: datetime) -> OutcomePage:
    """Return one result with its neighbours; three queries."""
    probe = shown.probe
    kind = KINDS[ProbeKind(probe.kind)]
    older, newer = _neighbours(shown)
    kept = attempts_of(shown)
    unkept = shown.attempts - len(kept)
    attempts = waterfall(kept, kind, first=unkept + 1)
    return OutcomePage(
        title=f"{outcome_badge(shown.error_class).word}: {probe}",
        probe=Link(str(probe), reverse("probe", args=[probe.pk])),
        place=str(probe.gateway),
        badge=outcome_badge(shown.error_class),
        at=words.time(shown.started_at, now),
        endpoint=kind.endpoints[0],
        facts=_facts(shown),
        attempts=attempts,
        unkept=f"Of {words.count(unkept, 'attempt')} before nothing was kept."
        if unkept > 0
        else "",
        nothing_sent="" if attempts else "Nothing was sent.",
        detail=shown.detail,
        meant=_meant(shown.error_class) if shown.error_class else None,
        incidents=[incident_row(each, now) for each in _incidents(user, shown)],
        older_url=reverse("outcome", args=[older]) if older else "",
        newer_url=reverse("outcome", args=[newer]) if newer else "",
        list_url=f"{reverse('outcomes')}?probe={probe.pk}",
    )


def sheet(shown: Outcome) -> Sheet:
    names = (
        *("attempt", "result", "status", "wait_s", "latency_s", "connect_s", "tls_s"),
        *("first_byte_s", "body_s"),
    )
    rows: list[list[object]] = [list(names)]
    for number, each in enumerate(attempts_of(shown), start=1):
        error_class, *others = each.packed()
        rows.append([number, error_class or "ok", *others])
    return Sheet("attempts", rows)


def _neighbours(shown: Outcome) -> tuple[int | None, int | None]:
    of_probe = Outcome.objects.filter(probe=shown.probe_id).values_list("pk", flat=True)
    before = of_probe.filter(started_at__lt=shown.started_at).order_by("-started_at")
    after = of_probe.filter(started_at__gt=shown.started_at).order_by("started_at")
    return before.first(), after.first()


def _incidents(user: access.Visitor, shown: Outcome) -> list[Incident]:
    """Return the incidents of the probe, its team or its gateway at that moment."""
    then = Q(resolved_at=None) | Q(resolved_at__gte=shown.started_at)
    found = access.incidents(user).filter(
        touching(shown.probe), then, opened_at__lte=shown.started_at
    )
    return list(found.order_by("-opened_at")[:_MOST_INCIDENTS])


def _facts(shown: Outcome) -> list[Fact]:
    facts = [
        Fact("Started", words.exact(shown.started_at)),
        Fact(
            "Whole call",
            words.milliseconds(shown.elapsed_us / 1000),
            "with all attempts and waits",
        ),
        Fact(
            "Latency",
            words.milliseconds(shown.latency_us / 1000) if shown.attempts else "none",
            "on the wire, of the last attempt",
        ),
        Fact("Status", str(shown.status_code or "none"), "of the last answer"),
        Fact("Attempts", f"{shown.attempts}"),
    ]
    if shown.host:
        facts.append(Fact("Answered by", shown.host, "not the gateway's own address"))
    if shown.credits:
        facts.append(Fact("Credits", words.number(shown.credits), "spent by this run"))
    if shown.request_id:
        facts.append(Fact("Request id", str(shown.request_id), "X-Request-ID"))
    return [*facts, *_stream_facts(shown), *_odd_facts(shown)]


def _stream_facts(shown: Outcome) -> list[Fact]:
    stream = stream_of(shown)
    if stream is None:
        return []
    facts = [
        Fact(
            "First token",
            "none came"
            if stream.ttft_s is None
            else words.milliseconds(stream.ttft_s * 1000),
        ),
        Fact("Stream", words.count(stream.chunks, "event"), stream.finish_reason),
    ]
    if stream.longest_gap_s is not None:
        gap = words.milliseconds(stream.longest_gap_s * 1000)
        facts.append(Fact("Longest silence", gap, "between two events"))
    return facts


def _odd_facts(shown: Outcome) -> list[Fact]:
    facts = []
    if shown.maintenance:
        facts.append(Fact("Maintenance", "announced", "so it is in no number"))
    if shown.misdated:
        facts.append(Fact("Clock", "ahead", "a clock was wrong, so it is in no number"))
    return facts


def _meant(error_class: str) -> Meant:
    row = meaning(error_class)
    return Meant(
        title=row.title,
        name=error_class,
        sentences=[
            f"It is a {row.category} error. Whose fault: {beside_class(error_class)}.",
            f"A call that ends so {_RETRIED[row.retried]}, and {_COUNTS[row.counts]}.",
            f"To the circuit breaker it is {_BREAKER[row.breaker.value]}.",
        ],
        advice=row.advice,
    )
