"""What can be set about notification from outside: what every service has, and that mail must be safe in
prod.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from baton_chassis.settings import ChassisSettings

DEV_SENDER = "updates@referrals.example"
"""The sender where none is set: nobody can reach it, and it is never used in profile prod."""


class Settings(ChassisSettings):
    """The settings of notification."""

    @property
    def base_url(self) -> str:
        """Where offices reach us."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def sender(self) -> str:
        """The address that mail comes from."""
        return self.mail_from or DEV_SENDER

    @property
    def captures_mail(self) -> bool:
        """True where mail is kept for ``/dev/mailbox`` instead of being sent."""
        return self.smtp_url is None and not self.is_prod

    def objections(self) -> list[str]:
        """What profile prod asks of mail."""
        reasons = super().objections()
        if self.is_prod:
            reasons += _objections_to_mail(self.smtp_url.get_secret_value() if self.smtp_url else None)
            if self.mail_from is None:
                reasons.append("BATON_MAIL_FROM: set the address that mail comes from.")
        return reasons


def _objections_to_mail(url: str | None) -> list[str]:
    if url is None:
        return ["BATON_SMTP_URL: set the mail server; profile prod captures no mail."]
    parts = urlsplit(url)
    asked = parse_qs(parts.query).get("starttls", [""])[0]
    safe = parts.scheme == "smtps" or asked == "required" or (parts.username is not None and asked != "never")
    return (
        [] if safe else ["BATON_SMTP_URL: use smtps://, or smtp:// with ?starttls=required, in profile prod."]
    )
