"""The job helper: one completion for every job, whatever happens. S-95, S-100, S-101."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import httpx
import pytest

from apiclient import (
    APIError,
    AuthenticationError,
    Completion,
    ConflictError,
    FileCompletions,
    MemoryCompletions,
    NotFoundError,
    RetryPolicy,
    ServerError,
)
from tests.apiclient.fakes import JOB, KEY
from tests.apiclient.job_blocks import (
    CHAT,
    OTHER_JOB,
    Block,
    Gateway,
    Scene,
    async_client_of,
    client_of,
    gone,
    lost,
    raising,
    refusal,
    refused,
)


@pytest.fixture(params=["sync", "async"])
def block(request: pytest.FixtureRequest) -> Block:
    return Block(request.param)


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


@pytest.mark.parametrize(
    "scene",
    [
        refusal(403, "Team access is suspended. Please contact support."),
        refusal(403, "Job does not belong to your team"),
        refusal(401, "Invalid API key"),
        lambda: httpx.Response(200, text="<html>Log in to this network</html>"),
        lambda: httpx.Response(404, text="404 page not found\n"),
        refusal(404, "Not Found"),
        lambda: httpx.Response(400, text="<html>400 Bad Request</html>"),
        lambda: httpx.Response(405),
        refusal(422, "No such body"),
        lambda: httpx.Response(451, text="blocked"),
    ],
    ids=[
        "suspended",
        "another team's",
        "key refused",
        "no answer of the gateway's",
        "a proxy's 404",
        "another program's 404",
        "a proxy's 400",
        "a proxy's 405",
        "a 422",
        "a proxy's 451",
    ],
)
def test_a_completion_waits_on_until_somebody_mends_the_cause(
    block: Block, scene: Callable[[], Scene]
) -> None:
    """S-100, S-101: a job is not ended because the team is suspended."""
    store = MemoryCompletions()

    def refuse() -> None:
        block.gateway.spoil = [("/complete", scene, False), (JOB, scene, False)] * 2

    with pytest.raises(APIError):
        block.run(refuse, completions=store)
    assert block.send_again(store) == 0
    assert len(store.waiting()) == 1

    block.gateway.spoil = []
    assert block.send_again(store) == 1
    assert block.gateway.jobs[JOB] == "COMPLETED"
    assert store.waiting() == ()


def test_a_completion_of_a_job_that_is_gone_does_not_wait(block: Block) -> None:
    """S-101."""
    store = MemoryCompletions()
    store.add(Completion(JOB, "failed", "x"))
    block.gateway.spoil = [(JOB, gone, False)]

    assert block.send_again(store) == 1
    assert store.waiting() == ()


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


@pytest.mark.parametrize("text", ["{half", "7", "[7]", '[{"job_id": "x"}]'])
def test_a_file_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "completions.json"
    path.write_text(text)

    with pytest.raises(
        ValueError, match=r"completions\.json is no list of completions"
    ):
        FileCompletions(str(path))


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
