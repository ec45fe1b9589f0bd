"""`python -m baton_notes`: this service as a process of its own."""

from __future__ import annotations

from baton_chassis.serving import main
from baton_contracts.topics import NOTES
from baton_notes.app import build
from baton_notes.settings import Settings

main(build, Settings, name=NOTES)
