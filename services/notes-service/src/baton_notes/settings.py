"""The knobs of notes: so far those of the chassis."""

from __future__ import annotations

from baton_chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """What notes reads from its environment."""
