"""What several test files share: the folder of published samples, and an own C-CDA document."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3].parent / "shared" / "data"

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc">
  <templateId root="2.16.840.1.113883.10.20.22.1.1"/>{templates}
  <id root="2.16.840.1.113883.19.77" extension="D-1"/>
  <code code="57133-1" codeSystem="2.16.840.1.113883.6.1" displayName="Referral note"/>
  <title>Referral</title>
  <effectiveTime value="202603021015-0500"/>
  <recordTarget><patientRole>{ids}{telecom}
    <addr use="HP"><streetAddressLine>1 Sample Road</streetAddressLine><city>Exampleton</city>
      <state>OR</state><postalCode> 97000 </postalCode></addr>
    <patient>{name}<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>{birth}</patient>
    </patientRole></recordTarget>
  {author}
  <custodian><assignedCustodian><representedCustodianOrganization>
    <id root="2.16.840.1.113883.19.78"/><name>Sample Clinic</name>
    </representedCustodianOrganization></assignedCustodian></custodian>
  {more}
  <component>{body}</component>
</ClinicalDocument>"""

_PARTS = {
    "templates": '<templateId root="2.16.840.1.113883.10.20.22.1.14"/>',
    "ids": '<id root="2.16.840.1.113883.19.79" extension="42"/>',
    "telecom": '<telecom value="tel:+1-555-0100" use="MC"/>',
    "name": '<name use="L"><given>Ada</given><family>Testperson</family></name>',
    "birth": '<birthTime value="19700102"/>',
    "author": (
        '<author><time value="20260302"/><assignedAuthor>'
        '<id root="2.16.840.1.113883.4.6" extension="1234567893"/>'
        "<assignedPerson><name><given>Grace</given><family>Sampledoctor</family></name></assignedPerson>"
        "<representedOrganization><name>Sample Clinic</name></representedOrganization>"
        "</assignedAuthor></author>"
    ),
    "more": "",
    "body": (
        '<structuredBody><component><section><code code="42349-1" codeSystem="2.16.840.1.113883.6.1"/>'
        "<title>Reason for Referral</title><text>Please look at the left knee.</text></section></component>"
        "</structuredBody>"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def settled_memory() -> Iterator[None]:
    """What earlier tests left is not searched for garbage while these measure their time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of published messages; tests that need it are skipped where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip(f"the folder of published samples is absent: {SAMPLES}")
    return SAMPLES


@pytest.fixture(scope="session")
def clinical_document() -> Callable[..., bytes]:
    """Makes a whole, plain referral note about Ada Testperson; each part can be given another text."""

    def make(**parts: str) -> bytes:
        return _HEAD.format(**(_PARTS | parts)).encode()

    return make
