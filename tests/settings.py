"""The settings of the tests: the product's own, quick to hash and with mail in memory."""

import os
import tempfile

_var = tempfile.mkdtemp(prefix="gatewatch-test-")
os.environ.setdefault("GATEWATCH_VAR", _var)
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "x" * 40)
os.environ.setdefault("FIELD_KEYS", "cHJvYmFibHktbm90LWEtcmVhbC1rZXktMzItYnl0ZXM=")

from dashboard.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
EMAIL_CONFIGURED = True
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Static files come from their sources: nothing is collected for tests.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True
