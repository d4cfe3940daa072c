"""Time that passes only when told, and a gateway that answers from a tape."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import httpx

from apiclient import AsyncClient, CallReport, Client, ErrorClass, Operation
from apiclient.breaker import Admit
from apiclient.options import Options

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = "sk-canary-4f1d8a77"
JOB = "07263538-0000-4000-8000-000000000001"

Scene = httpx.Response | Exception
Scenes = list[Callable[[], Scene]]
Tape = Iterable[Callable[[], Scene]]


class FakeTime:
    """A monotonic clock, a wall clock and a sleep that move together."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return 1000.0 + self.elapsed_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed_s += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Gateway:
    """Answers from a tape, each answer `took_s` later, and keeps what was asked."""

    def __init__(self, time: FakeTime, tape: Tape, took_s: float = 0.25) -> None:
        self.time = time
        self.took_s = took_s
        self.requests: list[httpx.Request] = []
        self._tape = iter(tape)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.time.elapsed_s += self.took_s
        scene = next(self._tape)()
        if isinstance(scene, Exception):
            raise scene
        return scene

    @property
    def paths(self) -> list[str]:
        return [f"{each.method} {each.url.path}" for each in self.requests]


def says(
    status: int,
    json: object = None,
    *,
    text: str | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Callable[[], Scene]:
    def scene() -> Scene:
        if body is not None or text is not None:
            content = body if body is not None else (text or "").encode()
            return httpx.Response(status, content=content, headers=headers)
        return httpx.Response(status, json=json, headers=headers)

    return scene


def fails(error: type[Exception], message: str = "it broke") -> Callable[[], Scene]:
    return lambda: error(message)


def detail(status: int, text: object, **headers: str) -> Callable[[], Scene]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return says(status, {"detail": text}, headers=named)


class SyncRig:
    """A sync client on fake time; AsyncRig is its twin, with the same methods."""

    def __init__(self, tape: Tape, took_s: float = 0.25, **options: object) -> None:
        self.time = FakeTime()
        self.gateway = Gateway(self.time, tape, took_s)
        self.client = Client(
            transport=httpx.MockTransport(self.gateway.answer),
            sleep=self.time.sleep,
            **_settings(self.time, options),  # type: ignore[arg-type]  # a test's dict
        )

    def report(
        self,
        operation: Operation[object],
        *,
        max_retries: int | None = None,
        deadline_s: float | None = None,
        admit: Admit = Admit.NORMAL,
    ) -> CallReport[object]:
        return self.client.report(
            operation, max_retries=max_retries, deadline_s=deadline_s, admit=admit
        )

    def run(self, operation: Operation[object]) -> object:
        return self.client.run(operation)


class AsyncRig:
    def __init__(self, tape: Tape, took_s: float = 0.25, **options: object) -> None:
        self.time = FakeTime()
        self.gateway = Gateway(self.time, tape, took_s)
        self.client = AsyncClient(
            transport=httpx.MockTransport(self.gateway.answer),
            sleep=self.time.sleep_async,
            **_settings(self.time, options),  # type: ignore[arg-type]  # a test's dict
        )

    def report(
        self,
        operation: Operation[object],
        *,
        max_retries: int | None = None,
        deadline_s: float | None = None,
        admit: Admit = Admit.NORMAL,
    ) -> CallReport[object]:
        return asyncio.run(
            self.client.report(
                operation, max_retries=max_retries, deadline_s=deadline_s, admit=admit
            )
        )

    def run(self, operation: Operation[object]) -> object:
        return asyncio.run(self.client.run(operation))


Rig = SyncRig | AsyncRig
RigOf = type[SyncRig] | type[AsyncRig]


def classes(report: CallReport[object]) -> list[ErrorClass | None]:
    return [each.error for each in report.attempts]


def _settings(time: FakeTime, options: dict[str, object]) -> dict[str, object]:
    numbers = iter(range(1, 10_000))
    defaults = Options(
        clock=time.clock,
        now=time.now,
        draw=lambda: 0.5,
        new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012}",
    )
    return {
        "base_url": "https://gw.example/api",
        "team_id": "acme",
        "virtual_key": KEY,
        **defaults,
        **options,
    }
