"""What is on the screen as a file: CSV for a spreadsheet, JSON for a program.

Remote text is hostile in a spreadsheet too: a cell that would be a formula begins with an
apostrophe instead (C-16). The file's name is made of plain letters.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse

from dashboard.web.drawing import ChartTable
from dashboard.web.ranges import stamp

FORMATS = ("csv", "json")
# Where cells are divided by semicolons or tabs, the rest of a text is the next cell, with
# or without the quotes that it begins with; and some programs read the wide forms as the
# plain ones.
_FORMULA = re.compile(r"(^|[;\t\r\n]\"*)(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to export; the first row names its columns, with their units."""

    name: str
    rows: Sequence[Sequence[object]]


def sheets(shown: Sequence[ChartTable]) -> list[Sheet]:
    return [Sheet(each.name, each.sheet) for each in shown if each.sheet]


def wanted(request: HttpRequest) -> str:
    """Return the format that the address asks for, "" for the page itself."""
    asked = request.GET.get("format", "")
    return asked if asked in FORMATS else ""


def answer(
    kind: str, title: str, found: Sequence[Sheet], now: datetime
) -> HttpResponse:
    """Return the sheets as one file to save, named by the page and the moment."""
    if kind == "json":
        told = {
            "title": title,
            "made_at": stamp(now),
            "sheets": {each.name: _records(each.rows) for each in found},
        }
        response: HttpResponse = JsonResponse(told, json_dumps_params={"indent": 1})
    else:
        response = HttpResponse(_csv(found), content_type="text/csv; charset=utf-8")
    name = f"{file_name(title)}-{now:%Y%m%dT%H%M%SZ}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def file_name(title: str) -> str:
    """Return the title as plain letters: it may hold what a gateway called a team."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "gatewatch"


def _records(rows: Sequence[Sequence[object]]) -> list[dict[str, object]]:
    names = [str(name) for name in rows[0]] if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def _csv(found: Sequence[Sheet]) -> str:
    """Return one table, or several under each other with their names above."""
    out = io.StringIO()
    writer = csv.writer(out)
    for number, each in enumerate(found):
        if number:
            writer.writerow([])
        if len(found) > 1:
            writer.writerow([each.name])
        writer.writerows([_cell(value) for value in row] for row in each.rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """Return what a spreadsheet shows and never runs; None is an empty cell."""
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
