"""Mail over real SMTP on loopback: what goes over the wire, and what each answer means."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from baton_chassis.clock import FixedClock
from baton_notification.channels.mail import NotOneMailbox, SmtpServer, one_mailbox
from baton_notification.domain.delivery import Verdict
from baton_notification.ports import Mail

CLOCK = FixedClock(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))


class Inbox:
    """What a server took; ``answer`` is what it says to RCPT."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.messages: list[EmailMessage] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"


@asynccontextmanager
async def smtp(inbox: Inbox, **options: Any) -> AsyncIterator[int]:
    """A server on loopback; gives its port."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(inbox, hostname="mail.test", loop=loop, **options), "127.0.0.1", 0
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@asynccontextmanager
async def listening_in_silence() -> AsyncIterator[int]:
    """A server that takes connections and never says a word."""
    held: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for writer in held:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in held), return_exceptions=True)


def mail(**said: str) -> Mail:
    return Mail(
        message_id=said.get("message_id", "<d1@practice.example>"),
        to=said.get("to", "desk@office.example"),
        sender_name=said.get("sender_name", 'Heart "Demo" Practice'),
        subject=said.get("subject", "Practice: your referral FP-1"),
        text="plain words",
        html="<p>plain words</p>",
    )


def server(port: int, *, user: str = "", query: str = "") -> SmtpServer:
    return SmtpServer(f"smtp://{user}127.0.0.1:{port}{query}", sender="updates@practice.example", clock=CLOCK)


async def test_a_mail_goes_out_as_text_and_html_with_headers_of_ours() -> None:
    inbox = Inbox()
    async with smtp(inbox) as port:
        result = await server(port).send("p1", mail())

    assert (result.verdict, result.outcome, result.code) == (Verdict.TAKEN, "accepted", "250")
    (message,) = inbox.messages
    assert message["To"] == "desk@office.example"
    assert message["From"] == "Heart Demo Practice <updates@practice.example>"
    assert message["Message-ID"] == "<d1@practice.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("450 mailbox busy", Verdict.LATER),
        ("550 no such mailbox", Verdict.BOUNCED),
        ("552 too much", Verdict.BOUNCED),
        ("421 closing", Verdict.LATER),
    ],
)
async def test_what_the_server_says_of_the_receiver_decides(answer: str, verdict: Verdict) -> None:
    async with smtp(Inbox(answer)) as port:
        result = await server(port).send("p1", mail())
    assert (result.verdict, result.code) == (verdict, answer[:3])


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    async with smtp(Inbox()) as port:
        pass
    result = await server(port).send("p1", mail())
    assert (result.verdict, result.outcome) == (Verdict.LATER, "connect-failed")


async def test_a_server_that_says_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baton_notification.channels.mail.TOTAL_SECONDS", 0.2)
    async with listening_in_silence() as port:
        result = await server(port).send("p1", mail())
    assert (result.verdict, result.outcome) == (Verdict.LATER, "timeout")


async def test_credentials_are_not_said_to_a_server_without_tls() -> None:
    told: list[str] = []

    def note(server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        told.append(mechanism)
        return AuthResult(success=True)

    inbox = Inbox()
    async with smtp(inbox, authenticator=note, auth_require_tls=False) as port:
        result = await server(port, user="clerk:secret@").send("p1", mail())
    assert result.verdict is not Verdict.TAKEN
    assert (told, inbox.messages) == ([], [])


@pytest.mark.parametrize(
    "address",
    [
        "a@b,c@d", '"x y"@office.example', "desk@localhost", "desk@office.local",
        "Desk <desk@office.example>", "desk@office.example\r\nBcc: x@evil.example", "desk@[127.0.0.1]",
        "dësk@office.example", "desk@оffice.example",
        "desk", "@office.example", "", "desk@office.example;other@office.example", "desk@office..example",
    ],
)  # fmt: skip
def test_anything_but_one_plain_mailbox_is_refused(address: str) -> None:
    with pytest.raises(NotOneMailbox):
        one_mailbox(address)


@pytest.mark.parametrize(
    "said",
    [
        {"subject": "News\r\nBcc: other@office.example"},
        {"subject": "News\nX: y"},
        {"to": "desk@office.example\r\nBcc: other@office.example"},
        {"sender_name": "Practice\r\nBcc: other@office.example"},
        {"message_id": "<d1@x>\r\nX: y"},
    ],
)
async def test_a_line_break_in_a_header_stops_the_mail(said: dict[str, str]) -> None:
    inbox = Inbox()
    async with smtp(inbox) as port:
        result = await server(port).send("p1", mail(**said))
    assert (result.verdict, result.outcome, inbox.messages) == (Verdict.NEVER, "bad-address", [])
