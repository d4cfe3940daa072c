"""The table of probes: the same on the overview and on a team's page, worst first."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import Silence
from dashboard.alerts.silences import in_maintenance
from dashboard.probes.models import Probe
from dashboard.probes.rhythm import waits_for_key
from dashboard.rollups.numbers import Summary
from dashboard.rollups.recent import Recent
from dashboard.web import words
from dashboard.web.drawing import results_url
from dashboard.web.pages.parts import Badge, Link, probe_badge, probe_link
from dashboard.web.prober import Prober
from dashboard.web.states import state_of
from dashboard.web.strips import Strip, strip


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """The rate, p95 and samples are of the last hour; `seen` has them unrounded."""

    link: Link
    place: str
    badge: Badge
    error_rate: str
    is_bad: bool
    p95: str
    samples: str
    since: SafeString
    latest: SafeString
    strip: Strip
    failed_url: str
    all_url: str
    seen: Summary


@dataclass(frozen=True, slots=True)
class Quiet:
    """Probes that have nothing to tell, in one line; `url` shows them."""

    number: int
    words: str
    url: str


def probe_rows(
    probes: Iterable[Probe],
    prober: Prober,
    seen: Recent,
    now: datetime,
    *,
    with_off: bool = False,
    most: int | None = None,
    announced: Collection[Silence] = (),
) -> list[ProbeRow]:
    """Return a row for each probe that runs, at most so many, the worst first.

    One that is in an `announced` maintenance says so.
    """

    def badness(probe: Probe) -> tuple[int, float, str]:
        rate = seen.by_probe[probe.pk].error_rate or 0.0
        return state_of(probe, prober, now).place, -rate, str(probe.team or "")

    def badge(probe: Probe) -> Badge:
        found = probe_badge(probe, prober, now)
        if not in_maintenance(announced, probe, now):
            return found
        return replace(found, reason=f"{found.reason}, in maintenance".lstrip(", "))

    return [
        _row(probe, badge(probe), seen, now)
        for probe in sorted(
            (each for each in probes if each.enabled or with_off), key=badness
        )[:most]
    ]


def off_links(probes: Iterable[Probe]) -> list[Link]:
    """Return the probes that are switched off: only named, they have nothing to tell."""
    return [
        Link(str(probe), reverse("probe", args=[probe.pk]))
        for probe in probes
        if not probe.enabled
    ]


def is_quiet(probe: Probe) -> bool:
    """Say whether it does not run, so that a row of its own would say nothing."""
    return not probe.enabled or waits_for_key(probe)


def quiet(probes: Iterable[Probe], url: str, keys_url: str) -> list[Quiet]:
    """Return a line for each reason for which probes do not run, with their number.

    `keys_url` shows those that wait for a key.
    """
    silent = [probe for probe in probes if is_quiet(probe)]
    off = sum(1 for probe in silent if not probe.enabled)
    keyless = len({probe.team_id for probe in silent if probe.enabled})
    waiting = words.count(len(silent) - off, "probe waits", "probes wait")
    lines = [
        Quiet(
            len(silent) - off,
            f"{waiting} for the key of {words.count(keyless, 'team')}",
            keys_url,
        ),
        Quiet(off, words.count(off, "probe is", "probes are") + " switched off", url),
    ]
    return [line for line in lines if line.number]


def _row(probe: Probe, badge: Badge, seen: Recent, now: datetime) -> ProbeRow:
    hour = seen.by_probe[probe.pk]
    results = f"{reverse('outcomes')}?probe={probe.pk}"
    listed = results_url(hour, f"probe={probe.pk}")
    return ProbeRow(
        link=probe_link(probe),
        place=str(probe.team or probe.gateway),
        badge=badge,
        error_rate=words.percent(hour.error_rate) if hour.samples else "",
        is_bad=bool(hour.bad),
        p95=_p95(hour),
        samples=f"{hour.samples:,}",
        failed_url=f"{listed}&state=failed" if hour.bad else "",
        all_url=f"{listed}&state=counted" if hour.samples else "",
        since=words.lasting(probe.failing_since, now),
        latest=words.time(probe.last_at, now),
        strip=strip(seen.hours, seen.by_hour[probe.pk], name=str(probe), url=results),
        seen=hour,
    )


def _p95(hour: Summary) -> str:
    return "" if hour.p95_ms is None else words.milliseconds(hour.p95_ms)
