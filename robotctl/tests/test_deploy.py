"""What an installation is checked for before it goes into production."""

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from robotctl.tests.system import ROOT


def manage(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("TESTING", "DATABASE_URL")}
    (tmp_path / "static").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean | {"ROBOTCTL_VAR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def production() -> dict[str, str]:
    return {
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ROBOTCTL_KEYS": Fernet.generate_key().decode(),
        "ROBOTCTL_SEAL_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "ROBOT_NETWORKS": "10.20.0.0/16",
        "ALLOWED_HOSTS": "robotctl.example.org",
    }


def test_the_deployment_check_has_no_warning_in_production(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **production())
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_cookies_are_secure_in_production_and_never_for_scripts_or_other_sites(tmp_path: Path) -> None:
    names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_HTTPONLY"]
    words = f"from django.conf import settings as s; print([getattr(s, name) for name in {names}], s.SESSION_COOKIE_SAMESITE)"
    done = manage(tmp_path, "shell", "--no-imports", "-c", words, **production())
    assert done.stdout.strip() == "[True, True, True, True] Lax", done.stderr


def test_testing_mode_does_not_start_in_production(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", TESTING="true", **production())
    assert done.returncode != 0
    assert "TESTING=true does not start with ENVIRONMENT=production" in done.stderr


def test_the_openapi_document_is_valid_and_made_without_a_warning(tmp_path: Path) -> None:
    done = manage(tmp_path, "spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr


@pytest.mark.django_db
def test_asking_for_the_openapi_document_writes_nothing_into_the_log(capfd: pytest.CaptureFixture[Any]) -> None:
    assert Client().get("/api/schema/").status_code == 200
    assert capfd.readouterr() == ("", "")
