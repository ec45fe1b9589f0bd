"""The knobs of console: so far those of the chassis."""

from __future__ import annotations

from baton_chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """What console reads from its environment."""
