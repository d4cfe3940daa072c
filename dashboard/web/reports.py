"""Error reports without anything that somebody typed or a function held."""

import re
from collections.abc import ItemsView
from types import FrameType

from django.http import HttpRequest, QueryDict
from django.views.debug import SafeExceptionReporterFilter


class ReportFilter(SafeExceptionReporterFilter):
    """Name the fields and variables of an error report, and star all their values.

    Django's own filter knows the secrets that each view has declared; one that was
    forgotten would be shown. Where an error happened is told by its traceback. With DEBUG
    as well: its page is shown to whoever runs into an error.
    """

    # Addresses hold log-ins and tokens: the mail server's, the watcher's.
    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|URL", re.IGNORECASE
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> QueryDict:
        if request is None:
            return QueryDict()
        starred = request.POST.copy()
        for name in starred:
            starred[name] = self.cleansed_substitute
        return starred

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, object]:
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
