"""Lines of product and of tests by member: blank lines and comment lines left out."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def lines(folder: Path) -> int:
    """Lines of Python below ``folder`` that say something."""
    total = 0
    for file in folder.rglob("*.py"):
        if "migrations" in file.parts or "__pycache__" in file.parts:
            continue
        total += sum(
            1 for line in file.read_text().splitlines() if line.strip() and not line.strip().startswith("#")
        )
    return total


def main() -> None:
    """Print the table."""
    members = [ROOT / "contracts", *sorted((ROOT / "services").iterdir()), ROOT / "deploy" / "embedded"]
    rows = [(str(m.relative_to(ROOT)), lines(m / "src"), lines(m / "tests")) for m in members if m.is_dir()]
    rows.append(("tests", 0, lines(ROOT / "tests")))
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for name, product, tests in rows:
        print(f"{name:32} product {product:6}  tests {tests:6}")


if __name__ == "__main__":
    main()
