"""Logs."""
from typing import Any
import structlog
def get(name: str) -> Any:
    return structlog.get_logger(name)
