"""The job helper: one completion for every job, whatever happens. S-95, S-100, S-101."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path

import httpx
import pytest

from apiclient import (
    APIError,
    AsyncClient,
    AuthenticationError,
    Client,
    Completion,
    ConflictError,
    FileCompletions,
    MemoryCompletions,
    NotFoundError,
    RetryPolicy,
    ServerError,
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


@pytest.fixture(params=["sync", "async"])
def block(request: pytest.FixtureRequest) -> Block:
    return Block(request.param)


def raising(error: BaseException) -> Work:
    def work() -> None:
        raise error

    return work


def test_a_block_that_ends_well_completes_its_job(block: Block) -> None:
    """S-95, S-100."""
    assert block.run() is not None
    assert block.gateway.completions() == [{"status": "completed"}]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad answer"),
        TimeoutError("too slow"),
        KeyboardInterrupt(),
        SystemExit(1),
        asyncio.CancelledError(),
    ],
)
def test_whatever_is_raised_fails_the_job_and_is_passed_on(
    block: Block, error: BaseException
) -> None:
    """S-95, S-100, S-144, B-70, X-40, X-41: also what is no Exception."""
    with pytest.raises(type(error)) as raised:
        block.run(raising(error))

    assert raised.value is error or isinstance(error, asyncio.CancelledError)
    [completion] = block.gateway.completions()
    assert completion["status"] == "failed"
    assert str(completion["error_message"]).startswith(type(error).__name__)


def test_no_job_means_no_completion(block: Block) -> None:
    """S-100."""
    denied = {"detail": "Invalid API key"}
    block.gateway.spoil = [("/create", lambda: httpx.Response(401, json=denied), False)]

    with pytest.raises(AuthenticationError):
        block.run()

    assert block.gateway.completions() == []


@pytest.mark.parametrize("key", [KEY, "plain+key/of=another%form"])
def test_the_error_message_is_short_and_without_the_key(block: Block, key: str) -> None:
    """S-100, X-43, B-80: the gateway's column takes 1,000 characters."""
    with pytest.raises(ValueError, match="bad key"):
        block.run(raising(ValueError(f"bad key {key} " + "x" * 2000)), virtual_key=key)

    message = str(block.gateway.completions()[0]["error_message"])
    assert key not in message
    assert len(message) <= 1000


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_completion_is_looked_up_and_never_charged_twice(
    block: Block, *, applied: bool
) -> None:
    """B-22, X-14: a third `complete` would charge again."""
    block.gateway.spoil = [("/complete", lost, applied)]

    assert block.run() is not None
    assert len(block.gateway.completions()) == (1 if applied else 2)
    assert block.gateway.jobs[JOB] == "COMPLETED"


def test_a_completion_is_looked_up_after_its_last_attempt_as_well(
    block: Block,
) -> None:
    """B-22: what the fourth attempt did is worth knowing, too."""
    store = MemoryCompletions()
    block.gateway.spoil = [("/complete", lost, number == 4) for number in range(1, 5)]

    assert block.run(completions=store) is not None
    assert len(block.gateway.completions()) == 4
    assert store.waiting() == ()


def test_a_list_that_cannot_be_written_hides_no_error(block: Block) -> None:
    """S-101: the list may be the caller's own, and its disk may be full."""
    block.gateway.spoil = [("/complete", refused, False)] * 8

    with pytest.raises(ValueError, match="first") as raised:
        block.run(raising(ValueError("first")), completions=FullDisk())
    with pytest.raises(APIError) as alone:
        block.run(completions=FullDisk())

    assert "it is not kept" in raised.value.__notes__[0]
    assert isinstance(alone.value.__context__, OSError)


class FullDisk(MemoryCompletions):
    def add(self, completion: Completion) -> None:
        raise OSError(28, "No space left on device")


def test_an_interrupted_completion_is_kept() -> None:
    """B-70, S-101: Ctrl-C while it is under way, so that its fate is not known."""
    block, store = Block("sync"), MemoryCompletions()

    def interrupted() -> Scene:
        raise KeyboardInterrupt

    block.gateway.spoil = [("/complete", interrupted, True)]

    with pytest.raises(KeyboardInterrupt):
        block.run(completions=store)

    assert store.waiting() == (Completion(JOB, "completed"),)
    assert block.send_again(store) == 1
    assert len(block.gateway.completions()) == 1


def test_a_failing_completion_does_not_hide_the_first_error(block: Block) -> None:
    """S-101, X-42."""
    broken = {"detail": "Internal server error"}
    block.gateway.spoil = [
        ("/complete", lambda: httpx.Response(500, json=broken), False) for _ in range(9)
    ]

    with pytest.raises(ValueError, match="first") as raised:
        block.run(raising(ValueError("first")))

    [note] = raised.value.__notes__
    assert "not completed as failed" in note
    assert "send_completions" in note


def test_a_completion_that_cannot_be_sent_is_raised_and_kept(block: Block) -> None:
    """S-101: after good work the caller must know that the job is still open."""
    store = MemoryCompletions()
    block.gateway.spoil = [("/complete", refused, False)] * 4

    with pytest.raises(APIError):
        block.run(completions=store)

    assert store.waiting() == (Completion(JOB, "completed"),)
    assert block.send_again(store) == 1
    assert block.gateway.completions()[-1] == {"status": "completed"}
    assert store.waiting() == ()


def test_a_kept_completion_that_had_arrived_is_not_sent_again(block: Block) -> None:
    """S-101, B-22."""
    store = MemoryCompletions()
    store.add(Completion(JOB, "completed"))
    block.gateway.jobs[JOB] = "COMPLETED"

    assert block.send_again(store) == 1
    assert block.gateway.completions() == []


def test_a_kept_completion_waits_on_while_the_gateway_is_away(block: Block) -> None:
    store = MemoryCompletions()
    store.add(Completion(JOB, "failed", "x"))
    block.gateway.jobs[JOB] = "PENDING"
    block.gateway.spoil = [(JOB, refused, False)] * 9

    assert block.send_again(store) == 0
    assert len(store.waiting()) == 1


def test_a_completion_that_is_refused_is_not_kept(block: Block) -> None:
    """B-22: a job that ended otherwise is never flipped."""
    store = MemoryCompletions()

    def end_it() -> None:
        block.gateway.jobs[JOB] = "FAILED"
        block.gateway.spoil = [("/complete", lost, False)] * 2

    with pytest.raises(ConflictError):
        block.run(end_it, completions=store)

    assert store.waiting() == ()


def test_a_job_that_is_gone_is_made_again_once_if_asked(block: Block) -> None:
    """S-30."""
    block.gateway.spoil = [("/llm-call", gone, False)]

    block.run(recreate=True)

    assert block.gateway.jobs == {JOB: "PENDING", OTHER_JOB: "COMPLETED"}


@pytest.mark.parametrize(
    ("recreate", "detail", "times"),
    [
        (False, "Job not found", 1),
        (True, "Not Found", 1),  # the route is missing, not the job
        (True, "Job not found", 2),  # once, and no more
    ],
)
def test_a_job_is_not_made_again_otherwise(
    block: Block, detail: str, times: int, *, recreate: bool
) -> None:
    """S-30."""

    def missing() -> Scene:
        return httpx.Response(404, json={"detail": detail})

    block.gateway.spoil = [("/llm-call", missing, False)] * times

    with pytest.raises(NotFoundError):
        block.run(recreate=recreate)


def test_an_interrupted_program_gives_its_completion_five_seconds() -> None:
    """B-70: no retries then."""
    block = Block("sync")
    broken = {"detail": "down"}
    block.gateway.spoil = [
        ("/complete", lambda: httpx.Response(503, json=broken), False)
    ] * 9

    with pytest.raises(KeyboardInterrupt):
        block.run(raising(KeyboardInterrupt()))

    assert block.gateway.time.waits == []
    assert len(block.gateway.completions()) == 1
    assert block.gateway.timeouts[-1] <= 5.0


def cancelled_at(step: int) -> tuple[Gateway, bool, bool, MemoryCompletions]:
    """Cancel a job's task after `step` turns of the loop; return what came of it."""
    gateway, store = Gateway(), MemoryCompletions()
    began = False

    async def work() -> None:
        nonlocal began
        client = async_client_of(gateway, completions=store)
        async with client.job("chat") as job:
            began = True
            await job.llm_call(model="m", messages=CHAT)
            async for _ in job.chat_stream(model="m", messages=CHAT):
                await asyncio.sleep(0)

    async def main(task: Coroutine[object, object, None]) -> bool:
        running = asyncio.ensure_future(task)
        for _ in range(step):
            await asyncio.sleep(0)
        done_before = running.done()
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled() or done_before
        return done_before

    finished = asyncio.run(main(work()))
    return gateway, began, finished, store


def test_cancelled_at_any_point_a_job_gets_exactly_one_completion() -> None:
    """B-70, S-95: every turn of the loop, from the creation to the completion."""
    begun = 0
    for step in range(1, 200):
        gateway, began, finished, store = cancelled_at(step)
        if began:
            begun += 1
            assert len(gateway.completions()) == 1, step
            assert store.waiting() == ()
        if finished:
            break
    else:
        pytest.fail("the job never came to its end")
    assert begun > 10


def test_unsent_completions_survive_in_a_file(tmp_path: Path) -> None:
    """S-101."""
    path = tmp_path / "completions.json"
    FileCompletions(path).add(Completion(JOB, "failed", "why"))

    again = FileCompletions(path)

    assert again.waiting() == (Completion(JOB, "failed", "why"),)
    again.discard(JOB)
    assert FileCompletions(path).waiting() == ()


def test_the_list_of_unsent_completions_is_bounded() -> None:
    """S-101: the oldest is dropped, and counted."""
    store = MemoryCompletions()

    for number in range(1001):
        store.add(Completion(f"{number}", "failed"))

    assert (len(store.waiting()), store.dropped) == (1000, 1)


def test_a_block_may_say_itself_that_its_work_failed() -> None:
    gateway = Gateway()

    with client_of(gateway).job("chat") as job:
        job.fail("the answer makes no sense")

    [completion] = gateway.completions()
    assert completion["status"] == "failed"
    assert "makes no sense" in str(completion["error_message"])


def test_a_server_error_in_the_block_is_the_jobs_failure() -> None:
    gateway = Gateway()
    broken = {"detail": "boom"}
    gateway.spoil = [("/llm-call", lambda: httpx.Response(500, json=broken), False)]
    client = client_of(gateway, retry=RetryPolicy(max_retries=0))

    with pytest.raises(ServerError), client.job("chat") as job:
        job.llm_call(model="m", messages=CHAT)

    assert gateway.jobs == {JOB: "FAILED"}
