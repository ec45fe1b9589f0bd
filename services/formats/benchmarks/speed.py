"""How fast the readers are beside others on the same files in one run, what memory they take, how they grow.

``python services/formats/benchmarks/speed.py [--rounds N] [--hapi COMMAND] [FOLDER]``. FOLDER defaults to
``../shared/data`` beside the repository, COMMAND to ``../shared/judges/run hl7v2 parse -`` (it reads file
names on standard input and ends with ``parses=N total_ms=M`` on standard error). Every figure is the best of
N rounds (7) in processor time, the rounds of those compared taken in turn, so that a busy machine slows all
alike; only HAPI's is time on the wall.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hl7 as bare_hl7
import orjson
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

from baton_formats import ccda, fhir, hl7v2
from baton_formats.findings import Outcome

_SHARED: Final = Path(__file__).resolve().parents[4] / "shared"
_TEXT_OF_5_MB: Final = 5_000_000

Read = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to read the same bodies."""

    name: str
    read: Callable[[Any], object]
    bodies: Sequence[Any]


def best(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Seconds of processor time for all bodies, the best round of each."""
    found = {one.name: float("inf") for one in contenders}
    for _ in range(rounds):
        for one in contenders:
            started = time.process_time()
            for body in one.bodies:
                one.read(body)
            found[one.name] = min(found[one.name], time.process_time() - started)
    return found


def compare(title: str, contenders: Sequence[Contender], rounds: int) -> list[str]:
    """A line for each contender: milliseconds, and how often as long the first one takes."""
    seconds = best(contenders, rounds)
    ours = seconds[contenders[0].name]
    size = sum(len(body) for body in contenders[0].bodies)
    lines = [f"{title}: {len(contenders[0].bodies)} files, {size / 1000:.0f} kB"]
    for one in contenders:
        spent = seconds[one.name]
        lines.append(f"  {one.name:<44} {spent * 1000:9.2f} ms   ours takes {ours / spent:6.2f} times that")
    return lines


def _bodies(paths: Sequence[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def _normalised(body: bytes) -> str:
    """What the bare library needs: text, bare CR, no mark."""
    text = body.decode("utf-8-sig", "replace").replace("\r\n", "\r").replace("\n", "\r")
    return text.strip() + "\r"


def _bare_reads(text: str) -> bool:
    try:
        return len(bare_hl7.parse(text)) == len([line for line in text.split("\r") if line.strip()])
    except Exception:  # whatever it raises, the file is left out of the comparison
        return False


def hl7v2_paths(samples: Path) -> list[Path]:
    """The published files with one message that the bare library reads whole once they are cleaned up."""
    found = sorted(path for folder in samples.glob("hl7v2-*") for path in folder.rglob("*.hl7"))
    single = [path for path in found if len(re.findall(rb"(?m)(?:^|\r)MSH", path.read_bytes())) == 1]
    return [path for path in single if _bare_reads(_normalised(path.read_bytes()))]


def hl7v2_lines(samples: Path, rounds: int) -> list[str]:
    """HL7 v2: bytes to facts beside the bare library's parse of text that was cleaned up for it."""
    bodies = _bodies(hl7v2_paths(samples))
    return compare(
        "HL7 v2",
        [
            Contender("ours, bytes to facts", hl7v2.read, bodies),
            Contender("hl7 parse, cleaned text", bare_hl7.parse, [_normalised(body) for body in bodies]),
        ],
        rounds,
    )


def hapi_lines(samples: Path, command: Sequence[str], rounds: int) -> list[str]:
    """HAPI's parse, the mean of its generic and typed models, beside ours on the same files."""
    paths = hl7v2_paths(samples)
    names = "\n".join(str(path) for path in paths) + "\n"
    try:
        spent = [_hapi_seconds(command, names * passes) for passes in (20, 80)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return [f"HAPI: not measured ({type(error).__name__})"]
    (fewer, cold), (more, warm) = spent
    each = (warm - cold) / (more - fewer)
    bodies = _bodies(paths)
    ours = best([Contender("ours", hl7v2.read, bodies)], rounds)["ours"] / len(bodies)
    return [
        "HAPI HL7 v2 2.6.0, same files: parse only, no facts, 60 passes after 20 that warm it",
        f"  ours {ours * 1e6:.0f} µs a message to facts, HAPI {each * 1e6:.0f} µs a parse: "
        f"ours takes {ours / each:.2f} times that",
    ]


def _hapi_seconds(command: Sequence[str], names: str) -> tuple[int, float]:
    done = subprocess.run(list(command), input=names, capture_output=True, text=True, timeout=600, check=True)  # noqa: S603
    found = re.search(r"parses=(\d+) total_ms=(\d+)", done.stderr)
    if found is None:
        raise ValueError("no figures")
    return int(found.group(1)), int(found.group(2)) / 1000


_FHIR_FOLDERS: Final = ("fhir-bser", "fhir-r4-spec", "fhir-us-core", "fhir-sdoh-cc")


def _fhir_bodies(samples: Path, folders: Sequence[str]) -> list[bytes]:
    paths = sorted(path for name in folders for path in (samples / name).rglob("*.json"))
    bodies = _bodies(paths)
    return [body for body in bodies if fhir.read(body).outcome is not Outcome.REFUSED]


def _modelled(body: bytes) -> object:
    plain = orjson.loads(body)
    return get_fhir_model_class(plain["resourceType"]).model_validate(plain)


def _models(body: bytes) -> bool:
    try:
        _modelled(body)
    except Exception:  # whatever it raises, the file is left out of the comparison
        return False
    return True


def fhir_lines(samples: Path, rounds: int) -> list[str]:
    """FHIR: bytes to facts beside JSON alone, and beside the models of fhir.resources where those accept."""
    lines = []
    for title, folders in (
        ("FHIR, guides and specification", _FHIR_FOLDERS),
        ("FHIR, Synthea", ("fhir-synthea",)),
    ):
        bodies = [body for body in _fhir_bodies(samples, folders) if _models(body)]
        lines += compare(
            title,
            [
                Contender("ours, bytes to facts", fhir.read, bodies),
                Contender("json.loads", json.loads, bodies),
                Contender("orjson.loads", orjson.loads, bodies),
                Contender("fhir.resources R4B model_validate", _modelled, bodies),
            ],
            rounds,
        )
    every = _fhir_bodies(samples, sorted(folder.name for folder in samples.glob("fhir-*")))
    lines += compare(
        "FHIR, every accepted file",
        [Contender("ours, bytes to facts", fhir.read, every), Contender("json.loads", json.loads, every)],
        rounds,
    )
    return lines


def ccda_lines(samples: Path, rounds: int) -> list[str]:
    """C-CDA: bytes to facts beside lxml's tree alone."""
    paths = sorted(path for folder in samples.glob("ccda-*") for path in folder.iterdir())
    bodies = [body for body in _bodies(paths) if ccda.read(body).outcome is not Outcome.REFUSED]
    return compare(
        "C-CDA",
        [
            Contender("ours, bytes to facts", ccda.read, bodies),
            Contender("lxml fromstring", etree.fromstring, bodies),
        ],
        rounds,
    )


_CLINICAL = (
    '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="1"/><recordTarget><patientRole>'
    '<id root="1.2.3" extension="42"/><patient><name><given>Ada</given><family>Testperson</family></name>'
    '<birthTime value="19700102"/></patient></patientRole></recordTarget><component>{body}</component>'
    "</ClinicalDocument>"
)
_SECTIONS = "<structuredBody>{}</structuredBody>"
_ENTRY = (
    '<entry><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.2"/>'
    '<code code="1" codeSystem="2.16.840.1.113883.6.1"/><value unit="mg" value="2"/></observation></entry>'
)
_ROW = "<tr><td>Sample substance</td><td>2 mg once a day</td></tr>"


_PDF = '<text mediaType="application/pdf" representation="B64">{}</text>'


def _section(content: str) -> str:
    return f"<component><section>{content}</section></component>"


def document_shapes(size: int) -> dict[str, bytes]:
    """Documents of about so many bytes: entries, a long table, sections, embedded files, words."""
    noise = zlib.compress(bytes(range(256)) * 64)
    pdf = base64.b64encode((b"%PDF-1.4 " + noise * (size // len(noise) + 1))[: size * 3 // 4]).decode()
    words = "words of a sample " * (size // 18)
    table = f"<table><tbody>{_ROW * (size // len(_ROW))}</tbody></table>"
    section = _section(f"<title>Sample</title><text>{_ROW * 20}</text>{_ENTRY * 20}")
    bodies = {
        "entries": _SECTIONS.format(
            f"<component><section>{_ENTRY * (size // len(_ENTRY))}</section></component>"
        ),
        "one long table": _SECTIONS.format(_section(f"<text>{table}</text>")),
        "sections with text and entries": _SECTIONS.format(section * (size // len(section))),
        "embedded PDF": f"<nonXMLBody>{_PDF.format(pdf)}</nonXMLBody>",
        "words": _SECTIONS.format(_section(f"<text>{words}</text>")),
        "words and an emoji": _SECTIONS.format(_section(f"<text>{words}\U0001f600</text>")),
        "a reason in a CDATA section": _SECTIONS.format(
            _section(f'<code code="42349-1"/><text><![CDATA[\U0001f600{words}]]></text>')
        ),
        "tiny sections": _SECTIONS.format(_section("<title>a</title>") * (size // 60)),
        "embedded text": f'<nonXMLBody><text mediaType="text/plain">\U0001f600{words}</text></nonXMLBody>',
    }
    return {name: _CLINICAL.format(body=body).encode() for name, body in bodies.items()}


def memory_lines() -> list[str]:
    """Peak growth while a document of 5 MB is read, its result included, in multiples of the document."""
    lines = ["Memory, C-CDA of 5 MB: peak growth in multiples of the document (and seconds)"]
    ccda.read(document_shapes(10_000)["words"])
    for name, body in document_shapes(_TEXT_OF_5_MB).items():
        started = time.process_time()
        ccda.read(body)
        spent = time.process_time() - started
        tracemalloc.start()
        result = ccda.read(body)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        resident = _resident_growth(body)
        lines.append(
            f"  {name:<34} Python {peak / len(body):5.2f}   process {resident / len(body):5.2f}"
            f"   {spent:5.2f} s   {result.outcome.value}"
        )
    return lines


_CHILD: Final = """
import sys
from baton_formats import ccda

def resident(line):
    return next(int(one.split()[1]) for one in open("/proc/self/status") if one.startswith(line)) * 1024

body = sys.stdin.buffer.read()
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
result = ccda.read(body)
print(resident("VmHWM") - before)
"""


def _resident_growth(body: bytes) -> int:
    """Growth of the largest resident size of a fresh process, in bytes (Linux: /proc/PID/clear_refs)."""
    done = subprocess.run([sys.executable, "-c", _CHILD], input=body, capture_output=True, check=True)  # noqa: S603
    return int(done.stdout)


_MESSAGE: Final = (
    b"MSH|^~\\&|A|SAMPLE|B|C|20260302101500||ADT^A04|M1|P|2.5.1\rEVN||20260302101500\r"
    b"PID|1||42^^^SAMPLE^MR||Testperson^Ada||19700102|F\rPV1|1|O|R1^^^SAMPLE\r"
)


def _grown_hl7v2(times: int) -> bytes:
    head = "MSH|^~\\&|A|SAMPLE|B|C|20260302101500||ORU^R01|M1|P|2.5.1\r"
    head += "PID|1||42^^^SAMPLE^MR||Testperson^Ada\rOBR|1\r"
    return (head + "".join(f"OBX|{n}|TX|1^T||line \\T\\ {n}|||||F\r" for n in range(2000 * times))).encode()


def _grown_fhir(times: int) -> bytes:
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Testperson", "given": ["Ada"]}]}
    entries = [
        {
            "fullUrl": f"urn:uuid:{n}",
            "resource": {
                "resourceType": "ServiceRequest",
                "id": str(n),
                "status": "active",
                "intent": "order",
                "subject": {"reference": "Patient/p"},
                "code": {"text": f"sample {n}"},
            },
        }
        for n in range(300 * times)
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}, *entries]}
    return json.dumps(bundle).encode()


def _bare_parse(body: bytes) -> object:
    return bare_hl7.parse(_normalised(body))


def growth_lines(rounds: int) -> list[str]:
    """Time for ten times the size, in multiples of the time for one: 10 is linear.

    What others take for the same stands below, for more memory slows everyone.
    """
    shapes: dict[str, tuple[Read, bytes, bytes]] = {
        "HL7 v2, OBX lines": (hl7v2.read, _grown_hl7v2(1), _grown_hl7v2(10)),
        "   the bare hl7 library": (_bare_parse, _grown_hl7v2(1), _grown_hl7v2(10)),
        "HL7 v2, messages": (hl7v2.read, _MESSAGE * 100, _MESSAGE * 1000),
        "FHIR, Bundle entries": (fhir.read, _grown_fhir(1), _grown_fhir(10)),
        "   json.loads": (json.loads, _grown_fhir(1), _grown_fhir(10)),
    }
    small, large = document_shapes(500_000), document_shapes(5_000_000)
    shapes |= {f"C-CDA, {name}": (ccda.read, small[name], large[name]) for name in small}
    lines = ["Growth: time for ten times the size (10 is linear)"]
    for name, (read, one, ten) in shapes.items():
        seconds = best([Contender("one", read, [one]), Contender("ten", read, [ten])], rounds)
        lines.append(
            f"  {name:<38} {len(one) / 1000:7.0f} kB {seconds['one'] * 1000:8.2f} ms"
            f"   {len(ten) / 1000:7.0f} kB {seconds['ten'] * 1000:8.2f} ms"
            f"   {seconds['ten'] / seconds['one']:5.1f} times"
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Prints all figures; 0 unless the samples are absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=_SHARED / "data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hapi", nargs="+", default=[str(_SHARED / "judges" / "run"), "hl7v2", "parse", "-"])
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        sys.stdout.write(f"skipped: there is no folder {given.folder}\n")
        return 0
    parts: tuple[Callable[[], list[str]], ...] = (
        lambda: hl7v2_lines(given.folder, given.rounds),
        lambda: hapi_lines(given.folder, given.hapi, given.rounds),
        lambda: fhir_lines(given.folder, given.rounds),
        lambda: ccda_lines(given.folder, given.rounds),
        memory_lines,
        lambda: growth_lines(min(given.rounds, 3)),
    )
    for lines in parts:
        sys.stdout.write("\n".join(lines()) + "\n\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
