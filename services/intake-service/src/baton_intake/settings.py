"""What can be set about intake from the environment: nothing of its own yet."""

from __future__ import annotations

from baton_chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """The settings every service has."""
