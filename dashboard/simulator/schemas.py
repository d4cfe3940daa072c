"""Check bodies and queries and complain as pydantic v2 does (contract 3.1, "422")."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.simulator.answers import Json, Refusal, detail

Loc = tuple[str | int, ...]
Complaint = dict[str, Json]


def complaint(kind: str, loc: Loc, msg: str, seen: Json, ctx: Json = None) -> Complaint:
    """Return one item of a 422. It echoes what was sent, as the real one does."""
    item: Complaint = {"type": kind, "loc": list(loc), "msg": msg, "input": seen}
    if ctx is not None:
        item["ctx"] = ctx
    return item


def invalid(*complaints: Complaint) -> Refusal:
    return Refusal(detail(422, list(complaints)))


Check = Callable[[Json, Loc], list[Complaint]]


def text(value: Json, loc: Loc) -> list[Complaint]:
    if isinstance(value, str):
        return []
    return [complaint("string_type", loc, "Input should be a valid string", value)]


def integer(value: Json, loc: Loc) -> list[Complaint]:
    if isinstance(value, int) and not isinstance(value, bool):
        return []
    return [complaint("int_type", loc, "Input should be a valid integer", value)]


def number(value: Json, loc: Loc) -> list[Complaint]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return []
    return [complaint("float_type", loc, "Input should be a valid number", value)]


def mapping(value: Json, loc: Loc) -> list[Complaint]:
    if isinstance(value, Mapping):
        return []
    return [complaint("dict_type", loc, "Input should be a valid dictionary", value)]


def anything(value: Json, loc: Loc) -> list[Complaint]:
    del value, loc
    return []


def list_of(item: Check) -> Check:
    def check(value: Json, loc: Loc) -> list[Complaint]:
        if not isinstance(value, list):
            return [complaint("list_type", loc, "Input should be a valid list", value)]
        return [
            found
            for place, one in enumerate(value)
            for found in item(one, (*loc, place))
        ]

    return check


def one_of(*words: str) -> Check:
    expected = " or ".join(f"'{word}'" for word in words)

    def check(value: Json, loc: Loc) -> list[Complaint]:
        if value in words:
            return []
        msg = f"Input should be {expected}"
        return [complaint("literal_error", loc, msg, value, {"expected": expected})]

    return check


def optional(item: Check) -> Check:
    def check(value: Json, loc: Loc) -> list[Complaint]:
        return [] if value is None else item(value, loc)

    return check


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    check: Check
    required: bool = True


Schema = Sequence[Field]


def maybe(name: str, check: Check) -> Field:
    """Return a field that may be left out or null."""
    return Field(name, optional(check), required=False)


def check_body(schema: Schema, body: Json) -> dict[str, Json]:
    """Return the body's known fields, or refuse with 422. Extra fields are ignored."""
    if body is None:
        raise invalid(complaint("missing", ("body",), "Field required", None))
    if not isinstance(body, Mapping):
        msg = "Input should be a valid dictionary or object to extract fields from"
        raise invalid(complaint("model_attributes_type", ("body",), msg, body))
    found: list[Complaint] = []
    for field in schema:
        loc = ("body", field.name)
        if field.name in body:
            found += field.check(body[field.name], loc)
        elif field.required:
            found.append(complaint("missing", loc, "Field required", body))
    if found:
        raise invalid(*found)
    return {field.name: body[field.name] for field in schema if field.name in body}


def parse_body(raw: bytes, content_type: str) -> Json:
    """Return the JSON of a body, None for an empty one; broken JSON is refused.

    A body of another content type arrives as plain text, as in the framework.
    """
    if not raw:
        return None
    if content_type and "json" not in content_type.lower():
        return raw.decode("utf-8", "replace")
    try:
        body: Json = json.loads(raw)
    except json.JSONDecodeError as broken:
        raise invalid(
            complaint(
                "json_invalid",
                ("body", broken.pos),
                "JSON decode error",
                {},
                {"error": broken.msg},
            )
        ) from None
    except (UnicodeDecodeError, RecursionError):
        raise Refusal(detail(400, "There was an error parsing the body")) from None
    return body


def query_integer(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number of the query, or refuse with 422."""
    given = query.get(name)
    if given is None:
        return default
    try:
        return int(given)
    except ValueError:
        msg = "Input should be a valid integer, unable to parse string as an integer"
        raise invalid(complaint("int_parsing", ("query", name), msg, given)) from None


def query_text(query: Mapping[str, str], name: str) -> str:
    """Return a required text of the query, or refuse with 422."""
    if name not in query:
        raise invalid(complaint("missing", ("query", name), "Field required", None))
    return query[name]
