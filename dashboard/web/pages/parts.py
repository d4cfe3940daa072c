"""Parts that several pages share: frozen values that a template only prints."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.probes.models import Probe
from dashboard.web import words
from dashboard.web.attention import Item
from dashboard.web.prober import Prober
from dashboard.web.states import Tone, state_of


@dataclass(frozen=True, slots=True)
class Badge:
    """A state as icon (by tone), word and colour, with its reason."""

    tone: Tone
    word: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One number with its basis in small print; `url` leads to what it counts."""

    name: str
    value: str
    fine: str = ""
    is_bad: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One row of what needs attention."""

    badge: Badge
    title: str
    url: str
    since: SafeString
    why: str
    advice: str


def alarm(item: Item, now: datetime) -> Alarm:
    return Alarm(
        badge=Badge(item.tone, item.kind),
        title=item.title,
        url=item.url,
        since=words.time(item.since, now, ""),
        why=item.why,
        advice=item.advice,
    )


def probe_badge(probe: Probe, prober: Prober, now: datetime) -> Badge:
    state = state_of(probe, prober, now)
    return Badge(state.tone, state.state.value, state.reason)


@dataclass(frozen=True, slots=True)
class Link:
    """A name that leads to its page."""

    word: str
    url: str


def probe_link(probe: Probe) -> Link:
    return Link(probe.get_kind_display(), reverse("probe", args=[probe.pk]))
