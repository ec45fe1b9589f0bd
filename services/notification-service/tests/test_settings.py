"""What may be set, and what profile prod asks of mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baton_chassis.settings import Misconfigured
from baton_notification.settings import DEV_SENDER, Settings

PROD: dict[str, Any] = {
    "profile": "prod",
    "public_url": "https://referrals.practice.example",
    "jwks_url": "https://id.practice.example/jwks",
    "issuer": "https://id.practice.example",
    "key_file": Path("root.key"),
    "mail_from": "updates@practice.example",
}


@pytest.mark.parametrize(
    "url",
    [
        "smtps://mail.example:465",
        "smtp://clerk:secret@mail.example:587",
        "smtp://mail.example?starttls=required",
    ],
)
def test_mail_over_tls_is_fit_for_prod(url: str) -> None:
    assert not Settings.read(**PROD, smtp_url=url).captures_mail


@pytest.mark.parametrize(
    "url", [None, "smtp://mail.example", "smtp://clerk:secret@mail.example?starttls=never"]
)
def test_prod_does_not_start_without_mail_over_tls(url: str | None) -> None:
    with pytest.raises(Misconfigured, match="BATON_SMTP_URL"):
        Settings.read(**PROD, smtp_url=url)


def test_prod_names_its_sender() -> None:
    with pytest.raises(Misconfigured, match="BATON_MAIL_FROM"):
        Settings.read(**PROD | {"mail_from": None}, smtp_url="smtps://mail.example")


def test_development_captures_mail_until_a_server_is_named() -> None:
    assert Settings.read().captures_mail
    assert not Settings.read(smtp_url="smtp://127.0.0.1:2525").captures_mail
    assert Settings.read().sender == DEV_SENDER
    assert Settings.read(host="127.0.0.1", port=8400).base_url == "http://127.0.0.1:8400"
