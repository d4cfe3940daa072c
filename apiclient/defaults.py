"""The real clock, chance and ids: the one place that names them."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from apiclient.base_url import BaseURL
from apiclient.core import Core
from apiclient.options import Options, check
from apiclient.redact import Secret
from apiclient.steps import Sources


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())


def core_for(
    options: Options,
    *,
    bases: Sequence[BaseURL],
    team_id: str,
    virtual_key: str | Secret | None,
    measured: bool,
    can_refresh: bool,
) -> Core:
    check(options)
    sources = Sources(
        clock=options.get("clock", time.monotonic),
        now=options.get("now", _utc_now),
        draw=options.get("draw", random.random),
    )
    return Core(
        options,
        sources,
        bases=bases,
        team_id=team_id,
        virtual_key=virtual_key,
        new_id=options.get("new_id", _new_id),
        measured=measured,
        can_refresh=can_refresh,
    )
