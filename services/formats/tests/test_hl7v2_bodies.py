"""A body is a stream of messages: wrappers, junk and line ends lose no segment and drop no message."""

import pytest

from baton_formats.findings import Outcome, ReadResult
from baton_formats.hl7v2 import Limits, read, split_body

HEAD = "MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||ADT^A04|{}|P|2.5"
PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"


def message(control: str = "1", *segments: str) -> str:
    return "\r".join((HEAD.format(control), *(segments or (PID,)))) + "\r"


def codes(result: ReadResult) -> list[str]:
    return [finding.code for finding in result.all_findings]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\n"])
def test_every_line_end_ends_a_segment(end: str) -> None:
    result = read(message().replace("\r", end).encode())
    assert [m.segments for m in result.messages] == [2]
    assert result.outcome is Outcome.ACCEPTED


def test_other_separators_of_unicode_lines_are_data() -> None:
    note = "one\x0btwo\x1cthree\x85four\u2028five"
    result = read(message("1", PID, f"NTE|1||{note}").encode())
    assert [m.segments for m in result.messages] == [3]


def test_a_byte_order_mark_is_skipped_and_noted() -> None:
    result = read(b"\xef\xbb\xbf" + message().encode())
    assert codes(result) == ["byte-order-mark"]
    assert result.facts


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_utf_16_body_is_read_as_such(codec: str) -> None:
    result = read(message().encode(codec))
    assert codes(result) == ["utf-16"]
    assert result.facts


@pytest.mark.parametrize("junk", ["[SOM]", "hello\r\n", "\x0b", "   \r\n", "### export ###\n"])
def test_text_before_the_first_message_is_skipped(junk: str) -> None:
    result = read((junk + message()).encode())
    assert [m.segments for m in result.messages] == [2]
    assert ("junk-before-message" in codes(result)) == bool(junk.strip("\x0b \r\n"))


def test_markers_after_the_last_segment_are_no_part_of_it() -> None:
    result = read((message().rstrip("\r") + "[EOM][CR]").encode())
    assert codes(result) == ["junk-after-message"]
    assert getattr(result.facts[0].patient, "gender", None) == "female"  # type: ignore[union-attr]


def test_framed_messages_in_a_file_are_read_one_by_one() -> None:
    framed = b"".join(b"\x0b" + message(str(n)).encode() + b"\x1c\r" for n in range(3))
    assert [m.segments for m in read(framed).messages] == [2, 2, 2]


def test_several_messages_without_a_wrapper_are_several_messages() -> None:
    result = read("\r\n".join(message(str(n)) for n in range(150)).encode())
    assert len(result.messages) == 150
    assert not result.findings


def test_batch_counts_that_agree_are_no_finding() -> None:
    body = f"FHS|^~\\&|A\rBHS|^~\\&|A\r{message('1')}{message('2')}BTS|2\rFTS|1\r"
    result = read(body.encode())
    assert [m.segments for m in result.messages] == [2, 2]
    assert result.outcome is Outcome.ACCEPTED


def test_batch_counts_that_disagree_are_findings_at_their_place() -> None:
    body = f"FHS|^~\\&|A\rBHS|^~\\&|A\r{message('1')}BTS|2\rFTS|4\r"
    places = [(finding.code, finding.where) for finding in read(body.encode()).findings]
    assert places == [("batch-count-mismatch", "BTS-1"), ("file-count-mismatch", "FTS-1")]


def test_batches_are_counted_one_by_one() -> None:
    one = f"BHS|^~\\&|A\r{message('1')}BTS|1\r"
    two = f"BHS|^~\\&|A\r{message('2')}{message('3')}BTS|2\r"
    assert not read(f"FHS|^~\\&\r{one}{two}FTS|2\r".encode()).findings


def test_missing_trailers_and_headers_are_findings() -> None:
    assert codes(read(f"FHS|^~\\&\rBHS|^~\\&\r{message()}".encode())) == [
        "batch-trailer-missing",
        "file-trailer-missing",
    ]
    assert codes(read(f"{message()}BTS|1\rFTS|0\r".encode())) == [
        "batch-header-missing",
        "file-header-missing",
    ]


@pytest.mark.parametrize("count", ["many", "-1", "1" * 5000])
def test_a_count_that_is_no_number_is_a_mismatch(count: str) -> None:
    assert codes(read(f"BHS|^~\\&\r{message()}BTS|{count}\r".encode())) == ["batch-count-mismatch"]


def test_one_control_id_with_two_bodies_is_a_conflict_and_both_stay() -> None:
    result = read((message("7") + message("7", PID, "PV1|1|O")).encode())
    assert [m.segments for m in result.messages] == [2, 3]
    assert codes(result) == ["control-id-conflict"]


def test_the_same_message_twice_is_a_repetition() -> None:
    assert codes(read((message("7") * 2).encode())) == ["message-repeated"]


def test_one_control_id_of_two_senders_is_no_conflict() -> None:
    other = message("7").replace("CLINIC|US", "ELSEWHERE|US")
    assert "control-id-conflict" not in codes(read((message("7") + other).encode()))


def test_a_line_without_a_segment_name_continues_the_field_before() -> None:
    body = message("1", PID, "NTE|1||first line", "second line", "third").encode()
    (split,) = split_body(body).messages
    assert len(split.segments) == 3
    assert split.segments[2].field(3) == "first line\nsecond line\nthird"
    assert [(finding.code, finding.where) for finding in split.findings] == [("continuation-line", "NTE")]


@pytest.mark.parametrize("line", ["ZPD|1|x", "Z1A|1", "PV2", "pv1|1|O", "  PV1|1|O"])
def test_unknown_bare_and_untidy_segments_are_segments(line: str) -> None:
    (split,) = split_body(message("1", PID, line).encode()).messages
    assert len(split.segments) == 3


@pytest.mark.parametrize("line", ["ab|c", "two words|c", "NKA", "1AB|x"])
def test_a_line_that_only_resembles_a_segment_is_text(line: str) -> None:
    (split,) = split_body(message("1", PID, "NTE|1||text", line).encode()).messages
    assert len(split.segments) == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \r\n\x0b\x1c\r", "empty"),
        (b"PID|1||42\rPV1|1|O\r", "no MSH"),
        (b"<?xml version='1.0'?><ADT_A01/>", "XML"),
        (b"MSHH0\r", "no MSH"),
        (b"MSH|0000|a|b\rPID|1\r", "separators"),
        (b"MSH|^~\\&|A|B\rPID|1||42", "no message type"),
        (b"MSH|^~\\&|||||||ADT^A04|||2.5\rPID|1\r", "neither a patient nor a sender"),
    ],
)
def test_what_is_no_message_is_refused_in_plain_words(body: bytes, words: str) -> None:
    result = read(body)
    assert result.outcome is Outcome.REFUSED
    assert words in (result.reason or "")


def test_one_bad_message_does_not_refuse_its_neighbours() -> None:
    result = read(b"MSH|0000|a\r" + message().encode())
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert [finding.code for finding in result.refusing] == ["separators-unusable"]
    assert len(result.facts) == 1


def test_a_header_broken_by_a_line_end_is_not_patched_together() -> None:
    assert read(b"MSH|^~\\\n|A|B|C|D|2026||ADT^A17|1\r").outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(body_bytes=10), "larger than 10 bytes"),
        (Limits(messages=1), "more than 1 messages"),
        (Limits(segments=1), "more than 1 segments"),
    ],
)
def test_a_body_beyond_the_limits_is_refused_with_the_limit(limits: Limits, words: str) -> None:
    assert words in (read((message() * 3).encode(), limits=limits).reason or "")


def test_findings_never_repeat_what_was_said_about_a_person() -> None:
    secret = "Verysecretname"
    body = message("1", f"PID|{secret}|{secret}|42|{secret}|{secret}||{secret}|{secret}", f"PV1|{secret}")
    for finding in read(body.encode()).all_findings:
        assert secret not in finding.detail + finding.where
