"""What leaves, rendered from the state at this moment: mails and webhook bodies, without patient data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from baton_notification.channels import wording
from baton_notification.domain.delivery import Delivery
from baton_notification.domain.progress import ReferralProgress
from baton_notification.handlers.views import moment
from baton_notification.ports import Mail

STATUS_CHANGED = "referral.status_changed"
DOCUMENT_DELIVERED = "referral.document"


def templates() -> Environment:
    """The templates of this package: escaped in HTML, and a name that is missing is a defect, not a blank."""
    return Environment(
        loader=PackageLoader("baton_notification"),
        autoescape=select_autoescape(("html", "html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who writes: the practice's name, and the domain that our message ids carry."""

    practice: str
    phone: str | None
    domain: str


class Letters:
    """Mails, as text and as HTML."""

    def __init__(self, *, code_minutes: int) -> None:
        self._templates = templates()
        self._code_minutes = code_minutes

    def notice(self, delivery: Delivery, progress: ReferralProgress, *, page: str, sender: Sender) -> Mail:
        """What happened, where it stands now, and the way to the page. Also for a document: it is not in the
        mail.
        """
        said = wording.TOLD[delivery.news.template]
        state = progress.position.state
        words = {
            "said": said,
            "practice": sender.practice,
            "phone": sender.phone,
            "reference": progress.office_reference,
            "state": wording.STATES[state] if state else None,
            "next": wording.next_text(progress.next_step()),
            "page": page,
        }
        return self._mail("notice", delivery, self._subject(progress, sender), words, sender)

    def code(self, delivery: Delivery, *, sender: Sender) -> Mail:
        """The code that opens the page."""
        code = (delivery.body or b"").decode()
        words = {
            "code": code,
            "minutes": self._code_minutes,
            "practice": sender.practice,
            "phone": sender.phone,
        }
        return self._mail("code", delivery, f"{sender.practice}: your code", words, sender)

    def _subject(self, progress: ReferralProgress, sender: Sender) -> str:
        reference = progress.office_reference
        return (
            f"{sender.practice}: your referral {reference}"
            if reference
            else f"{sender.practice}: your referral"
        )

    def _mail(
        self, name: str, delivery: Delivery, subject: str, words: Mapping[str, Any], sender: Sender
    ) -> Mail:
        return Mail(
            message_id=f"<{delivery.id}@{sender.domain}>",
            to=delivery.to.address,
            sender_name=sender.practice,
            subject=subject,
            text=self._templates.get_template(f"mail_{name}.txt.j2").render(words),
            html=self._templates.get_template(f"mail_{name}.html.j2").render(words),
        )


def status_changed(
    delivery: Delivery, progress: ReferralProgress, *, at: datetime, links: Mapping[str, str]
) -> bytes:
    """The thin body of an office's or practice's webhook."""
    position = progress.position
    return _json(
        {
            "type": STATUS_CHANGED,
            "timestamp": moment(at),
            "data": {
                "referral_id": progress.id,
                "office_reference": progress.office_reference,
                "stage": position.stage.value if position.stage else None,
                "state": position.state.value if position.state else None,
                "previous_state": delivery.news.previous_state,
                "event_type": delivery.news.event_type,
                "event_id": delivery.news.event_id,
                "links": dict(links),
            },
        }
    )


def document_body(
    delivery: Delivery, progress: ReferralProgress, *, at: datetime, media_type: str, base64: str, kind: str
) -> bytes:
    """A document for an endpoint that has agreed to get content."""
    document = delivery.document
    assert document is not None
    return _json(
        {
            "type": DOCUMENT_DELIVERED,
            "timestamp": moment(at),
            "data": {
                "referral_id": progress.id,
                "office_reference": progress.office_reference,
                "event_id": delivery.news.event_id,
                "document": {
                    "id": document.id,
                    "version": document.version,
                    "sha256": document.sha256,
                    "kind": kind,
                },
                "content": {"media_type": media_type, "base64": base64},
            },
        }
    )


def test_event(endpoint_id: str, *, at: datetime) -> bytes:
    """What a test of an endpoint sends."""
    return _json({"type": "webhook.test", "timestamp": moment(at), "data": {"endpoint_id": endpoint_id}})


test_event.__test__ = False  # type: ignore[attr-defined]


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
