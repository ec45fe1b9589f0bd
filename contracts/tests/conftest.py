"""Shared by the tests of the contracts: where the outside vectors lie, and the line that counts them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is slow, not wrong: no deadline for one example, no complaint about slow generation.
settings.register_profile("contracts", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("contracts")

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "data" / "vectors" / "vectors.tsv"


@pytest.fixture
def contracts_root() -> Path:
    """The folder of this package, where generated files are committed."""
    return Path(__file__).parents[1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector_line" not in metafunc.fixturenames:
        return
    if not VECTORS.exists():
        skipped = pytest.mark.skip(reason=f"no lifecycle vectors at {VECTORS}")
        metafunc.parametrize("vector_line", [pytest.param("", marks=skipped, id="absent")])
        return
    head, *rows = VECTORS.read_text(encoding="utf-8").splitlines()
    metafunc.parametrize(
        "vector_line", [pytest.param(f"{head}\n{row}", id=row.partition("\t")[0]) for row in rows]
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "vector" and report.when == "call"
    ]
    if passed:
        unverified = passed.count("unverified")
        terminalreporter.write_line(f"VECTORS passed={len(passed) - unverified} unverified={unverified}")
