"""HL7 v2: a tolerant reader of what systems really send, writers of what they expect back, and MLLP
framing.
"""

from baton_formats.declaration import MessageMapping
from baton_formats.hl7v2 import mllp, write
from baton_formats.hl7v2.appointment import APPOINTMENT
from baton_formats.hl7v2.bodies import BODY, Body, Limits, RawMessage, split_body
from baton_formats.hl7v2.document import DOCUMENT, REPORT
from baton_formats.hl7v2.header import ACKNOWLEDGEMENT, ENVELOPE
from baton_formats.hl7v2.parts import COVERAGE
from baton_formats.hl7v2.patient import PATIENT
from baton_formats.hl7v2.reader import read
from baton_formats.hl7v2.referral import ORDER, REFERRAL
from baton_formats.hl7v2.visit import ARRIVAL, CHANGE

MAPPINGS: tuple[MessageMapping, ...] = (
    BODY,
    ENVELOPE,
    PATIENT,
    REFERRAL,
    ORDER,
    APPOINTMENT,
    ARRIVAL,
    CHANGE,
    DOCUMENT,
    REPORT,
    COVERAGE,
    ACKNOWLEDGEMENT,
)
"""Every field this reader reads: the tables that drive it, and the mapping page."""

__all__ = ["MAPPINGS", "Body", "Limits", "RawMessage", "mllp", "read", "split_body", "write"]
