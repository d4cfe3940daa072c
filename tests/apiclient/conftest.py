import pytest

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
