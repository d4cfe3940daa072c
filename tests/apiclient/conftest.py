import pytest

from tests.apiclient.asking import Ask, ask_async, ask_fresh, ask_sync
from tests.apiclient.fakes import AsyncRig, SyncRig
from tests.apiclient.stream_rig import Make
from tests.apiclient.stream_rig import Rig as StreamRig


@pytest.fixture(params=[SyncRig, AsyncRig], ids=["sync", "async"])
def rig_of(request: pytest.FixtureRequest) -> type[SyncRig] | type[AsyncRig]:
    kind: type[SyncRig] | type[AsyncRig] = request.param
    return kind


@pytest.fixture(params=["sync", "async"])
def rig(request: pytest.FixtureRequest) -> Make:
    return lambda *tape, **options: StreamRig(request.param, *tape, **options)


@pytest.fixture(params=[ask_sync, ask_fresh, ask_async], ids=["sync", "fresh", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    chosen: Ask = request.param
    return chosen


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask_kept(request: pytest.FixtureRequest) -> Ask:
    """Ask over connections that are kept, which have faults of their own."""
    chosen: Ask = request.param
    return chosen
