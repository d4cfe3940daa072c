"""A gateway with jobs, and blocks of work over it of both kinds."""

import asyncio
import json
from collections.abc import Callable

import httpx

from apiclient import (
    AsyncClient,
    Client,
    MemoryCompletions,
)
from tests.apiclient.fakes import JOB, KEY, FakeTime

CHAT = [{"role": "user", "content": "Hi"}]


OTHER_JOB = "07263538-0000-4000-8000-000000000002"


STREAM = (
    b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"!"}}]}\n\n'
    b"data: [DONE]\n\n"
)


Scene = httpx.Response | Exception


class Gateway:
    """A gateway with jobs; `spoil` replaces an answer, after or before it takes effect."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.spoil: list[tuple[str, Callable[[], Scene], bool]] = []
        self.time = FakeTime()
        self.timeouts: list[float] = []  # of each request, in seconds
        self._ids = iter((JOB, OTHER_JOB))

    def completions(self) -> list[dict[str, object]]:
        return [body for path, body in self.asked if path.endswith("/complete")]

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        content = request.content
        body = json.loads(content) if content else {}
        self.asked.append((path, body))
        self.timeouts.append(request.extensions["timeout"]["read"])
        scene, applies = self._spoilt(path)
        if scene is not None and not applies:
            return _play(scene)
        response = self._do(path, body)
        return _play(scene) if scene is not None else response

    async def answer_async(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        response = self.answer(request)
        await asyncio.sleep(0)
        return response

    def _spoilt(self, path: str) -> tuple[Callable[[], Scene] | None, bool]:
        for place, (ending, scene, applies) in enumerate(self.spoil):
            if path.endswith(ending):
                del self.spoil[place]
                return scene, applies
        return None, False

    def _do(self, path: str, body: dict[str, object]) -> httpx.Response:
        if path.endswith("/create"):
            job_id = next(self._ids)
            self.jobs[job_id] = "PENDING"
            return httpx.Response(200, json={"job_id": job_id, "status": "PENDING"})
        job_id = path.split("/")[3]
        if path.endswith("/complete"):
            self.jobs[job_id] = str(body["status"]).upper()
        elif path.endswith("/llm-call"):
            reply = {"content": "Hi", "finish_reason": "stop"}
            return httpx.Response(200, json={"call_id": "c", "response": reply})
        elif path.endswith("-stream"):
            kind = {"Content-Type": "text/event-stream"}
            return httpx.Response(200, headers=kind, content=STREAM)
        state = {"job_id": job_id, "status": self.jobs[job_id]}
        return httpx.Response(200, json=state)


def _play(scene: Callable[[], Scene]) -> httpx.Response:
    made = scene()
    if isinstance(made, Exception):
        raise made
    return made


def lost() -> Scene:
    return httpx.ReadTimeout("late")


def refused() -> Scene:
    return httpx.ConnectError("refused")


def gone() -> Scene:
    return httpx.Response(404, json={"detail": "Job not found"})


def refusal(status: int, detail: str) -> Callable[[], Scene]:
    return lambda: httpx.Response(status, json={"detail": detail})


def client_of(gateway: Gateway, **options: object) -> Client:
    return Client(
        base_url="https://gw.example",
        team_id="acme",
        transport=httpx.MockTransport(gateway.answer),
        sleep=gateway.time.sleep,
        clock=gateway.time.clock,
        now=gateway.time.now,
        draw=lambda: 0.5,
        **{"virtual_key": KEY, **options},  # type: ignore[arg-type]  # a test's dict
    )


def async_client_of(gateway: Gateway, **options: object) -> AsyncClient:
    return AsyncClient(
        base_url="https://gw.example",
        team_id="acme",
        transport=httpx.MockTransport(gateway.answer_async),
        sleep=gateway.time.sleep_async,
        clock=gateway.time.clock,
        now=gateway.time.now,
        draw=lambda: 0.5,
        **{"virtual_key": KEY, **options},  # type: ignore[arg-type]  # a test's dict
    )


Work = Callable[[], None]


class Block:
    """One job block, in both kinds: calls the model, streams, then does `work`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.gateway = Gateway()

    def run(self, work: Work | None = None, **options: object) -> object:
        if self.kind == "sync":
            return self._run(work, **options)
        return asyncio.run(self._run_async(work, **options))

    def _run(self, work: Work | None, **options: object) -> object:
        recreate = bool(options.pop("recreate", False))
        with client_of(self.gateway, **options).job("chat", recreate=recreate) as job:
            job.llm_call(model="m", messages=CHAT)
            texts = [chunk.text for chunk in job.chat_stream(model="m", messages=CHAT)]
            assert texts == ["Hi", "!"]
            if work is not None:
                work()
        return job.completed

    async def _run_async(self, work: Work | None, **options: object) -> object:
        recreate = bool(options.pop("recreate", False))
        client = async_client_of(self.gateway, **options)
        async with client.job("chat", recreate=recreate) as job:
            await job.llm_call(model="m", messages=CHAT)
            stream = job.chat_stream(model="m", messages=CHAT)
            texts = [chunk.text async for chunk in stream]
            assert texts == ["Hi", "!"]
            if work is not None:
                work()
        return job.completed

    def send_again(self, store: MemoryCompletions) -> int:
        if self.kind == "sync":
            return client_of(self.gateway, completions=store).send_completions()
        other = async_client_of(self.gateway, completions=store)
        return asyncio.run(other.send_completions())


def raising(error: BaseException) -> Work:
    def work() -> None:
        raise error

    return work
