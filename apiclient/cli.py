"""The client from a terminal: `python -m apiclient health`, `… chat "Hello" --model m`.

The key comes from SAAS_LLM_KEY or a file, never from an argument: `ps` shows those to
everybody. Exit status: 0 it worked, 1 the call failed, 2 the command line is wrong.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from apiclient import operations
from apiclient.client import Client
from apiclient.errors import APIError
from apiclient.operations import Operation
from apiclient.redact import visible
from apiclient.report import Attempt, CallReport, Streamed
from apiclient.retry import RetryPolicy
from apiclient.taxonomy import TABLE
from apiclient.wire import VERSION

URL, TEAM, KEY = "SAAS_LLM_URL", "SAAS_LLM_TEAM", "SAAS_LLM_KEY"
_EPILOG = f"""\
The address, the team and the key may stand in {URL}, {TEAM} and {KEY}.
health and team need no key. chat costs one credit when it works, none when it fails;
with --stream it costs one as soon as it is sent."""


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    out: TextIO | None = None,
) -> int:
    """Run one command and return its exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    terminal = out or sys.stdout

    def write(text: str) -> None:
        # What a gateway says must not steer the terminal.
        terminal.write(visible(text))
        terminal.flush()  # a stream is shown as it comes, not line by line

    try:
        client = _client(asked, environment)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with client:
        try:
            report = _COMMANDS[asked.command](client, asked, write)
        except APIError as error:
            report = error.report
        except ValueError as error:
            parser.error(str(error))
    show = _as_json if asked.json else _in_words
    write(show(report))
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--url", help=f"base URL of the gateway (or {URL})")
    shared.add_argument("--team", help=f"team id (or {TEAM})")
    shared.add_argument(
        "--key-file", type=Path, help=f"file with the virtual key (or {KEY})"
    )
    shared.add_argument("--json", action="store_true", help="print everything as JSON")
    shared.add_argument(
        "--retries", type=int, default=3, help="how often to try again (default: 3)"
    )
    shared.add_argument(
        "--timeout", type=float, default=300, help="seconds for it all (default: 300)"
    )
    parser = argparse.ArgumentParser(
        prog="python -m apiclient",
        description="Try a gateway and a key from a terminal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, parents=[shared])

    command("health", "does the gateway's process answer?")
    command("team", "a team's status and credits")
    command("balance", "a team's credits, read with its key")
    command("credits", "are there enough credits?").add_argument(
        "--needed", type=int, default=1, help="how many (default: 1)"
    )
    command("job", "one job's state").add_argument("job_id")
    chat = command("chat", "create a job, call a model, complete the job")
    chat.add_argument("message")
    chat.add_argument("--model", required=True, help="a model alias of the team")
    chat.add_argument("--stream", action="store_true", help="print as it comes")
    return parser


def _client(asked: argparse.Namespace, environment: Mapping[str, str]) -> Client:
    url = asked.url or environment.get(URL)
    if not url:
        raise ValueError(f"name the gateway: --url https://… or {URL}")
    key = environment.get(KEY)
    if asked.key_file:
        key = asked.key_file.read_text().strip()
    return Client(
        base_url=url,
        team_id=asked.team or environment.get(TEAM, ""),
        virtual_key=key or None,
        retry=RetryPolicy(max_retries=asked.retries, deadline_s=asked.timeout),
    )


Report = CallReport[object]
Write = Callable[[str], object]


def _plain(
    operation: Callable[[argparse.Namespace, str], Operation[object]],
) -> Callable[[Client, argparse.Namespace, Write], Report]:
    def run(client: Client, asked: argparse.Namespace, write: Write) -> Report:
        return client.report(operation(asked, client.team_id))

    return run


def _chat(client: Client, asked: argparse.Namespace, write: Write) -> Report:
    messages = [{"role": "user", "content": asked.message}]
    if not asked.stream:
        with client.job("terminal") as job:
            operation = operations.llm_call(
                job.job_id, model=asked.model, messages=messages
            )
            report = client.report(operation)
            if report.error is not None:
                job.fail(f"{report.error.value}: {report.detail}")
        return report
    stream = client.create_and_call_stream(
        "terminal", model=asked.model, messages=messages
    )
    with stream:
        for chunk in stream:
            if not asked.json:
                write(chunk.text)
    write("" if asked.json else "\n")
    assert stream.report is not None
    return stream.report


_COMMANDS: Mapping[str, Callable[[Client, argparse.Namespace, Write], Report]] = {
    "health": _plain(lambda asked, team: operations.health()),
    "team": _plain(lambda asked, team: operations.get_team(team)),
    "balance": _plain(lambda asked, team: operations.balance(team)),
    "credits": _plain(lambda asked, team: operations.credit_check(team, asked.needed)),
    "job": _plain(lambda asked, team: operations.get_job(asked.job_id)),
    "chat": _chat,
}


def _in_words(report: Report) -> str:
    lines = [f"{report.operation}: {_outcome(report)}"]
    if report.value is not None:
        facts = msgspec.to_builtins(report.value)
        if isinstance(report.value, Streamed):
            del facts["text"]  # it was shown as it came
        lines += _facts(facts)
    if report.detail:
        lines.append(f"  detail   {report.detail}")
    lines += [f"  field    {each.path}: {each.message}" for each in report.field_errors]
    if report.error is not None:
        lines.append(f"  advice   {TABLE[report.error].advice}")
    if report.retry_after_s is not None:
        lines.append(f"  later    in {report.retry_after_s:.0f} s")
    if report.error is not None or len(report.attempts) > 1:
        lines += [_attempt(each) for each in report.attempts]
    return "\n".join([*lines, f"  request  {report.request_id}", ""])


def _outcome(report: Report) -> str:
    tries = len(report.attempts)
    after = f" after {tries} attempts" if tries > 1 else ""
    if report.error is None:
        return f"ok{after}, {_ms(report.latency_s)}{_phases(report.attempts[-1:])}"
    status = f" (HTTP {report.status_code})" if report.status_code else ""
    title = TABLE[report.error].title
    return f"{title}{status}{after}, {report.elapsed_s:.1f} s"


def _phases(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return ""
    phases = attempts[0].phases
    named = {
        "connect": phases.connect_s,
        "TLS": phases.tls_s,
        "first byte": phases.first_byte_s,
        "body": phases.body_s,
    }
    known = [f"{name} {_ms(s)}" for name, s in named.items() if s is not None]
    return f" ({', '.join(known)})" if known else ""


def _attempt(attempt: Attempt) -> str:
    said = attempt.error.value if attempt.error else "ok"
    status = f" HTTP {attempt.status_code}" if attempt.status_code else ""
    wait = f" after {attempt.wait_s:.1f} s" if attempt.wait_s else ""
    return (
        f"  attempt  {attempt.number}{wait}: {said}{status}, {_ms(attempt.latency_s)}"
    )


def _facts(value: object) -> list[str]:
    """Return a value's own fields, one a line; nested ones behind their name."""
    if not isinstance(value, dict):
        return [f"  {value}"]
    lines = []
    for name, field in value.items():
        if isinstance(field, dict):
            lines += [f"  {name}.{line.strip()}" for line in _facts(field)]
        elif field is not None and field != "":
            shown = f"{field:g}" if isinstance(field, float) else field
            lines.append(f"  {name}: {shown}")
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _as_json(report: Report) -> str:
    document = msgspec.to_builtins(report)
    if report.error is not None:
        meaning = TABLE[report.error]
        document |= {"title": meaning.title, "advice": meaning.advice}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
