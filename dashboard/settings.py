"""Django settings. Everything that differs between installations comes from env.py."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from dashboard import env

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("GATEWATCH_VAR") or BASE_DIR / "var")
DEMO = env.flag("GATEWATCH_DEMO")
# The demo's log-in, printed by its command and shown on its log-in page.
DEMO_USER, DEMO_PASSWORD = "demo", "gatewatch-demo"

# Where people reach the dashboard: it decides the links in mails, the allowed hosts,
# the CSRF origins, Secure cookies and HSTS.
PUBLIC_URL = env.web_address("PUBLIC_URL")
_PUBLIC = urlsplit(PUBLIC_URL)
HTTPS = _PUBLIC.scheme == "https"

_database_url = env.text("DATABASE_URL")
POSTGRESQL = _database_url.startswith(("postgres:", "postgresql:"))
PRODUCTION = POSTGRESQL or HTTPS

# In production both secrets must be given (checks dashboard.E001 and E002); elsewhere
# they are made once and kept beside the embedded database.
SECRETS_FILE = VAR_DIR / "secrets"
_kept = {} if PRODUCTION else env.stored_secrets(SECRETS_FILE)
SECRET_KEY = env.text("SECRET_KEY") or _kept.get("SECRET_KEY", "")
# Says what SECRET_KEY cannot say: Django refuses to read an empty one.
SECRETS_GIVEN = bool(SECRET_KEY)
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS")
# Fernet keys for the virtual keys at rest, separated by commas; the first one encrypts.
FIELD_KEYS = [
    key.strip()
    for key in (env.text("FIELD_KEYS") or _kept.get("FIELD_KEYS", "")).split(",")
    if key.strip()
]

# References that a team's managers may keep as its key, besides typing one:
# "env:ACME_*,file:/run/secrets/"; site administrators may keep any.
KEY_REFERENCES = env.references("KEY_REFERENCES")

DEBUG = env.flag("DEBUG")
DEFAULT_EXCEPTION_REPORTER_FILTER = "dashboard.web.reports.ReportFilter"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
# A long list of teams to import is one field for each.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *filter(None, [_PUBLIC.hostname])]
ALLOWED_HOSTS += env.hosts("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []

INSTALLED_APPS = [
    "dashboard.apps.DashboardConfig",
    "dashboard.apps.TeamsConfig",
    "dashboard.apps.ProbesConfig",
    "dashboard.apps.RollupsConfig",
    "dashboard.apps.AlertsConfig",
    "dashboard.apps.WebConfig",
    "dashboard.apps.GatewatchAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "dashboard.web.middleware.real_address",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dashboard.web.middleware.head_alone",
    # Pages shrink to a fifth; a random length keeps secrets from being guessed by it.
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "dashboard.web.middleware.no_nul",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.web.sessions.sessions_end",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dashboard.web.middleware.never_stored",
    "dashboard.web.middleware.in_chosen_zone",
    "dashboard.web.middleware.DenialsNoted",
    "dashboard.web.middleware.ActsBounded",
    "dashboard.web.middleware.ConflictsTold",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.web.context.site",
            ],
        },
    }
]

# dependencies: WAL alone is not enough; IMMEDIATE takes the write lock at the start, so
# that a transaction that reads first never fails when it comes to write.
_SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=134217728;"
        "PRAGMA cache_size=-20000; PRAGMA journal_size_limit=67108864;"
    ),
}
_SQLITE_NAME = VAR_DIR / ("demo.sqlite3" if DEMO else "gatewatch.sqlite3")
_database = env.database(_database_url or f"sqlite:///{_SQLITE_NAME}")
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = _SQLITE_OPTIONS
    # A database in memory cannot be shared by threads: "table is locked".
    _database["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
elif POSTGRESQL:
    _database["OPTIONS"] = {"connect_timeout": 5, **_database.get("OPTIONS", {})}
DATABASES = {"default": _database}

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": (
            "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"
        )
    },
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "dashboard.web.audited.counted_address"
# What was typed as a name happens to be a password: its tables must not hold it.
AXES_USERNAME_CALLABLE = "dashboard.web.audited.counted_name"
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_ENABLE_ADMIN = False
# The audit log tells of log-ins, and ends after a year.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "web/locked_out.html"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

# A session ends after its longest life, and when nobody acted for the idle time.
SESSION_COOKIE_AGE = env.number("SESSION_DAYS", 7) * 24 * 3600
SESSION_IDLE_S = env.number("SESSION_IDLE_HOURS", 8, most=24 * 366) * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
CSRF_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_SSL_REDIRECT = HTTPS
TRUST_PROXY = env.flag("TRUST_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
# An outside watcher asks over plain http from inside the machine.
SECURE_REDIRECT_EXEMPT = [r"^healthz"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "dashboard.lib.formats"
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.text("GATEWATCH_STATIC") or BASE_DIR / "staticfiles")
STORAGES = {
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Unset EMAIL_URL means: mails wait in the outbox, and the pages say so.
_email_url = env.text("EMAIL_URL")
_email = env.mail_server(_email_url) if _email_url else {}
EMAIL_CONFIGURED = bool(_email_url) or DEMO
EMAIL_BACKEND = _email.get(
    "EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend"
)
EMAIL_FILE_PATH = _email.get("EMAIL_FILE_PATH", "")
EMAIL_HOST = _email.get("EMAIL_HOST", "")
EMAIL_PORT = _email.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.sender("MAIL_FROM") or (
    f"Gatewatch <gatewatch@{_PUBLIC.hostname or 'localhost'}>"
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# Seconds that each part of a run may take; checks.py asserts that they nest in the
# timeout and the retry of Q_CLUSTER.
TICK_S = 55
PROBE_DEADLINE_S = 30
DEEP_DEADLINE_S = 130
# For so long one round of the paid probes begins runs.
DEEP_S = 25
# How many ticks may run at once over all machines; more than one only pays beyond
# some hundred probes a second.
TICK_SLOTS = env.number("GATEWATCH_TICK_SLOTS", 1)
PROBE_THREADS = env.number("GATEWATCH_PROBE_THREADS", 16, least=2)
_MOST_S = 366 * 24 * 3600
# How long a mail waits for others of the same cause, and how far apart two mails of one
# gateway to one person are at least (Alertmanager's group_wait and group_interval).
MAIL_GROUP_WAIT_S = env.number(
    "GATEWATCH_MAIL_WAIT_S", 5 if DEMO else 30, least=0, most=_MOST_S
)
# An alarm that nobody acknowledges is mailed again after this; 0: never.
MAIL_REPEAT_S = env.number("GATEWATCH_MAIL_REPEAT_S", 4 * 3600, least=0, most=_MOST_S)
MAIL_GROUP_INTERVAL_S = env.number(
    "GATEWATCH_MAIL_INTERVAL_S", 30 if DEMO else 300, least=0, most=_MOST_S
)
# So many mails of incidents somebody gets in an hour at most, twice as many where they are
# critical; the rest is told together in the last four of them. 0: without end.
MAIL_CAP = env.number("GATEWATCH_MAIL_CAP", 20, least=0, most=100_000)
# Asked after each good cycle, so that an outside watcher hears when there is none.
PING_URL = env.address("GATEWATCH_PING_URL")
# Whom manage.py watchdog mails; empty for the recipients of everything.
WATCHDOG_TO = env.addresses("GATEWATCH_WATCHDOG_TO")
# A made-up alarm goes through rule, outbox and mail once a day; empty: to the first
# administrator.
SELF_TEST = env.flag("GATEWATCH_SELF_TEST", default=not DEMO)
SELF_TEST_TO = env.addresses("GATEWATCH_SELF_TEST_TO")

# What a date can count; nobody wants to keep anything for longer.
_MOST_DAYS = 36_500
RETENTION_DAYS = {
    "raw": env.number("RETENTION_RAW_DAYS", 30, most=_MOST_DAYS),
    "minute": env.number("RETENTION_MINUTE_DAYS", 2, most=_MOST_DAYS),
    "hour": env.number("RETENTION_HOUR_DAYS", 396, most=_MOST_DAYS),
    "day": env.number("RETENTION_DAY_DAYS", 1096, most=_MOST_DAYS),
    # Those that ended, and the mails.
    "incident": env.number("RETENTION_INCIDENT_DAYS", 396, most=_MOST_DAYS),
}

Q_CLUSTER: dict[str, Any] = {
    "name": "gatewatch",
    "label": "Jobs",
    "orm": "default",
    # One each for the tick, the tail of the last tick, the deep lane, the mails and
    # the housekeeping, so that none of them waits for another.
    "workers": env.number("GATEWATCH_WORKERS", 5),
    "timeout": 180,
    "retry": 240,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,  # failures only: a success is a heartbeat
    "poll": 0.5,
    "queue_limit": 4,
    "bulk": 1,
    "recycle": 500,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "dashboard.lib.logs.LineFormatter"}},
    "filters": {
        "brief": {"()": "dashboard.lib.logs.WithoutVisitorsTracebacks"},
        "outages": {"()": "dashboard.lib.logs.OutagesBrief"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["brief", "outages"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.log_level("LOG_LEVEL")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django.request": {"level": "ERROR"},
    },
}
