"""Say what a form changed, from what to what; for the audit log, so never a secret.

Only numbers, switches, moments and what is chosen from a list have their values told.
Of all that somebody typed freely, and may have typed a key into, only the field's name.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms

from dashboard.alerts.models import Rule
from dashboard.alerts.stories import cut
from dashboard.web import words
from dashboard.web.limits import limit

_PLAIN = (
    forms.IntegerField,
    forms.BooleanField,
    forms.ChoiceField,
    forms.DateTimeField,
)
_RULES_LIMITS = ("warn_at", "critical_at")
_MOST = 40


def changes(form: forms.BaseForm) -> str:
    """Return "Period from 60 s to 30 s, Name" of a form that is right."""
    labels = (form[name].label for name in form.changed_data)
    return ", ".join(told_of(form, labels))


def told_of(form: forms.BaseForm, labels: Iterable[object]) -> list[str]:
    """Return the same one by one; `labels` are of the changed fields, in their order."""
    pairs = zip(form.changed_data, labels, strict=True)
    return [_told(form, name, str(label)) for name, label in pairs]


def turned(name: str, before: str, after: str) -> str:
    """Return "period from 60 s to 30 s"."""
    return f"{name} from {cut(before, _MOST)} to {cut(after, _MOST)}"


def _told(form: forms.BaseForm, name: str, label: str) -> str:
    field: Any = form.fields.get(name)
    if not isinstance(field, _PLAIN) or isinstance(field, forms.ModelChoiceField):
        return label
    before = form.get_initial_for_field(field, name)
    after = form.cleaned_data.get(name)
    plain = label.removesuffix(" (s)")
    return turned(plain, _value(form, name, before), _value(form, name, after))


def _value(form: forms.BaseForm, name: str, value: Any) -> str:
    field, row = form.fields[name], getattr(form, "instance", None)
    if isinstance(field, forms.BooleanField):
        return "on" if value else "off"
    if value is None or value == "":
        return "none"
    if isinstance(field, forms.ChoiceField):
        return _chosen(field, value)
    if isinstance(value, datetime):
        return words.exact(value)
    if isinstance(row, Rule) and name in _RULES_LIMITS:
        return limit(row.kind, value)
    return _number(name, value)


def _chosen(field: forms.ChoiceField, value: Any) -> str:
    """Return the names of what is chosen, one or several."""
    choices: Any = field.choices
    if not isinstance(field, forms.MultipleChoiceField):
        return str(dict(choices).get(value, "another"))
    names = {str(each): str(name) for each, name in choices}
    return ", ".join(names.get(str(each), "another") for each in value) or "none"


def _number(name: str, value: float) -> str:
    if name == "objective":
        return words.percent(value)
    if name == "floor" or "credit" in name:
        return words.amount(value, "credit")
    return f"{words.number(value)} s" if name.endswith("_s") else words.number(value)
