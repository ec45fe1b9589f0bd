"""A small demo practice, played through the real doors of the running node; obviously invented people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

SYSTEM = "urn:example:demo-pms"


@dataclass(frozen=True, slots=True)
class Story:
    """One referral of the demo: who, from where, why, and how far it goes."""

    number: int
    family: str
    given: str
    office: str
    question: str
    steps: tuple[str, ...] = ()
    priority: str = "routine"


STORIES = (
    Story(1, "Testperson", "Ada", "Hillside Family Practice",
          "Is stress testing needed before knee surgery?", ("accept", "book", "complete", "note")),
    Story(2, "Exämple", "Björn", "Hillside Family Practice",
          "Please take over the titration of anticoagulation.", ("accept", "book"), "urgent"),
    Story(3, "Sample", "Chidi", "Oak Street Pediatrics", "Murmur on examination: innocent?", ("accept",)),
    Story(4, "Placeholder", "Dana", "Oak Street Pediatrics", "Palpitations after coffee.", ("decline",)),
    Story(5, "Invented", "Emre", "Lakeview Internal Medicine", "Second opinion on ablation.", ()),
)  # fmt: skip


@dataclass
class Demo:
    """Plays the stories. Playing them again changes nothing: things are known by the names their sender gave
    them, and a step that was done is refused as done.
    """

    client: httpx.AsyncClient
    today: datetime
    headers: Mapping[str, str] = field(default_factory=dict)

    async def play(self) -> str:
        """All stories; gives the id of the first referral."""
        ids = [await self._play(story) for story in STORIES]
        return ids[0]

    async def _play(self, story: Story) -> str:
        referral_id = str((await self._post("/v1/referrals", _referral(story, self.today)))["id"])
        appointment_id = ""
        for step in story.steps:
            if step == "accept":
                await self._post(f"/v1/referrals/{referral_id}/accept", {})
            elif step == "decline":
                body = {"reason": "wrong_service", "text": "Please see primary care first."}
                await self._post(f"/v1/referrals/{referral_id}/decline", body)
            elif step == "book":
                booked = await self._post("/v1/appointments", _appointment(story, self.today))
                appointment_id = str(booked["id"])
            elif step == "complete":
                await self._post(f"/v1/appointments/{appointment_id}/complete", {})
            else:
                await self._post("/v1/notes", _note(story))
        return referral_id

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(path, json=body, headers=dict(self.headers))
        if answer.status_code != _DONE_ALREADY:
            answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


_DONE_ALREADY = 409


def _referral(story: Story, today: datetime) -> dict[str, Any]:
    mailbox = story.office.lower().replace(" ", "-")
    return {
        "source": {"system": SYSTEM, "id": f"R-{1000 + story.number}"},
        "priority": story.priority,
        "specialty": {
            "system": "http://nucc.org/provider-taxonomy",
            "code": "207RC0000X",
            "display": "Cardiovascular Disease",
        },
        "question": story.question,
        "requested_disposition": "written_report",
        "patient": {
            "identifiers": [{"system": "urn:example:mrn", "value": f"DEMO-{story.number}"}],
            "name": {"family": story.family, "given": [story.given]},
            "birth_date": f"19{60 + story.number}-0{story.number}-1{story.number}",
        },
        "referrer": {
            "office": {
                "name": story.office,
                "telecom": [{"system": "email", "value": f"desk@{mailbox}.example"}],
            },
            "reference": f"HF-{200 + story.number}",
        },
        "authored_at": today.isoformat(),
    }


def _appointment(story: Story, today: datetime) -> dict[str, Any]:
    days = -1 if "complete" in story.steps else story.number
    start = (today + timedelta(days=days)).replace(hour=14, minute=30, second=0, microsecond=0)
    return {
        "referral": {"system": SYSTEM, "id": f"R-{1000 + story.number}"},
        "source": {"system": SYSTEM, "id": f"A-{1000 + story.number}"},
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=40)).isoformat(),
        "clinician": {"npi": "1234567893", "name": {"family": "Demo", "given": ["Grace"]}},
        "location": {"name": "Riverside, room 4"},
    }


def _note(story: Story) -> dict[str, Any]:
    return {
        "referral": {"system": SYSTEM, "id": f"R-{1000 + story.number}"},
        "source": {"system": SYSTEM, "id": f"N-{1000 + story.number}"},
        "kind": "final",
        "signed": {"by": "Grace Demo, MD", "at": datetime.now(UTC).isoformat()},
        "content": {
            "media_type": "text/plain",
            "text": "Exercise test normal at 10 METs.\nNo further testing is needed before surgery.\n",
        },
        "answer": "No further testing is needed.",
        "plan": [{"who": "referrer", "what": "Proceed with surgery; continue the statin.", "by": ""}],
        "disposition": "care_returned",
    }
