"""Start the stand-in gateway alone."""

import asyncio
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from django.core.management.base import BaseCommand, DjangoHelpFormatter

from dashboard.management.address import Bind
from dashboard.management.edge import UsageError
from dashboard.simulator.control import PREFIX
from dashboard.simulator.faults import EFFECTS
from dashboard.simulator.latency import AT_ONCE, PLAUSIBLE
from dashboard.simulator.script import SCRIPTS, demo_teams
from dashboard.simulator.server import Server
from dashboard.simulator.serving import serve
from dashboard.simulator.world import Team


class _AsWritten(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Leave the lines of the epilog as they are."""


def _faults() -> str:
    width = max(map(len, EFFECTS))
    lines = [f"  {kind:{width}}  {effect}" for kind, effect in EFFECTS.items()]
    return "\n".join(
        [
            f"faults, by POST {PREFIX}faults of JSON such as",
            '{"kind": "slow", "route": "GET /health", "delay_s": 5, "lasts_s": 60}:',
            *lines,
        ]
    )


class Command(BaseCommand):
    help = "Run a simulated gateway with teams, credits and faults, until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = _AsWritten
        parser.epilog = _faults()
        parser.add_argument("--bind", default="127.0.0.1:8790", metavar="HOST:PORT")
        parser.add_argument(
            "--teams", default="", help="comma-separated ids; the demo's if not given"
        )
        parser.add_argument("--script", choices=sorted(SCRIPTS), help="play its faults")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--fast", action="store_true", help="answer at once")
        parser.add_argument(
            "--allow-remote",
            action="store_true",
            help="allow an address that other machines can reach",
        )

    def handle(
        self,
        *args: object,
        bind: str,
        teams: str,
        script: str | None,
        seed: int,
        fast: bool,
        allow_remote: bool,
        **options: object,
    ) -> None:
        address = Bind.parse(bind)
        if not allow_remote:
            _refuse_others(address)
        ids = [one.strip() for one in teams.split(",") if one.strip()]
        try:
            asyncio.run(
                serve(
                    [Team(one) for one in ids] or demo_teams(),
                    host=address.host,
                    port=address.port,
                    script=SCRIPTS[script] if script else None,
                    ready=self._announce,
                    seed=seed,
                    latency=AT_ONCE if fast else PLAUSIBLE,
                )
            )
        except OSError as taken:
            raise UsageError(
                f"--bind {bind}: cannot listen there ({taken.strerror}); free the "
                "port or name another one."
            ) from None

    def _announce(self, server: Server) -> None:
        self.stdout.write(f"Simulated gateway at {server.base_url}")
        for team in server.gateway.world.teams.values():
            self.stdout.write(f"  {team.team_id}  {team.virtual_key}")
        self.stdout.write(f"Faults: POST {server.base_url}{PREFIX}faults")
        # The demo waits for these lines on a pipe.
        self.stdout.flush()


def _refuse_others(bind: Bind) -> None:
    if not bind.is_loopback:
        raise UsageError(
            f"--bind {bind.host}:{bind.port} can be reached by other machines, and a "
            "simulated gateway has no secrets to keep: bind to 127.0.0.1, or add "
            "--allow-remote."
        )
