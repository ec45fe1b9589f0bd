"""The knobs of scheduling: so far those of the chassis."""

from __future__ import annotations

from baton_chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """What scheduling reads from its environment."""
