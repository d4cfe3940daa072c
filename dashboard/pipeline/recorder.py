"""Store what runs saw: outcomes, rollups and decisions in one short transaction."""

import logging
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)

from dashboard.alerts import services as alerts
from dashboard.alerts import silences
from dashboard.alerts.models import Silence
from dashboard.pipeline.answers import Answer
from dashboard.probes import services as probes
from dashboard.probes.breaker_events import record_events
from dashboard.probes.breaker_store import TickBreakers
from dashboard.probes.models import Breaker, Probe
from dashboard.rollups import services as rollups
from dashboard.teams import services as teams
from dashboard.teams.models import Gateway

logger = logging.getLogger(__name__)

# The owner wakes once a second, and soon after when there are so many.
FLUSH_AFTER_S = 0.9
FLUSH_AT = 100
# While the database is away: an hour of 100 probes a minute. The oldest go first.
_MOST_BUFFERED = 6000
# How soon what other workers, or people, did to a breaker is known here.
_REFRESH_AFTER_S = 5.0
# A failure is judged at once; successes this often, which is when everything is.
JUDGE_EVERY_S = 15.0
_ASK_MAINTENANCES_S = 5.0
# Outcomes are stored by the end of their run, the longest of which is a deep one's.
_LONGEST_RUN = timedelta(minutes=5)


class Recorder:
    """Buffer answers and flush them within about a second, or at 100.

    Only the tick's own thread touches it, so that only one connection writes.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.stored = 0
        self._monotonic = monotonic
        self._buffer: list[Answer] = []
        self._flush_at = self._monotonic()
        self._commit_unknown = False
        self._breakers: dict[int, TickBreakers] = {}
        self._refresh_at = 0.0
        self._unjudged: set[int] = set()
        self._certificates: dict[int, datetime] = {}
        self._judge_at = self._monotonic()
        self._maintenances: list[Silence] = []
        self._ask_maintenances_at = self._monotonic()

    def add(self, answer: Answer) -> None:
        self._buffer.append(answer)
        lost = len(self._buffer) - _MOST_BUFFERED
        if lost > 0:
            del self._buffer[:lost]
            logger.error("recorder.dropped", extra={"outcomes": lost})

    def breakers(self, gateway_ids: Collection[int]) -> dict[int, TickBreakers]:
        """Return these gateways' breakers, as all workers last knew them."""
        new = [pk for pk in gateway_ids if pk not in self._breakers]
        self._breakers |= {pk: TickBreakers(pk) for pk in new}
        if new or self._monotonic() >= self._refresh_at:
            self._refresh_at = self._monotonic() + _REFRESH_AFTER_S
            self._refresh()
        return {pk: self._breakers[pk] for pk in gateway_ids}

    def _refresh(self) -> None:
        before = {pk: breakers.versions() for pk, breakers in self._breakers.items()}
        rows: dict[int, list[Breaker]] = {}
        for row in Breaker.objects.filter(gateway__in=self._breakers):
            rows.setdefault(row.gateway_id, []).append(row)
        for gateway_id, breakers in self._breakers.items():
            breakers.refresh(rows.get(gateway_id, []), before[gateway_id])

    def all_judged(self) -> None:
        """Be told that everything stored so far has just been judged."""
        self._judge_at = self._monotonic() + JUDGE_EVERY_S
        self._unjudged = set()

    def flush_when_due(self, now: datetime) -> None:
        if len(self._buffer) >= FLUSH_AT or self._monotonic() >= self._flush_at:
            self.flush(now)

    def flush(self, now: datetime) -> None:
        """Store all that is buffered; raise DatabaseError, and keep it, when it fails."""
        self._flush_at = self._monotonic() + FLUSH_AFTER_S
        if not self._buffer:
            return
        try:
            count = self._store_all(now)
        except DatabaseError:
            # The commit may have gone through though its answer was lost.
            self._commit_unknown = True
            raise
        self.stored += count
        self._buffer, self._commit_unknown = [], False

    def _store_all(self, now: datetime) -> int:
        try:
            return self._store(self._buffer, now)
        except (DataError, IntegrityError):
            logger.exception("recorder.refused", extra={"outcomes": len(self._buffer)})
        self._forget_gone()
        # What the database will never take must not keep out all the others.
        return sum(self._store_one(answer, now) for answer in self._buffer)

    def _forget_gone(self) -> None:
        """Write no more breakers of gateways that were deleted: all else would be lost."""
        found = Gateway.objects.filter(pk__in=self._breakers)
        there = set(found.values_list("pk", flat=True))
        self._breakers = {
            pk: each for pk, each in self._breakers.items() if pk in there
        }

    def _store_one(self, answer: Answer, now: datetime) -> int:
        try:
            return self._store([answer], now)
        except (DataError, IntegrityError):
            logger.exception("recorder.lost", extra={"probe": answer.ask.probe_id})
            return 0

    def flush_at_last(self, now: datetime, patience_s: float = 30.0) -> None:
        """Flush, trying for `patience_s` while the database is away."""
        gives_up_at = self._monotonic() + patience_s
        while True:
            try:
                return self.flush(now)
            except DatabaseError:
                connection.close()
                if self._monotonic() >= gives_up_at:
                    logger.exception(
                        "recorder.lost", extra={"outcomes": len(self._buffer)}
                    )
                    return None
                time.sleep(1.0)

    def _store(self, answers: list[Answer], now: datetime) -> int:
        with transaction.atomic():
            self._mark_maintenance(answers, now)
            stored = probes.record(
                [answer.outcome for answer in answers],
                now,
                stored_before=self._commit_unknown,
            )
            counted = [outcome for outcome in stored if not outcome.misdated]
            if len(counted) < len(stored):
                ahead = len(stored) - len(counted)
                logger.warning("recorder.misdated", extra={"outcomes": ahead})
            kept = {id(outcome) for outcome in counted}
            teams.record_sightings(
                [
                    answer.sighting
                    for answer in answers
                    if answer.sighting and id(answer.outcome) in kept
                ]
            )
            teams.record_certificates(self._new_certificates(answers))
            record_events(
                [
                    event
                    for answer in answers
                    if id(answer.outcome) in kept
                    for event in answer.breaker_events
                ]
            )
            rollups.fold(counted)
            for _, breakers in sorted(self._breakers.items()):
                breakers.flush()
            self._unjudged.update(outcome.probe_id for outcome in stored)
            if self._monotonic() >= self._judge_at:
                self._evaluate(self._unjudged, now)
                self.all_judged()
            elif failed := {each.probe_id for each in stored if each.error_class}:
                self._evaluate(failed, now)
        return len(stored)

    def _mark_maintenance(self, answers: list[Answer], now: datetime) -> None:
        """Note which outcomes were seen in an announced maintenance.

        One that is announced is known within seconds; what was stored before stays.
        """
        if self._monotonic() >= self._ask_maintenances_at:
            self._ask_maintenances_at = self._monotonic() + _ASK_MAINTENANCES_S
            self._maintenances = silences.maintenances(
                now - _LONGEST_RUN, now + _LONGEST_RUN
            )
        if not self._maintenances:
            return
        found = Probe.objects.in_bulk({answer.ask.probe_id for answer in answers})
        for answer in answers:
            probe, outcome = found.get(answer.ask.probe_id), answer.outcome
            if probe is not None:
                outcome.maintenance = silences.in_maintenance(
                    self._maintenances, probe, outcome.started_at
                )

    def _new_certificates(self, answers: list[Answer]) -> dict[int, datetime]:
        """Return the expiries that are not known to be stored, by gateway id."""
        told = {
            answer.ask.gateway_id: expires_at
            for answer in answers
            if (expires_at := answer.certificate_expires_at) is not None
        }
        new = {pk: at for pk, at in told.items() if self._certificates.get(pk) != at}
        self._certificates |= new
        return new

    def _evaluate(self, probe_ids: set[int], now: datetime) -> None:
        try:
            with transaction.atomic():
                alerts.evaluate(probe_ids, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # A rule's fault must not cost us the outcomes; the next round decides.
            logger.exception("recorder.evaluate_failed")
