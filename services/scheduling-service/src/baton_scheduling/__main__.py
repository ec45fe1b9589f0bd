"""`python -m baton_scheduling`: this service as a process of its own."""

from __future__ import annotations

from baton_chassis.serving import main
from baton_contracts.topics import SCHEDULING
from baton_scheduling.app import build
from baton_scheduling.settings import Settings

main(build, Settings, name=SCHEDULING)
