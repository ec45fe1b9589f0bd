"""`python -m baton_intake`: this service as a process of its own."""

from __future__ import annotations

from baton_chassis.serving import main
from baton_contracts.topics import INTAKE
from baton_intake.app import build
from baton_intake.settings import Settings

main(build, Settings, name=INTAKE)
