"""Django's settings. What comes from outside is read and checked in `environment.py`; nothing here has a secret."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
import structlog
from csp.constants import NONCE, NONE, SELF
from django.templatetags.static import static

from robotctl import environment, redaction

django_stubs_ext.monkeypatch()

ENV = environment.read()
BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
DEBUG = False
SECRET_KEY = ENV.secret_key
ALLOWED_HOSTS = ENV.allowed_hosts

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "guardian",
    "auditlog",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "channels",
    "django_celery_beat",
    "accounts",
    "firmware",
    "monitoring",
    "realtime",
    "robotctl",
]

MIDDLEWARE = [
    "accounts.middleware.OriginMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "robotctl.policy.PolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.PersonMiddleware",
    "accounts.entry.EntryMiddleware",
    "accounts.throttles.AddressThrottle",
    "accounts.lock.LockMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "robotctl.urls"
ASGI_APPLICATION = "robotctl.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- data -----------------------------------------------------------------------------------------------------------
DATABASES = {"default": {**ENV.database, "CONN_HEALTH_CHECKS": True}}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # With Django's defaults three writers see "database is locked" within seconds; so they never do.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
        " PRAGMA mmap_size=134217728; PRAGMA cache_size=-8000;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(ENV.var / "test.sqlite3")}  # threads must see the same file
else:
    DATABASES["default"]["OPTIONS"] = {
        "pool": {"min_size": 1, "max_size": 16, "timeout": 5},
        "connect_timeout": 5,
        # Every query is short. To compile one, or to start workers for it, took up to 400 ms, the query itself one.
        "options": "-c jit=off -c max_parallel_workers_per_gather=0",
    }
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = False  # the pool checks
MIGRATION_MODULES = {"knox": None}  # its token model is ours (KNOX_TOKEN_MODEL); its own table would only be in the way
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = ENV.redis_url
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    }
}

# --- who ------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: whoever is locked out is not even asked for the password
    "accounts.backends.PasswordBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None  # guardian: nobody has rights without signing in
GUARDIAN_MONKEY_PATCH_USER = False
PASSWORD_HASHERS = ["accounts.hashing.OneAtATime"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.password_rules.GuessableValidator"},
    {"NAME": "accounts.leaked.LeakedValidator"},
]
BREACHED_PASSWORDS = ENV.breached_passwords
PASSWORD_RESET_TIMEOUT = 24 * 3600  # links that set a password
# Failed sign-ins: counted by axes, judged by accounts.lockout.
AXES_HANDLER = "accounts.lockout.LockoutHandler"
AXES_CLIENT_IP_CALLABLE = "accounts.lockout.address_of"
AXES_USERNAME_CALLABLE = "accounts.lockout.counted_name"
AXES_COOLOFF_TIME = timedelta(days=1)  # how long a failure is remembered
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # the journal is the record
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "otp", "next", "csrfmiddlewaretoken"]
SILENCED_SYSTEM_CHECKS = ["axes.W002"]  # its middleware would replace our answers
OTP_TOTP_ISSUER = "robotctl"
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0  # wrong codes count for the lockout
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign-in"
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105
REST_KNOX = {"TOKEN_TTL": timedelta(hours=10), "AUTH_HEADER_PREFIX": "Token", "TOKEN_PREFIX": "rc_"}
WS_TICKET_LIFETIME_S = 30
LOCK_AFTER_S = ENV.lock_after_s
REGISTRATION = ENV.registration
JOURNAL_KEEP_DAYS = ENV.journal_keep_days

# --- web ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    # The token class comes first, so that a stranger gets 401 with WWW-Authenticate, not 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttles.PersonThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["robotctl.problems.StrictJSONParser", "robotctl.problems.StrictFormParser"],
    "DEFAULT_PAGINATION_CLASS": "robotctl.problems.Pages",
    "DEFAULT_FILTER_BACKENDS": ["robotctl.problems.StrictFilters", "rest_framework.filters.OrderingFilter"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_VERSION": "v1",
    "EXCEPTION_HANDLER": "accounts.refusals.handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# (requests, seconds): at most so many in each such window; for a person over all their tokens and pages, and for an address.
# A page sends 3 requests a second while somebody jogs. Many people may stand behind one address.
THROTTLE_RATES = {
    "any-user": (1_000, 10),
    "any-address": (3_000, 10),
    "sign-in-user": (30, 60),  # unlocking, and changing a password
    "sign-in-address": (60, 60),
    "ticket-user": (100, 1),
    "ticket-address": (300, 1),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "robotctl",
    "DESCRIPTION": "The control plane between people and robots whose firmware speaks HTTP.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "HealthStatus": ["healthy", "warning", "critical", "unknown"]
    },  # several things have a status
}
STATIC_URL = "static/"
STATIC_ROOT = ENV.var / "static"
WHITENOISE_USE_FINDERS = not ENV.production  # development needs no collectstatic
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "realtime.views.csrf_failed"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if ENV.production:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
UNFOLD = {
    "SITE_TITLE": "robotctl",
    "SITE_HEADER": "robotctl",
    "SITE_URL": "/",
    "SITE_SYMBOL": "precision_manufacturing",
    "COLORS": lambda _request: {},  # not inline in each page: realtime/admin.css has them
    "STYLES": [lambda _request: static("realtime/admin.css")],
    "SCRIPTS": [lambda _request: static("realtime/admin-styles.js")],
}

# --- scheduled work -------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "monitoring.tasks.heartbeat", "schedule": 10.0, "options": {"expires": 10}},
    "forget-expired": {"task": "accounts.tasks.forget_expired", "schedule": 300.0, "options": {"expires": 300}},
    "seal-journal": {"task": "accounts.tasks.seal_journal", "schedule": 10.0, "options": {"expires": 10}},
    "check-journal": {"task": "accounts.tasks.check_journal", "schedule": 10.0, "options": {"expires": 10}},
    "archive-journal": {"task": "accounts.tasks.archive_journal", "schedule": 86_400.0, "options": {"expires": 3_600}},
    "sample-host": {"task": "monitoring.tasks.sample_host", "schedule": 5.0, "options": {"expires": 5}},
    "roll-up": {"task": "monitoring.tasks.roll_up", "schedule": 10.0, "options": {"expires": 10}},
    "prune-samples": {"task": "monitoring.tasks.prune_samples", "schedule": 600.0, "options": {"expires": 600}},
    "end-grants": {"task": "accounts.tasks.end_grants", "schedule": 60.0, "options": {"expires": 60}},
}

# --- time, language, logs -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

AUDITLOG_DISABLE_REMOTE_ADDR = True  # addresses live in the journal's erasable side table only

_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redaction.without_links,
]
_renderer: Any = (
    structlog.processors.JSONRenderer() if ENV.log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer],
            "foreign_pre_chain": _shared_processors,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": ENV.log_level},
    "loggers": {
        # One line per request is the proxy's work; only what went wrong is ours.
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "urllib3": {"level": "ERROR"},  # the client logs once when a robot goes down, once when it is back
        "celery": {"level": "WARNING"},
        "axes": {"level": "ERROR"},  # the journal has it
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared_processors,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
