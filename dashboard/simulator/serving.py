"""Run the stand-in as a process of its own, until it is told to stop."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from dashboard.simulator.gateway import Gateway
from dashboard.simulator.latency import PLAUSIBLE, Latency
from dashboard.simulator.player import play
from dashboard.simulator.script import Script
from dashboard.simulator.server import Server, utc_now
from dashboard.simulator.world import Team


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.host).is_loopback


def parse_bind(text: str) -> Bind:
    """Return the address in HOST:PORT; ValueError says in one sentence what is wrong."""
    host, colon, port = text.rpartition(":")
    wrong = f"--bind {text!r} is not HOST:PORT such as 127.0.0.1:8790"
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(wrong)
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(wrong) from None
    return Bind(host, int(port))


async def serve(
    teams: Sequence[Team],
    bind: Bind,
    *,
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
    server = Server(gateway, host=bind.host, port=bind.port)
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
