"""Shared by the tests of the lifecycle: a way to tell a story and see where the referral stands."""

from collections.abc import Callable, Sequence

import pytest

from baton_contracts.conformance.steps import Run, Step, run
from baton_contracts.conformance.vectors import given_facts
from baton_contracts.lifecycle import NATIVE, PartnerProfile

Tell = Callable[..., Run]


@pytest.fixture
def story() -> Tell:
    """`story("scheduled", step, ...)`: what became of a referral in this state after these steps."""

    def told(given: str, *steps: Step | Sequence[Step], profile: PartnerProfile = NATIVE) -> Run:
        (facts,) = given_facts(given)
        return run(facts, _flat(steps), profile)

    return told


def _flat(steps: Sequence[Step | Sequence[Step]]) -> list[Step]:
    return [one for step in steps for one in (step if isinstance(step, Sequence) else [step])]
