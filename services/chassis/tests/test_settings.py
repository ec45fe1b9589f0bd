"""Settings are checked before anything starts; each mistake is one sentence that repeats no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baton_chassis.settings import ChassisSettings, Misconfigured

PROD = {
    "BATON_PROFILE": "prod",
    "BATON_JWKS_URL": "https://issuer.example/jwks",
    "BATON_ISSUER": "https://issuer.example",
    "BATON_KEY_FILE": "/run/secrets/root.key",
    "BATON_PUBLIC_URL": "https://referrals.example",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BATON_"):
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> ChassisSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return ChassisSettings.read()


def test_nothing_set_is_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)

    assert (settings.profile, settings.host, settings.port) == ("dev", "127.0.0.1", 8400)
    assert settings.data_dir == Path(".baton")
    assert settings.wants_demo
    assert settings.has_role("relay")


def test_lists_and_pairs_are_read_from_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        BATON_ROLE="web, relay",
        BATON_KAFKA="127.0.0.1:9092,[::1]:9093",
        BATON_PEERS="intake=http://127.0.0.1:8401/, notes=https://notes.internal",
        BATON_OUTBOUND_ALLOW="127.0.0.0/8, ::1, hooks.example",
        BATON_DEMO="0",
        BATON_PUBLIC_URL="http://127.0.0.1:8400/",
        BATON_FAILPOINT="relay.after_send:3",
        BATON_TEST_CLOCK="1",
        BATON_DATABASE_URL="postgresql://baton:secret@127.0.0.1/baton",
    )

    assert settings.role == {"web", "relay"}
    assert settings.has_role("web")
    assert not settings.has_role("delivery")
    assert settings.kafka == ("127.0.0.1:9092", "[::1]:9093")
    assert settings.peers == {"intake": "http://127.0.0.1:8401", "notes": "https://notes.internal"}
    assert settings.outbound_allow == ("127.0.0.0/8", "::1", "hooks.example")
    assert settings.public_url == "http://127.0.0.1:8400"
    assert settings.test_clock
    assert not settings.wants_demo
    assert "secret" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATON_PROFILE", "staging-canary"),
        ("BATON_PORT", "canary"),
        ("BATON_PORT", "65536"),
        ("BATON_ROLE", "web,canary"),
        ("BATON_KAFKA", "canary"),
        ("BATON_DATABASE_URL", "mysql://root:canary@h/d"),
        ("BATON_DATABASE_URL", "canary"),
        ("BATON_SMTP_URL", "http://canary"),
        ("BATON_JWKS_URL", "ftp://canary"),
        ("BATON_PUBLIC_URL", "canary"),
        ("BATON_OUTBOUND_ALLOW", "http://canary/x"),
        ("BATON_PEERS", "canary"),
        ("BATON_PEERS", "intake=ftp://canary"),
        ("BATON_FAILPOINT", "canary"),
        ("BATON_FAILPOINT", "relay.after_send:0"),
        ("BATON_TEST_CLOCK", "canary"),
        ("BATON_MAIL_FROM", "canary"),
        ("BATON_MAIL_FROM", "a@b, canary@d"),
    ],
)
def test_a_mistake_is_named_without_what_was_set(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(monkeypatch, **{name: value})

    assert refused.value.exit_code == 78
    assert all(reason.startswith(f"{name}: ") and "\n" not in reason for reason in refused.value.reasons)
    assert "canary" not in str(refused.value)


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(monkeypatch, BATON_PORT="x", BATON_MAIL_FROM="x")

    assert len(refused.value.reasons) == 2


def test_prod_stands_when_everything_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, **PROD)

    assert settings.is_prod
    assert not settings.wants_demo


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATON_JWKS_URL", ""),
        ("BATON_JWKS_URL", "http://issuer.example/jwks"),
        ("BATON_KEY_FILE", ""),
        ("BATON_PUBLIC_URL", ""),
        ("BATON_PUBLIC_URL", "http://referrals.example"),
        ("BATON_OUTBOUND_ALLOW", "127.0.0.1"),
        ("BATON_FAILPOINT", "relay.after_send:1"),
        ("BATON_TEST_CLOCK", "1"),
        ("BATON_DEMO", "1"),
    ],
)
def test_prod_refuses_what_belongs_to_a_sandbox(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(monkeypatch, **{**PROD, name: value})

    assert any(name in reason for reason in refused.value.reasons)
    assert all("\n" not in reason for reason in refused.value.reasons)


def test_an_issuer_needs_its_keys_and_all_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="belong together"):
        read(monkeypatch, BATON_ISSUER="https://issuer.example")
    monkeypatch.delenv("BATON_ISSUER")
    with pytest.raises(Misconfigured, match="alone"):
        read(monkeypatch, BATON_ROLE="all,web")
