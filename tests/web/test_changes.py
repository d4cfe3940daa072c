"""What the audit log tells of a form that changed something."""

from django import forms

from dashboard.web.changes import changes


class Days(forms.Form):
    days = forms.MultipleChoiceField(
        choices=[(1, "Monday"), (2, "Tuesday"), (3, "Wednesday")], required=False
    )


def changed(before: list[int] | None, after: list[str]) -> str:
    form = Days({"days": after}, initial={"days": before})
    assert form.is_valid()
    return changes(form)


def test_what_is_chosen_from_a_list_several_times_is_told_by_its_names() -> None:
    assert changed([1, 3], ["2"]) == "Days from Monday, Wednesday to Tuesday"
    assert changed(None, ["1"]) == "Days from none to Monday"
    assert changed([9], []) == "Days from another to none"
