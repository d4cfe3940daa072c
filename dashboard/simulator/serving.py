"""Run the stand-in as a process of its own, until it is told to stop."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence

from dashboard.simulator.gateway import Gateway
from dashboard.simulator.latency import PLAUSIBLE, Latency
from dashboard.simulator.player import play
from dashboard.simulator.script import Script
from dashboard.simulator.server import Server, utc_now
from dashboard.simulator.world import Team


async def serve(
    teams: Sequence[Team],
    *,
    host: str,
    port: int,
    script: Script | None,
    ready: Callable[[Server], None],
    seed: int = 1,
    latency: Latency = PLAUSIBLE,
) -> None:
    """Serve until SIGINT or SIGTERM. OSError when the address cannot be had.

    `ready` is called once, when requests are answered.
    """
    gateway = Gateway(
        teams, monotonic=time.monotonic, now=utc_now, seed=seed, latency=latency
    )
    server = Server(gateway, host=host, port=port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    player: asyncio.Task[None] | None = None
    if script is not None:
        player = asyncio.create_task(play(script, gateway, time.monotonic))
    try:
        ready(server)
        await stop.wait()
    finally:
        if player is not None:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)
        await server.stop()
