import pytest

from tests.apiclient.fakes import AsyncRig, SyncRig


@pytest.fixture(params=[SyncRig, AsyncRig], ids=["sync", "async"])
def rig_of(request: pytest.FixtureRequest) -> type[SyncRig] | type[AsyncRig]:
    kind: type[SyncRig] | type[AsyncRig] = request.param
    return kind
