"""Mail over SMTP: one validated receiver, no header that anybody else wrote, and what the server's answer
means.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from baton_chassis.clock import Clock
from baton_notification.domain.delivery import Verdict
from baton_notification.ports import Mail, Result

TOTAL_SECONDS: Final = 30.0


class NotOneMailbox(ValueError):
    """An address that is not exactly one plain mailbox."""


def one_mailbox(text: str) -> str:
    """The address, if it is one plain ASCII mailbox: no list, no name, no quoted part, no address literal.

    Raises:
        NotOneMailbox: it is anything else.
    """
    try:
        checked = validate_email(
            text, check_deliverability=False, allow_smtputf8=False, allow_quoted_local=False,
            allow_domain_literal=False, allow_display_name=False, test_environment=True,
        )  # fmt: skip
    except EmailNotValidError:
        raise NotOneMailbox("write one plain mail address") from None
    if checked.ascii_email is None or not text.isascii():
        raise NotOneMailbox("write one plain mail address")
    return checked.ascii_email


def composed(mail: Mail, *, sender: str, clock: Clock) -> EmailMessage:
    """The message as it goes over the wire.

    Raises:
        NotOneMailbox: the receiver is not one mailbox.
        ValueError: a header holds a line break.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = f"{_display(mail.sender_name)} <{one_mailbox(sender)}>"
    message["To"] = one_mailbox(mail.to)
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = _one_line(mail.message_id)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office should answer
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


class SmtpServer:
    """Where mail goes: from ``smtp://user:password@host:port`` or ``smtps://``. With credentials on ``smtp``
    or with ``?starttls=required`` the connection must turn to TLS before anything is said.
    """

    def __init__(self, url: str, *, sender: str, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("an SMTP server is smtp://host:port or smtps://host:port")
        self._host, self._direct = parts.hostname, parts.scheme == "smtps"
        self._port = parts.port or (465 if self._direct else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        asked = parse_qs(parts.query).get("starttls", [""])[0]
        required = asked == "required" or (self._user is not None and asked != "never")
        self._start_tls = None if self._direct or not required else True
        if asked == "never":
            self._start_tls = False
        self._sender = sender
        self._clock = clock
        self._tls = tls

    async def send(self, practice_id: str, mail: Mail) -> Result:
        """One try to hand the mail to the server; what it says decides."""
        started = time.monotonic()
        try:
            message = composed(mail, sender=self._sender, clock=self._clock)
        except ValueError:
            return Result(verdict=Verdict.NEVER, outcome="bad-address")
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._hand_over(message, mail.to)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return _refusal(error, _since(started))
        return Result(verdict=Verdict.TAKEN, outcome="accepted", code="250", duration_ms=_since(started))

    async def _hand_over(self, message: EmailMessage, to: str) -> None:
        client = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, use_tls=self._direct, start_tls=self._start_tls,
            tls_context=self._tls, timeout=TOTAL_SECONDS,
        )  # fmt: skip
        async with client:
            if self._user is not None:
                await client.login(self._user, self._password or "")
            await client.send_message(message, sender=self._sender, recipients=[to])


def _refusal(error: Exception, duration_ms: int) -> Result:
    """5xx about the receiver is a bounce, other 5xx are final, 4xx and silence are for later (RFC 5321,
    4.2.1).
    """
    code = _smtp_code(error)
    text = str(code) if code else None
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) or code is None or code < 500:
        outcome = "timeout" if isinstance(error, TimeoutError) else "refused" if code else "connect-failed"
        return Result(verdict=Verdict.LATER, outcome=outcome, code=text, duration_ms=duration_ms)
    about_receiver = isinstance(error, aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPRecipientRefused)
    verdict = Verdict.BOUNCED if about_receiver or code in (550, 551, 553) else Verdict.NEVER
    return Result(verdict=verdict, outcome="refused", code=text, duration_ms=duration_ms)


def _smtp_code(error: Exception) -> int | None:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return max((refused.code for refused in error.recipients), default=None)
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


def _one_line(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("a header is one line")
    return text


def _display(name: str) -> str:
    """A display name that cannot end its quotes."""
    plain = "".join(letter for letter in _one_line(name) if letter not in '"\\')
    return f'"{plain}"'


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
