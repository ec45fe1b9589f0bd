"""The declared tables are the whole truth: each field in them is read, each finding raised is in them."""

import dataclasses
import re
from pathlib import Path

import pytest

import baton_formats.hl7v2
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import FACT_TYPES
from baton_formats.findings import Envelope
from baton_formats.hl7v2 import MAPPINGS
from baton_formats.hl7v2.view import place_of

SOURCE = Path(baton_formats.hl7v2.__file__).parent
TYPES: dict[str, type] = {fact.kind: fact for fact in FACT_TYPES} | {"envelope": Envelope}
NOTED = re.compile(r'(?:\.note\(|Finding\(|_finding\()\s*"([a-z0-9-]+)"')
# A code handed on to a function that raises it, never one in a table (those stand alone or after a bracket).
INDIRECT = re.compile(r'(?:batch, |raw, |code = )"([a-z0-9-]+)"|(?:else )"(charset-[a-z]+)"')

fields = [(mapping, field) for mapping in MAPPINGS for field in mapping.fields]


def raised() -> set[str]:
    return {code for path in SOURCE.glob("*.py") for code in NOTED.findall(path.read_text())}


@pytest.mark.parametrize(("mapping", "field"), fields, ids=lambda part: getattr(part, "target", None))
def test_every_place_is_a_field_and_every_target_a_part_of_the_fact(
    mapping: MessageMapping, field: FieldMapping
) -> None:
    for place in (field.path, *field.also):
        place_of(place)
    if mapping.fact in TYPES:
        assert field.target in {part.name for part in dataclasses.fields(TYPES[mapping.fact])}
        assert field.read is not None or mapping.fact == "envelope"


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.fact)
def test_no_field_is_declared_twice(mapping: MessageMapping) -> None:
    targets = [field.target for field in mapping.fields]
    assert len(targets) == len(set(targets))


def test_every_finding_that_can_be_raised_is_named_in_a_table() -> None:
    named = {code for _, field in fields for code in field.findings}
    assert raised() - named == set()


def test_no_table_names_a_finding_that_nothing_raises() -> None:
    named = {code for _, field in fields for code in field.findings}
    quoted = {
        code for path in SOURCE.glob("*.py") for match in INDIRECT.findall(path.read_text()) for code in match
    }
    assert named - raised() - quoted == set()
