"""B-80: the key shows nowhere, also when the server repeats it in every way it can."""

import base64
import copy
import html
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest

from apiclient import APIError, Operation, Secret, check_virtual_key, operations, redact
from apiclient.details import PLAIN_LIMIT, read_detail
from tests.apiclient.fakes import (
    JOB,
    KEY,
    RigOf,
    Scene,
    detail,
    fails,
    says,
)

BALANCE: Operation[object] = operations.balance("acme")
CALL: Operation[object] = operations.llm_call(JOB, model="m", messages=[])
ODD_KEY = "plain+key/with=odd%chars"

ECHOES = [
    detail(401, f"Invalid API key {KEY}"),
    detail(500, f"Bearer {KEY} was refused"),
    detail(500, {"message": f"key={KEY}"}),
    detail(422, [{"loc": ["header", KEY], "msg": KEY, "type": KEY, "input": KEY}]),
    says(503, text=f"<html><title>{KEY}</title></html>"),
    says(500, text=f"{KEY[:9]}\x00{KEY[9:]}"),
    says(500, {KEY: KEY}),
    says(200, {"error": f"no {KEY}"}),
    says(200, {"credits_remaining": 1, "virtual_key": KEY, "status": KEY}),
    says(307, headers={"location": f"https://x/?key={KEY}"}),
    fails(httpx.LocalProtocolError, f"Illegal header value b'Bearer {KEY}'"),
    fails(httpx.ReadError, f"broke at {KEY}"),
]


@pytest.mark.parametrize("scene", ECHOES)
def test_a_key_that_the_server_repeats_is_hidden(
    rig_of: RigOf,
    scene: Callable[[], Scene],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    rig = rig_of([scene] * 4)
    shown = [repr(rig.client), str(rig.client)]
    try:
        rig.run(BALANCE)
    except APIError as error:
        shown += [str(error), repr(error), repr(error.report), error.detail]
        shown += traceback.format_exception(error)
    records = [repr(vars(record)) for record in caplog.records]

    assert records
    assert KEY not in "\n".join(shown + records)
    assert KEY[9:] not in "\n".join(shown + records)


def test_a_key_of_another_form_is_hidden_too(rig_of: RigOf) -> None:
    rig = rig_of([detail(400, f"you sent {ODD_KEY}")], virtual_key=ODD_KEY)
    assert ODD_KEY not in repr(rig.report(BALANCE))


ODDER_KEY = 'Vk+Odd/1=of&"q\\z'
QUOTED_KEY = "vk'od\"d\\key"


@pytest.mark.parametrize(
    "told",
    [
        ODDER_KEY.upper(),
        quote(ODDER_KEY, safe=""),
        quote_plus(ODDER_KEY).lower(),
        json.dumps({"key": ODDER_KEY}),
        f"<b>{html.escape(ODDER_KEY)}</b>",
        base64.b64encode(ODDER_KEY.encode()).decode(),
        base64.b64encode(f"u:{ODDER_KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"Bearer {ODDER_KEY}!".encode()).decode(),
        ODDER_KEY.encode().hex(),
        "%" + ODDER_KEY.encode().hex("%").upper(),
        # Cut off just before its last letter, after all that makes no room on a page.
        f"{' ' * (PLAIN_LIMIT + 1 - len(ODDER_KEY))}{ODDER_KEY}",
        f"{ODDER_KEY[:7]}\u034f\ufe0f\u3164{ODDER_KEY[7:]}",
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_key_is_hidden_however_it_is_spelt(told: str, *, as_json: bool) -> None:
    body = json.dumps({"detail": told}) if as_json else told

    shown = read_detail({}, body.encode(), ODDER_KEY).text.lower()

    for piece in (
        *(ODDER_KEY[:9], "odd%2f1%3d", "&amp;&quot;q", "%6b%2b%4f", "6b2b4f"),
        # In base64, behind none, one and two other bytes.
        *("vmsrt2r", "zrk09kz", "aytpzgq"),
    ):
        assert piece.lower() not in shown


@pytest.mark.parametrize(
    "said",
    [
        repr(QUOTED_KEY),
        # As the HTTP library quotes a line that it cannot read.
        repr(bytearray(QUOTED_KEY.encode())),
        repr(QUOTED_KEY.replace('"', "")),
        json.dumps(QUOTED_KEY),
    ],
)
def test_a_key_is_hidden_as_programs_quote_it(said: str) -> None:
    shown = redact(said, QUOTED_KEY, QUOTED_KEY.replace('"', ""))

    assert "vk" not in shown
    assert "key" not in shown


def test_log_fields_are_the_guides_and_collide_with_none_of_loggings(
    rig_of: RigOf, caplog: pytest.LogCaptureFixture
) -> None:
    """S-120, S-121, S-122."""
    caplog.set_level(logging.DEBUG)
    check: Operation[object] = operations.credit_check("acme", 3)
    rig_of([detail(500, "x"), detail(404, "Job not found")]).report(check)
    events = [
        record.getMessage() for record in caplog.records if record.name == "apiclient"
    ]
    failed = vars(caplog.records[-1])

    assert events == ["call.started", "call.retrying", "call.failed"]
    assert failed["error"] == "not_found"
    assert failed["error_type"] == "NotFoundError"
    assert failed["status_code"] == 404
    assert failed["attempt"] == 2
    assert failed["team_id"] == "acme"
    assert failed["url"] == "https://gw.example/api/credits/teams/acme/check"
    assert failed["endpoint"] == "/api/credits/teams/{team_id}/check"


@pytest.mark.parametrize(
    ("sent", "logged"),
    [("srv-77", "srv-77"), (f"{KEY}\r\n\x1b[31m", "[hidden]"), ("", "")],
)
def test_the_servers_own_id_is_logged_beside_ours(
    rig_of: RigOf, sent: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    """S-120: by it the gateway's people find the call in their log."""
    headers = {"x-request-id": sent} if sent else {}
    report = rig_of([says(404, {}, headers=headers)]).report(BALANCE)

    assert report.server_request_id == logged
    assert vars(caplog.records[-1])["server_request_id"] == logged


def test_a_secret_hides_itself() -> None:
    secret = Secret(KEY)
    shown = f"{secret} {secret!r} {secret!s:>20} %s" % secret  # on purpose

    assert KEY not in shown
    assert secret.reveal() == KEY
    assert secret == Secret(KEY)
    assert len({secret, Secret(KEY)}) == 1


def test_a_secret_cannot_leave_in_a_pickle() -> None:
    for leave in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not pickled"):
            leave(Secret(KEY))
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))


@pytest.mark.parametrize(
    "wrong",
    ["", "sk-a\n", " sk-a", "sk-a b", "sk-\x00", "sk-é", "sk-a\r\nX: y", "sk-\u200b"],
)
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(wrong: str) -> None:
    """B-81."""
    with pytest.raises(ValueError, match="virtual key") as caught:
        check_virtual_key(wrong)

    assert "sk-" not in "".join(traceback.format_exception(caught.value)[-1:])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-abcDEF_123-x!", "key sk-[hidden]!"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        (
            "for url 'https://g.example/m:generate?key=AIzaSy123'",
            "for url 'https://g.example/m:generate?key=[hidden]'",
        ),
        ('{"virtual_key": "abc"}', '{"virtual_key": "[hidden]"}'),
        ("https://user:pw@host/", "https://[hidden]@host/"),
        ("X-Admin-Key: master", "X-Admin-Key: [hidden]"),
        ("line\r\nforged \x1b[31mred\x1b[0m \u202eevil", "line forged red evil"),
        ("plain text stays", "plain text stays"),
    ],
)
def test_what_looks_like_a_secret_or_a_control_is_gone(text: str, shown: str) -> None:
    """B-82, contract surprise 14."""
    assert redact(text) == shown


def test_the_limit_is_kept_after_hiding() -> None:
    assert redact("x" * 600) == "x" * 499 + "…"
    assert redact("x" * 20, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize("shown_of_key", [12, len(ODDER_KEY)])
def test_no_more_than_the_beginning_is_looked_at(shown_of_key: int) -> None:
    """A megabyte would keep all other threads waiting; half a key is hidden, too."""
    told = " " * (8192 - shown_of_key) + ODDER_KEY + " and more" * 1000

    assert redact(told, ODDER_KEY) == "[hidden]"
    assert redact(" " * 8192 + "nobody is shown this") == ""


def test_hiding_takes_no_longer_than_the_text() -> None:
    """No pattern backtracks: 4 KiB of anything is hidden in a few milliseconds."""
    for hostile in (
        "1" * 4096,
        "://" * 1400,
        "bearer " * 600,
        "key=" * 1000,
        "\x1b]" * 2000,
    ):
        assert len(redact(hostile)) <= 500


@pytest.mark.parametrize(
    "body",
    [
        '{"detail":[{"loc":["body"],"input":{"prompt":"PROMPT"},"ctx":"PROMPT"}]}',
        '{"detail":[{"msg":7,"input":"PROMPT"}]}',
        '{"detail":[{"type":"missing","loc":["body"],"input":{"prompt":"PROMPT ' + "x" * 99_999,
    ],
)  # fmt: skip
def test_what_was_sent_is_not_repeated(rig_of: RigOf, body: str) -> None:
    """A 422 echoes the prompt, also where it is no list of the usual items, or cut."""
    report = rig_of([says(422, text=body)]).report(CALL)

    assert "PROMPT" not in repr(report)


def test_a_key_in_escapes_is_hidden_as_well(rig_of: RigOf) -> None:
    body = '{"a": "%s\\u0000%s"}' % (ODD_KEY[:6], ODD_KEY[6:])  # noqa: UP031 (braces)
    rig = rig_of([says(500, text=body)] * 4, virtual_key=ODD_KEY)

    assert ODD_KEY[6:] not in repr(rig.report(BALANCE))
