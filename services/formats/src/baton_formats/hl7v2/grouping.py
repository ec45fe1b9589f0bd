"""Segments grouped by their nearest parent, not by the grammar of the version they claim."""

from __future__ import annotations

from baton_formats.hl7v2.segments import Segment
from baton_formats.hl7v2.view import View

MAX_GROUPS = 2000
# Segments that belong to the whole message wherever they stand.
_COMMON_NAMES = """
MSH SFT UAC MSA ERR EVN PID PD1 ARV MRG NK1 PV1 PV2 GT1 IN1 IN2 IN3 ACC AL1 IAM RF1 AUT PRD SCH ROL
"""
_COMMON = frozenset(_COMMON_NAMES.split())
_NO_OWNER = frozenset(("NTE", "PRT", "TQ1", "TQ2"))


def patient_groups(view: View) -> list[View]:
    """One view per PID with what follows it; what stands before the first belongs to all (ORU: HL7 v2.5.1
    7.3.1, PATIENT_RESULT repeats).
    """
    if len(view.all("PID")) < 2:
        return [view]
    common: list[Segment] = []
    groups: list[list[Segment]] = []
    for segment in view.segments:
        if segment.id == "PID":
            groups.append([])
        (groups[-1] if groups else common).append(segment)
    context = view.apart(common)
    if len(groups) > MAX_GROUPS:
        view.note("too-many-groups", "PID", f"only the first {MAX_GROUPS} groups were made into facts")
    return [view.apart(group, context=context) for group in groups[:MAX_GROUPS]]


def document_groups(view: View) -> list[View]:
    """One view per TXA with the OBX that follow it, where there are several; the rest belongs to all."""
    if sum(segment.id == "TXA" for segment in view.segments) < 2:
        return [view]
    common: list[Segment] = []
    groups: list[list[Segment]] = []
    early: list[Segment] = []
    for segment in view.segments:
        if segment.id == "TXA":
            groups.append([segment])
        elif segment.id not in ("OBX", "NTE", "PRT", "CON"):
            common.append(segment)
        else:
            (groups[-1] if groups else early).append(segment)
    groups[0] += early
    return _views(view, common, groups)


def order_groups(view: View) -> list[View]:
    """One view per order: ORC with its OBR and what follows. A second OBR shares the ORC before it.

    Diagnoses and notes before the first order belong to all; a message without orders is one group.
    """
    common = [segment for segment in view.segments if segment.id in _COMMON]
    groups: list[list[Segment]] = []
    before: list[Segment] = []
    control: list[Segment] = []
    for segment in view.segments:
        if segment.id in _COMMON:
            continue
        if segment.id == "ORC":
            control = [segment]
            groups.append([segment])
        elif segment.id == "OBR" and (not groups or any(known.id == "OBR" for known in groups[-1][:2])):
            groups.append([*control, segment])
        elif groups:
            groups[-1].append(segment)
        else:
            before.append(segment)
    shared = [segment for segment in before if segment.id in ("DG1", "NTE")]
    outside = sorted(common + shared, key=lambda segment: segment.position)
    return _views(view, outside, groups or [before])


def resource_groups(view: View) -> list[View]:
    """One view per RGS with its services, people, places and equipment; without RGS everything is one
    group.
    """
    common: list[Segment] = []
    groups: list[list[Segment]] = []
    inside = False
    for segment in view.segments:
        if segment.id == "RGS":
            groups.append([])
            inside = True
        elif segment.id in _COMMON or not inside:
            common.append(segment)
        else:
            groups[-1].append(segment)
    return _views(view, common, [group for group in groups if group] or [[]])


def _views(view: View, common: list[Segment], groups: list[list[Segment]]) -> list[View]:
    context = view.narrowed(common)
    if len(groups) > MAX_GROUPS:
        view.note("too-many-groups", "ORC", f"only the first {MAX_GROUPS} groups were made into facts")
    return [view.narrowed(group, context=context) for group in groups[:MAX_GROUPS]]


def notes_after(view: View, owners: frozenset[str]) -> list[Segment]:
    """The NTE segments whose nearest segment before is one of ``owners``."""
    found = []
    owner = ""
    for segment in view.segments:
        if segment.id == "NTE" and owner in owners:
            found.append(segment)
        elif segment.id not in _NO_OWNER:
            owner = segment.id
    return found
