"""`python -m baton_notification`: this service as a process of its own."""

from __future__ import annotations

from baton_chassis.serving import main
from baton_contracts.topics import NOTIFICATION
from baton_notification.app import build
from baton_notification.settings import Settings

main(build, Settings, name=NOTIFICATION)
