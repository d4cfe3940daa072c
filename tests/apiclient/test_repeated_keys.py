"""C-05: a key that an answer repeats is hidden whole, wherever and however it stands there.

None of these keys has a form that anybody would know as a key to its end.
"""

from collections.abc import Callable

import msgspec
import pytest

from apiclient import Client, operations
from apiclient.operations import Operation
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
    assert key[-8:] not in repr(value)
    assert key[:6] not in repr(value)


def test_an_answer_is_about_the_team_also_where_its_id_holds_the_key() -> None:
    operations.get_team(f"of-{KEY}").value_of(
        msgspec.json.encode({"team_id": f"of-{KEY}", "status": "active"}), KEY
    )


def test_of_more_texts_with_a_key_than_are_believed_nothing_is_left() -> None:
    moved = [{"transaction_type": f"{n} {KEY}"} for n in range(500)]

    told = operations.team_transactions("acme").value_of(
        msgspec.json.encode(moved), KEY
    )

    assert told[0].transaction_type == "0 [hidden]"
    assert told[-1].transaction_type == ""


HTML = b"HTTP/1.1 500 X\r\nContent-Type: text/html\r\n\r\n<html><title>no %s</title>"


@pytest.mark.parametrize("between", [b"", b"\x01", "\u200b".encode(), b"\xff"])
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
    ("key", "told"),
    [
        (KEY, f"{KEY[:9]}<b></b>{KEY[9:]}"),
        ("vk<of>acme=012345", "vk<of>acme=012345"),
        ("sk-abc/acme=012345", "sk-abc<b></b>/acme=012345"),
    ],
)
def test_no_key_is_left_of_a_page_whose_tags_are_taken_out(key: str, told: str) -> None:
    detail = detail_of(HTML % told.encode(), key)

    assert detail == "HTML error page: no [hidden]"


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
