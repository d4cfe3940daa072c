"""Play a script on a gateway while it serves."""

import asyncio
from collections.abc import Callable

from dashboard.simulator.gateway import Gateway
from dashboard.simulator.script import Script

_STEP_S = 0.25


def play_until(
    script: Script, gateway: Gateway, after_s: float, until_s: float
) -> None:
    """Switch what is due in (after_s, until_s], in seconds since the script began."""
    for event in script.between(after_s, until_s):
        if event.on:
            gateway.set_fault(event.fault)
        else:
            gateway.clear_fault(event.fault.name)


async def play(script: Script, gateway: Gateway, clock: Callable[[], float]) -> None:
    """Play for ever; cancel it to stop."""
    began_s, after_s = clock(), -1.0
    while True:
        until_s = clock() - began_s
        play_until(script, gateway, after_s, until_s)
        after_s = until_s
        await asyncio.sleep(_STEP_S)
