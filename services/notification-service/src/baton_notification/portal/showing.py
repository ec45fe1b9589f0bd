"""What the page shows: the same facts as HTML for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from baton_chassis.content import Content
from baton_chassis.practices import Practices
from baton_notification.channels import wording
from baton_notification.channels.rendering import templates
from baton_notification.domain.access import CODE_LASTS
from baton_notification.domain.acknowledgement import Acknowledgement
from baton_notification.domain.office import Office
from baton_notification.domain.progress import SignedDocument
from baton_notification.handlers.views import moment
from baton_notification.portal.visits import Visit

_KINDS: Final = {
    "final": "Final note",
    "interim": "Interim note",
    "addendum": "Addendum",
    "corrected": "Corrected note",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything that one look at the page may show. ``patient`` and documents only after a code."""

    visit: Visit
    office: Office | None
    patient: Mapping[str, Any] | None
    acknowledgements: Sequence[Acknowledgement]

    @property
    def documents(self) -> tuple[SignedDocument, ...]:
        """The documents that may be shown."""
        return self.visit.progress.documents if self.visit.identified else ()


def page_as_json(shown: Shown) -> dict[str, Any]:
    """The page for programs."""
    progress = shown.visit.progress
    position, step = progress.position, progress.next_step()
    page: dict[str, Any] = {
        "reference": progress.office_reference,
        "stage": position.stage.value if position.stage else None,
        "state": position.state.value if position.state else None,
        "steps": [{"stage": stage.value, "at": moment(at)} for stage, at in progress.steps()],
        "next": {"code": step.code, "who": step.who, "at": moment(step.at), "text": wording.next_text(step)},
        "documents": [
            {"id": one.document.id, "version": one.document.version, "kind": one.kind}
            for one in shown.documents
        ],
        "questions": [],
        "identified": shown.visit.identified,
        "documents_waiting": 0 if shown.visit.identified else len(progress.documents),
        "acknowledged": [
            {"at": moment(one.at), "covers": "documents" if one.documents else "notice"}
            for one in shown.acknowledgements
        ],
    }
    if shown.patient is not None:
        page["patient"] = {name: shown.patient.get(name) for name in ("name", "birth_date")}
    return page


def patient_of(card: Content) -> Mapping[str, Any]:
    """The patient in a card that was fetched; an empty one when it cannot be read."""
    try:
        read = json.loads(card.body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


class Pages:
    """The HTML of the page and its forms. Works without scripts; every text is escaped."""

    def __init__(self, practices: Practices) -> None:
        self._practices = practices
        self._templates = templates()

    def page(self, shown: Shown) -> str:
        """The page itself."""
        progress = shown.visit.progress
        step, zone = progress.next_step(), self._zone(shown)
        return self._render(
            "page",
            shown.visit.practice_id,
            handle=shown.visit.link.handle,
            reference=progress.office_reference,
            state=wording.STATES[progress.position.state] if progress.position.state else None,
            steps=[
                {"name": wording.STAGES[stage], "date": _date(at, zone), "iso": moment(at), "done": done}
                for (stage, at), done in zip(progress.steps(), _done(shown), strict=True)
            ],
            next={"text": wording.next_text(step), "date": _time(step.at, zone), "iso": moment(step.at)},
            identified=shown.visit.identified,
            patient=_person(shown.patient),
            documents=[
                {
                    "id": one.document.id,
                    "version": one.document.version,
                    "kind": _KINDS.get(one.kind, "Document"),
                    "date": _date(one.signed_at, zone),
                    "iso": moment(one.signed_at),
                }
                for one in shown.documents
            ],
            waiting=len(progress.documents),
            shown_versions=" ".join(f"{one.document.id}:{one.document.version}" for one in shown.documents),
            confirmed=_confirmed(shown, zone),
        )

    def code(self, practice_id: str | None, handle: str, *, wrong: bool = False) -> str:
        """Where a code is typed in. The same for every handle."""
        minutes = int(CODE_LASTS.total_seconds() // 60)
        return self._render("code", practice_id, handle=handle, wrong=wrong, minutes=minutes)

    def document(self, visit: Visit, signed: SignedDocument, text: str) -> str:
        """A note that is plain text, fit to be read and printed."""
        return self._render(
            "document",
            visit.practice_id,
            handle=visit.link.handle,
            reference=visit.progress.office_reference,
            kind=_KINDS.get(signed.kind, "Document"),
            version=signed.document.version,
            text=text,
        )

    def problem(self, title: str, text: str) -> str:
        """Why something was not done."""
        return self._render("problem", None, title=title, text=text)

    def _render(self, name: str, practice_id: str | None, **words: Any) -> str:
        practice = self._practices.name(practice_id) if practice_id is not None else None
        phone = self._practices.phone(practice_id) if practice_id is not None else None
        return self._templates.get_template(f"{name}.html.j2").render(practice=practice, phone=phone, **words)

    def _zone(self, shown: Shown) -> ZoneInfo:
        """The office's own time zone, else the practice's."""
        practice = self._practices.find(shown.visit.practice_id)
        stated = shown.office.time_zone if shown.office is not None else None
        return ZoneInfo(stated or (practice.time_zone if practice is not None else "UTC"))


def _done(shown: Shown) -> list[bool]:
    """Which stages lie behind: all up to the one reached, with or without a date."""
    stage = shown.visit.progress.position.stage
    stages = [one for one, _ in shown.visit.progress.steps()]
    reached = stages.index(stage) if stage is not None else -1
    return [place <= reached for place in range(len(stages))]


def _confirmed(shown: Shown, zone: ZoneInfo) -> dict[str, Any] | None:
    """The last confirmation that still covers what there is: all documents, or the stage reached."""
    progress = shown.visit.progress
    current = {one.document for one in progress.documents}
    reached = max(progress.reached.values(), default=None)
    for one in reversed(shown.acknowledgements):
        covers = current <= set(one.documents) if current else reached is None or one.at >= reached
        if covers:
            return {"date": _time(one.at, zone), "iso": moment(one.at), "documents": bool(one.documents)}
    return None


def _person(patient: Mapping[str, Any] | None) -> dict[str, str] | None:
    if not patient:
        return None
    name = patient.get("name") or {}
    full = " ".join([*(name.get("given") or []), name.get("family") or ""]).strip()
    return {"name": full, "born": str(patient.get("birth_date") or "")}


def _date(at: datetime | None, zone: ZoneInfo) -> str | None:
    return at.astimezone(zone).strftime("%b %-d, %Y") if at is not None else None


def _time(at: datetime | None, zone: ZoneInfo) -> str | None:
    return at.astimezone(zone).strftime("%a, %b %-d, %Y, %-I:%M %p %Z") if at is not None else None
