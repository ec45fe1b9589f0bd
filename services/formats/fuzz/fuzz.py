"""Runs one target under a coverage-guided fuzzer: ``fuzz.py TARGET SECONDS FOLDER [SEEDS]``.

Needs the package `atheris`. Seeds are read where they lie; what the fuzzer finds worth keeping, the inputs
that broke a reader (once for each place in the code) and the last line of figures are written to FOLDER.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import sys
import time
import traceback
from pathlib import Path

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

with atheris.instrument_imports(include=["baton_formats"]):
    from targets import TARGETS, Target  # type: ignore[import-not-found,unused-ignore]

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data"


class Campaign:
    """One run: counts executions, keeps the first input of each different failure, remembers the slowest."""

    def __init__(self, target: Target, folder: Path, seconds: int) -> None:
        self._target = target
        self._folder = folder
        self._started = time.monotonic()
        self._seconds = seconds
        self.executions = 0
        self.slowest_ms = 0.0
        self.failures: dict[str, str] = {}

    def one(self, body: bytes) -> None:
        """Throws one input at the target. A failure is written down and the run goes on."""
        self.executions += 1
        started = time.process_time()
        try:
            self._target.run(body)
        except (Exception, RecursionError) as error:  # the run must go on to find the next one
            self._keep(body, error)
        ms = (time.process_time() - started) * 1000
        if ms > self.slowest_ms:
            self.slowest_ms = ms
            (self._folder / "slowest").write_bytes(body)
        if time.monotonic() - self._started > self._seconds:
            self._end()

    def _end(self) -> None:
        """Writes the figures and leaves: the fuzzer itself would end without a word to Python."""
        seconds = time.monotonic() - self._started
        figures = {
            "target": self._target.name,
            "seconds": round(seconds),
            "executions": self.executions,
            "per_second": round(self.executions / seconds),
            "slowest_cpu_ms": round(self.slowest_ms, 1),
            "failures": self.failures,
        }
        (self._folder / "figures.json").write_text(json.dumps(figures) + "\n")
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
        os._exit(1 if self.failures else 0)

    def _keep(self, body: bytes, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno} {last.name}"
        if place in self.failures:
            return
        name = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.failures[place] = name
        (self._folder / f"failure-{name}").write_bytes(body)
        (self._folder / f"failure-{name}.txt").write_text("".join(traceback.format_exception(error)))

    def mutate(self, body: bytes, max_size: int, seed: int) -> bytes:
        """Half of the time by bytes, else by tokens, so that what must be well-formed stays so more often."""
        source = random.Random(seed)
        pieces = re.findall(rb"(?s)(?:%s)|(?:(?!%s).)+" % (self._target.tokens, self._target.tokens), body)
        if source.random() < 0.5 or len(pieces) < 3:
            return bytes(atheris.Mutate(body, max_size))
        for _ in range(source.randrange(1, 5)):
            _change(pieces, source)
        return b"".join(pieces)[:max_size]


def _change(pieces: list[bytes], source: random.Random) -> None:
    first, second = sorted(source.randrange(len(pieces)) for _ in range(2))
    match source.randrange(5):
        case 0:
            del pieces[first : min(second, first + 20)]
            pieces.append(b"")
        case 1:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        case 2:
            pieces[first:first] = pieces[first : min(second, first + 20)] * source.randrange(1, 4)
        case 3:
            pieces[first] = pieces[second]
        case _:
            pieces[first] = bytes(atheris.Mutate(pieces[first], len(pieces[first]) + 8))


def seeds(target: Target, samples: Path) -> list[Path]:
    """The published files of the target that are no longer than its inputs."""
    found = [
        path for pattern in target.folders for folder in samples.glob(pattern) for path in folder.rglob("*")
    ]
    wanted = [path for path in found if path.is_file() and path.name != "SOURCE.md"]
    fitting = [path for path in wanted if path.stat().st_size <= target.max_len]
    return [path for path in fitting if not target.suffixes or path.suffix in target.suffixes]


def main() -> None:
    """Runs until the time is over and prints one JSON line of figures."""
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = TARGETS[name]
    samples = Path(sys.argv[4]) if len(sys.argv) > 4 else SAMPLES
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "seeds").mkdir(exist_ok=True)
    for number, path in enumerate(seeds(target, samples)):
        link = folder / "seeds" / f"{number:04d}"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    campaign = Campaign(target, folder, seconds)
    arguments = [
        sys.argv[0],
        str(folder / "corpus"),
        str(folder / "seeds"),
        f"-max_total_time={seconds + 60}",
        f"-max_len={target.max_len}",
        "-timeout=20",
        "-rss_limit_mb=3000",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup(arguments, campaign.one, custom_mutator=campaign.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
