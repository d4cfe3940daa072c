"""C-05: a key that an answer repeats is hidden whole, wherever and however it stands there.

None of these keys has a form that anybody would know as a key to its end.
"""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from apiclient import Client, operations
from apiclient.details import read_detail
from apiclient.operations import Operation
from apiclient.payloads import UnreadableError
from apiclient.redact import redact, repeats
from tests.apiclient.rogue import rogue, sends

KEY = "vk+of/acme=0123456789abcdefghij"
TEXTS = {
    "alone": (KEY, KEY),
    "across the limit of a text": (KEY, f"{'x' * (257 - len(KEY))}{KEY}"),
    "behind itself": (KEY * 6, KEY * 12),
    "half like a known key": ("sk-ab/cdefghijklmnopqr", "for sk-ab/cdefghijklmnopqr"),
    "torn apart, and half like one": ("sk-ab/cdefghijklm", "sk-a\u200bb/cdefghijklm"),
    "half like a bearer's": ("vk0123;456789abcdefg", "Bearer vk0123;456789abcdefg"),
    "half like a field": ("vk0123&456789abcdefg", "api_key=vk0123&456789abcdefg"),
    "half like an address": ("vk0123&456789abcdefg", "a?token=vk0123&456789abcdefg"),
}
TORN = KEY[:9], KEY[9:]
# How what stands between a gateway and us may tear, wrap or escape what is repeated.
ESCAPED = {
    "wrapped": "\r\n  ".join(TORN),
    "parted by spaces of other kinds": "\u2028 \u00a0\x85".join(TORN),
    "parted by what is not shown": "\ufff0\U0001bca0\U0001d173\u2800".join(TORN),
    "wrapped in JSON in JSON": json.dumps(json.dumps("\n\b\t".join(TORN))),
    "parted by tags": " <wbr> \n".join(TORN),
    "parted by what HTML does not show": "&shy;&#8203;".join(TORN),
    "escaped for HTML": KEY.replace("+", "&#43;").replace("/", "&#x2F;"),
    "escaped for HTML, wholly": "".join(f"&#{ord(each)};" for each in KEY),
    "escaped for HTML, without end": f"&#{'9' * 5000};{KEY[:9]}\n{KEY[9:]}",
    "escaped for both, without end": f"&#{'%39' * 2700}{KEY}",
    "escaped for both, in two, without end": f"&%20#{'9' * 5000};{KEY[:9]}\n{KEY[9:]}",
    "behind what is no number": f"&%26#{'9' * 9}#{'9' * 5000};{KEY[:9]}\n{KEY[9:]}",
    "escaped for an address twice": quote(quote(KEY, safe=""), safe=""),
    "escaped for JSON": KEY.replace("+", "\\u002B").replace("/", "\\/"),
    "escaped for Python": "".join(f"\\x{ord(each):02x}" for each in KEY),
    "coloured": "\x1b(B\x9b31m".join(TORN),
    "coloured in JSON in JSON": json.dumps(json.dumps("\x1b[31m".join(TORN))),
    "behind an escape": f"\x1b[{KEY}",
    "escaped behind an escape": "\\u001b]" + "".join(f"\\u{ord(x):04x}" for x in KEY),
    "twice, torn in two ways": f"{' '.join(KEY)} <b>{'<b>'.join(KEY)}",
    "beside a letter that is two": f"\u0130 {KEY.upper()}",
    "escaped for C": KEY.replace("+", "\\053").replace("/", "\\U0000002f"),
    "escaped for JavaScript": KEY.replace("+", "\\u{2b}").replace("/", "%u002F"),
    "escaped with zeros": KEY.replace("+", "&#0000000043;").replace("/", "&#x0002F;"),
    "escaped five times": quote(quote(quote(quote(quote(KEY, safe=""))))).replace(
        "=", "&amp;amp;amp;amp;equals;"
    ),
    "in base64, wrapped": base64.encodebytes(b"Bearer " * 8 + KEY.encode()).decode(),
}
TEXTS |= {name: (KEY, text) for name, text in ESCAPED.items()}
READS: dict[str, tuple[Operation[object], Callable[[str], object]]] = {
    "team": (
        operations.get_team("acme"),
        lambda text: {
            "team_id": "acme",
            "status": text,
            "organization_id": text,
            "access_groups": [text],
            "allowed_model_aliases": [text],
            "credits": {"budget_mode": text, "refill_period": text},
        },
    ),
    "teams": (operations.list_teams(), lambda text: [{"team_id": text}]),
    "balance": (
        operations.balance("acme"),
        lambda text: {"credits_remaining": 1, "status": text, "budget_mode": text},
    ),
    "transactions": (
        operations.team_transactions("acme"),
        lambda text: [
            {"transaction_id": text, "transaction_type": text, "reason": text}
        ],
    ),
    "usage": (
        operations.team_usage("acme", "2026-03"),
        lambda text: {"summary": {}, "period": text, "job_types": {text: {"count": 1}}},
    ),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("read", READS)
def test_no_part_of_a_key_is_left_in_what_is_told_of_a_team(
    read: str, text: str
) -> None:
    key, told = TEXTS[text]
    operation, body_of = READS[read]

    value = operation.value_of(msgspec.json.encode(body_of(told)), key)

    assert "hidden" in repr(value) or "…" in repr(value)
    assert key[-8:].lower() not in repr(value).lower()
    assert key[:6] not in repr(value)


@pytest.mark.parametrize("text", TEXTS)
def test_no_part_of_a_key_is_left_in_what_is_told_of_an_error(text: str) -> None:
    key, told = TEXTS[text]
    body = msgspec.json.encode({"error": {"message": told}})

    detail = read_detail({}, body, key).text

    assert "hidden" in detail or "…" in detail
    assert key[-8:].lower() not in detail.lower()


# What is left of a key that somebody cut, or put something else into.
CUT = {
    "its end": KEY[5:],
    "its beginning": f"{KEY[:-5]}… is no key",
    "its middle": f"no {KEY[5:-5]} here",
    "masked": f"{KEY[:8]}*****{KEY[-8:]}",
    "numbered lines": f"1: {KEY[:10]}\n2: {KEY[10:20]}\n3: {KEY[20:]}",
    "two texts": json.dumps([KEY[:12], KEY[12:]]),
    "two texts in JSON in JSON": json.dumps(json.dumps([KEY[:12], KEY[12:]])),
    "an escape that is one for people": f"{KEY[:12]}^[[31m{KEY[12:]}",
    "its end, escaped": KEY[3:].replace("/", "&#47;").replace("=", "\\x3d"),
    "its middle, escaped for C, beside a digit": "".join(
        each if each.isdigit() else f"\\{ord(each):03o}" for each in KEY[3:15]
    ),
    "behind what is no escape": f"100%{KEY[21:29]}",
    "behind what is no escape of C": f"a\\{KEY[13:21]}",
    "behind what is no number": f"&#{KEY[14:25]}",
    "behind what is no escape, escaped": f"%\\u0061\\u0062{KEY[23:29]}",
    "itself, in capitals": f"no {KEY[8:].upper()} here",
}


def _longest_run(text: str, key: str) -> int:
    lower, runs = text.lower(), range(1, len(key) + 1)
    return max(
        n for n in runs if any(key[at : at + n] in lower for at in range(len(key)))
    )


@pytest.mark.parametrize("told", CUT.values(), ids=CUT)
def test_no_eight_characters_of_a_key_are_left(told: str) -> None:
    error = msgspec.json.encode({"detail": [{"loc": ["a", told], "msg": told}]})
    team = msgspec.json.encode(
        {"team_id": "acme", "status": told, "credits": {"budget_mode": told}}
    )
    page = f"<html><title>{told}</title>".encode()

    shown = [
        *(repr(read_detail({}, body, KEY)) for body in (error, page)),
        repr(operations.get_team("acme").value_of(team, KEY)),
    ]

    assert all("hidden" in each for each in shown)
    # `plain` is for the rules only.
    texts = [each.partition("plain=")[0] for each in shown]
    assert max(_longest_run(each, KEY) for each in texts) < 8


@pytest.mark.parametrize("told", (ESCAPED | CUT).values(), ids=ESCAPED | CUT)
def test_what_is_left_of_a_text_tells_no_key(told: str) -> None:
    left = redact(told, KEY, limit=len(told))

    assert repeats(told, KEY)
    assert not repeats(left, KEY)


def test_a_key_in_two_fields_is_left_in_none() -> None:
    items = [{"loc": [], "msg": half} for half in (KEY[:14], KEY[14:])]

    detail = read_detail({}, msgspec.json.encode({"detail": items}), KEY)

    assert detail.text == ": [hidden]; : [hidden]"
    assert "0123456" not in repr(detail.field_errors)


def test_a_field_is_looked_at_as_far_as_it_may_be_shown() -> None:
    told = f"{' ' * 590}{KEY[11:]}{' ' * 100}too late"
    items = [{"loc": [told], "msg": told, "type": told}]

    [field] = read_detail({}, msgspec.json.encode({"detail": items}), KEY).field_errors

    assert (field.path, field.message, field.type) == ("", "[hidden]", "")


@pytest.mark.parametrize("team_id", ["acme-research", "team-01", "acme-prod-2026"])
def test_a_name_that_the_key_holds_is_no_secret(team_id: str) -> None:
    text = f"the team {team_id} is suspended: {team_id}"

    assert redact(text, f"sk-sim-{team_id}") == text
    assert redact(text, f"vk-{team_id}-7fX3aQ9b2cLd") == text
    assert redact(text, f"vk-{team_id}-iX3aQ9b2cLd") == text  # "is" follows it


def test_a_key_of_nothing_but_letters_is_no_word() -> None:
    letters = "qzxkvjwmbtplrgfhdcns"

    assert redact(f"no {letters[4:16]} here", f"vk-{letters}") == "[hidden]"


def test_more_escapes_than_are_looked_behind_are_hidden() -> None:
    moved = [{"transaction_type": f"%41 {n} {'x' * 4_999}"} for n in range(20)]

    told = operations.team_transactions("acme").value_of(
        msgspec.json.encode(moved), KEY
    )

    assert told[0].transaction_type == "%41 0…"
    assert told[-1].transaction_type == "[hidden]"


def test_what_each_item_repeats_is_looked_at_once() -> None:
    """Else an id with a sign that may begin an escape would be hidden, and another's."""
    moved = [
        {"transaction_type": "5% bonus", "team_id": "r&d", "n": n} for n in range(9999)
    ]

    told = operations.team_transactions("r&d").value_of(msgspec.json.encode(moved), KEY)

    assert told[-1].transaction_type == "5% bonus"


@pytest.mark.parametrize("sent", ["acme\u200b", "acme\x1b[0m", "ac\rme"])
@pytest.mark.parametrize("secrets", [(), (KEY,)])
def test_no_listed_id_is_told_without_its_odd_signs(
    sent: str, secrets: tuple[str, ...]
) -> None:
    body = msgspec.json.encode([{"team_id": sent}, {"team_id": "acme"}])

    told = operations.list_teams().value_of(body, *secrets)

    assert [each.team_id for each in told] == ["[hidden]", "acme"]


def test_an_id_that_is_hidden_is_another_teams() -> None:
    body = msgspec.json.encode(
        {"x": "%" * 200_000, "team_id": "R&D", "status": "active"}
    )

    with pytest.raises(UnreadableError, match="another team"):
        operations.get_team("acme").value_of(body, KEY)


def test_a_key_is_no_jobs_id() -> None:
    key = "6F0F3AB0-17D8-4F0E-9A3F-000000000001"
    body = msgspec.json.encode({"job_id": key.lower(), "status": "PENDING"})

    with pytest.raises(UnreadableError, match="UUID"):
        operations.create_job("acme", "chat").value_of(body, key)


def test_an_answer_is_about_the_team_also_where_its_id_holds_the_key() -> None:
    operations.get_team(f"of-{KEY}").value_of(
        msgspec.json.encode({"team_id": f"of-{KEY}", "status": "active"}), KEY
    )


def test_more_texts_with_a_key_than_are_believed_are_hidden() -> None:
    moved = [{"transaction_type": f"{n} {KEY}"} for n in range(500)]

    told = operations.team_transactions("acme").value_of(
        msgspec.json.encode(moved), KEY
    )

    assert told[0].transaction_type == "0 [hidden]"
    assert told[-1].transaction_type == "[hidden]"


HTML = b"HTTP/1.1 500 X\r\nContent-Type: text/html\r\n\r\n<html><title>no %s</title>"


@pytest.mark.parametrize(
    "between", [b"", b"\x01", "\u200b".encode(), b"\xff", b"\t", b"\\"]
)
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 2x0 %s\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad\x01: %s\r\n\r\n"]
)
def test_no_key_is_quoted_from_an_answer_that_is_not_http(
    answer: bytes, between: bytes
) -> None:
    key = KEY.encode()

    detail = detail_of(answer % (key[:9] + between + key[9:]), KEY)

    assert "hidden" in detail
    assert KEY[9:] not in detail


@pytest.mark.parametrize(
    ("key", "told", "left"),
    [
        (KEY, f"{KEY[:9]}<b></b>{KEY[9:]}", "[hidden]"),
        ("vk<of>acme=012345", "vk<of>acme=012345", "no [hidden]"),
        ("sk-abc/acme=012345", "sk-abc<b></b>/acme=012345", "[hidden]"),
    ],
)
def test_no_key_is_left_of_a_page_whose_tags_are_taken_out(
    key: str, told: str, left: str
) -> None:
    assert detail_of(HTML % told.encode(), key) == f"HTML error page: {left}"


def test_no_key_is_left_of_a_page_whose_heading_is_cut_out_of_it() -> None:
    page = HTML.replace(b"<title>", b"<h1 class='%s'>").replace(b"title", b"h1")
    torn = f"{KEY[:9]}<br>{KEY[9:]}"

    assert detail_of(page % (torn.encode(), b"no"), KEY) == "HTML error page: [hidden]"


def test_tags_between_words_still_part_them() -> None:
    assert detail_of(HTML % b"a<br>b", KEY) == "HTML error page: no a b"


def detail_of(answer: bytes, key: str) -> str:
    with (
        rogue(sends(answer)) as server,
        Client(
            base_url=server.url,
            virtual_key=key,
            allow_private=True,
            fresh_connections=True,
            breakers=None,
        ) as client,
    ):
        report = client.report(operations.balance("acme"), max_retries=0, deadline_s=5)
    return report.detail
