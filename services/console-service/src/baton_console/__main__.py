"""`python -m baton_console`: this service as a process of its own."""

from __future__ import annotations

from baton_chassis.serving import main
from baton_console.app import build
from baton_console.settings import Settings
from baton_console.stream import CONSOLE

main(build, Settings, name=CONSOLE)
