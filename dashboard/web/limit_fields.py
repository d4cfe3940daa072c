"""How limits of alarms are typed: shares as the pages say them, the others by a unit."""

from typing import Any

from django import forms

from dashboard.alerts.models import Rule, RuleKind

_SHARES = {
    RuleKind.CREDITS: "The share of the allocated credits that is left: 20 %, or 0.2.",
    RuleKind.ERROR_RATE: "The share of results that fail: 20 %, or 0.2.",
    RuleKind.STREAM_FAILURES: "The share of streams that break: 20 %, or 0.2.",
}
_COUNTED = {
    RuleKind.CREDITS_FORECAST: "Hours until they are gone.",
    RuleKind.CERTIFICATE: "Days until it ends.",
    RuleKind.LATENCY: "Milliseconds. Empty: half of what a run may take.",
    RuleKind.CREDITS_SPIKE: "How many times the usual.",
}
_ANY = (
    "20 %, or 0.2, of credits and errors; hours of a forecast, days of a certificate, "
    "milliseconds of slow answers, times of fast spending."
)


class ShareField(forms.FloatField):
    """A share between 0 and 1, shown as "20 %"; taken as "20 %" and as "0.2"."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text.endswith("%"):
            return super().to_python(value)
        share = super().to_python(text.removesuffix("%").strip())
        # 29 / 100 is not 0.29 to the last digit.
        return None if share is None else round(share / 100, 12)

    def prepare_value(self, value: Any) -> Any:
        return f"{value * 100:.10g} %" if isinstance(value, float | int) else value


def say_units(form: forms.BaseForm, rule: Rule) -> None:
    """Let the limits of a rule be typed in the units of its kind, and name them."""
    kind = RuleKind(rule.kind) if rule.kind else None
    for name in ("warn_at", "critical_at"):
        if name not in form.fields:
            continue
        if kind not in _COUNTED:
            label = form.fields[name].label
            form.fields[name] = ShareField(label=label, required=False)
        told = {**_SHARES, **_COUNTED}.get(kind, _ANY) if kind else _ANY
        form.fields[name].help_text = told
