"""What can be set from outside (BATON_*), checked before anything starts; every mistake is one plain
sentence."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Profile = Literal["dev", "prod"]
Role = Literal["web", "relay", "consumer", "delivery", "timers", "all"]

_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_HOST_PORT = re.compile(r"[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5}")
_FAILPOINT = re.compile(r"[a-z_.]+:[1-9][0-9]{0,8}")


class Misconfigured(Exception):
    """The settings cannot stand; ``reasons`` has one line for each. The process ends with ``exit_code``."""

    exit_code = 78

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def _listed(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _paired(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in _listed(value)]
    return {name.strip(): url.strip() for name, _, url in pairs}


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Words with commas between them."""


class ChassisSettings(BaseSettings):
    """The settings every service shares; a service derives its own from it. Read them with ``read``."""

    model_config = SettingsConfigDict(
        env_prefix="BATON_", extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    profile: Profile = "dev"
    data_dir: Path = Path(".baton")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8400
    public_url: str | None = None
    database_url: SecretStr | None = None
    kafka: Listed = ()
    role: Annotated[frozenset[Role], NoDecode, BeforeValidator(_listed)] = frozenset({"all"})
    smtp_url: SecretStr | None = None
    mail_from: str | None = None
    jwks_url: str | None = None
    issuer: str | None = None
    key_file: Path | None = None
    practices: Path | None = None
    outbound_allow: Listed = ()
    failpoint: str | None = None
    test_clock: bool = False
    mllp_port: Annotated[int, Field(ge=0, le=65535)] = 2575
    demo: bool | None = None
    peers: Annotated[Mapping[str, str], NoDecode, BeforeValidator(_paired)] = {}
    service_credential: Path | None = None

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings from the environment, ``given`` first; raises ``Misconfigured`` with every reason at
        once."""
        try:
            settings = cls(**given)
        except ValidationError as error:
            raise Misconfigured(*_reasons(error)) from None
        reasons = settings.objections()
        if reasons:
            raise Misconfigured(*reasons)
        return settings

    def objections(self) -> list[str]:
        """What the profile does not allow, one sentence each; a service adds its own."""
        reasons = []
        if (self.jwks_url is None) != (self.issuer is None):
            reasons.append("BATON_JWKS_URL and BATON_ISSUER belong together: set both.")
        if self.role > {"all"}:
            reasons.append("BATON_ROLE: all stands alone.")
        return reasons + (self._objections_in_prod() if self.is_prod else [])

    def _objections_in_prod(self) -> list[str]:
        rules = {
            "BATON_JWKS_URL: profile prod has no embedded token issuer; name the key set of yours.":
                not self.jwks_url,
            "BATON_JWKS_URL: use https or a file in profile prod.": (self.jwks_url or "").startswith("http:"),
            "BATON_KEY_FILE: profile prod makes no keys; name the file with the root key.":
                self.key_file is None,
            "BATON_PUBLIC_URL: set the https address under which this installation is reached.":
                not (self.public_url or "").startswith("https:"),
            "BATON_OUTBOUND_ALLOW: not in profile prod; outbound calls reach public addresses only.":
                bool(self.outbound_allow),
            "BATON_FAILPOINT: not in profile prod.": self.failpoint is not None,
            "BATON_TEST_CLOCK: not in profile prod.": self.test_clock,
            "BATON_DEMO: no demo practice in profile prod.": self.demo is True,
        }  # fmt: skip
        return [reason for reason, broken in rules.items() if broken]

    @property
    def is_prod(self) -> bool:
        """True in profile prod."""
        return self.profile == "prod"

    @property
    def wants_demo(self) -> bool:
        """True when a demo practice is to be played in."""
        return self.demo is not False and not self.is_prod

    def has_role(self, role: Role) -> bool:
        """True when this process is to do the work of ``role``."""
        return role in self.role or "all" in self.role

    @field_validator("public_url", "jwks_url", "database_url", "smtp_url")
    @classmethod
    def _url(cls, value: Any, info: ValidationInfo) -> Any:
        schemes = _SCHEMES[str(info.field_name)]
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and not _is_url(text, schemes):
            raise ValueError(f"write an address that starts with {' or '.join(f'{s}://' for s in schemes)}")
        return text.rstrip("/") if info.field_name == "public_url" and text is not None else value

    @field_validator("kafka")
    @classmethod
    def _brokers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST_PORT.fullmatch(broker) for broker in value):
            raise ValueError("write host:port, several with commas between them")
        return value

    @field_validator("outbound_allow")
    @classmethod
    def _places(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_is_place(place) for place in value):
            raise ValueError("write host names, addresses or networks (10.0.0.0/8), with commas between them")
        return value

    @field_validator("peers")
    @classmethod
    def _bases(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if not all(
            re.fullmatch(r"[a-z]+(-[a-z]+)*", owner) and _is_url(url, ("http", "https"))
            for owner, url in value.items()
        ):
            raise ValueError("write owner=http://host:port, several with commas between them")
        return {owner: url.rstrip("/") for owner, url in value.items()}

    @field_validator("failpoint")
    @classmethod
    def _named_point(cls, value: str | None) -> str | None:
        if value is not None and not _FAILPOINT.fullmatch(value):
            raise ValueError("write name:n, the n-th pass counted from 1")
        return value

    @field_validator("mail_from")
    @classmethod
    def _mailbox(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+", value):
            raise ValueError("write one plain mail address")
        return value


_SCHEMES: Mapping[str, tuple[str, ...]] = {
    "public_url": ("https", "http"),
    "jwks_url": ("https", "http", "file"),
    "database_url": ("postgresql",),
    "smtp_url": ("smtp", "smtps"),
}


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc or parts.scheme == "file" or "?host=" in text)


def _is_place(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return _HOST.fullmatch(text) is not None
    return True


def _reasons(error: ValidationError) -> list[str]:
    """Pydantic's sentences without what was set: it may be a secret."""
    found = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        name = "BATON_" + str(detail["loc"][0]).upper() if detail["loc"] else "BATON_*"
        found.append(f"{name}: {detail['msg'].removeprefix('Value error, ')}")
    return list(dict.fromkeys(found))
