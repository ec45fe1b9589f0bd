"""MLLP frames come out whole however the network cuts them; all else is rejected where it can be seen."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_formats.hl7v2.mllp import Frame, FrameDecoder, Rejection, RejectionReason, frame

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
HELLO = b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5\rMSA|AA|1\r"


def payloads(answers: list[Frame | Rejection]) -> list[bytes]:
    return [answer.payload for answer in answers if isinstance(answer, Frame)]


def reasons(answers: list[Frame | Rejection]) -> list[RejectionReason]:
    return [answer.reason for answer in answers if isinstance(answer, Rejection)]


def test_a_whole_frame_comes_out_without_its_framing() -> None:
    assert FrameDecoder().feed(frame(HELLO)) == [Frame(HELLO)]


def test_a_frame_that_arrives_byte_by_byte_comes_out_with_its_last_byte() -> None:
    decoder = FrameDecoder()
    answers = [decoder.feed(bytes((byte,))) for byte in frame(HELLO)]
    assert all(answer == [] for answer in answers[:-1])
    assert answers[-1] == [Frame(HELLO)]


def test_frames_that_arrive_together_come_out_in_order() -> None:
    decoder = FrameDecoder()
    assert payloads(decoder.feed(frame(b"one") + frame(b"two") + frame(b"three"))) == [
        b"one",
        b"two",
        b"three",
    ]
    assert decoder.frames == 3


def test_a_trailer_split_over_two_packets_still_ends_the_frame() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(VT + HELLO + FS) == []
    assert decoder.waiting
    assert decoder.feed(CR) == [Frame(HELLO)]
    assert not decoder.waiting


def test_a_line_feed_after_the_trailer_is_ignored_and_counted() -> None:
    decoder = FrameDecoder()
    assert payloads(decoder.feed(frame(b"one") + b"\n" + frame(b"two"))) == [b"one", b"two"]
    assert decoder.ignored_bytes == 1
    assert not decoder.rejected


@pytest.mark.parametrize("trailer", [b"\r\x0c", FS + b"\n", FS + VT, FS + FS])
def test_a_wrong_trailer_is_answered_at_once_so_that_the_sender_need_not_wait(trailer: bytes) -> None:
    decoder = FrameDecoder()
    answers = decoder.feed(VT + HELLO + trailer)
    assert reasons(answers) == [RejectionReason.WRONG_TRAILER]
    assert isinstance(answers[0], Rejection)
    assert answers[0].payload.startswith(b"MSH")


def test_every_frame_of_a_sender_with_a_wrong_trailer_is_rejected_visibly() -> None:
    decoder = FrameDecoder()
    answers = decoder.feed((VT + b"a" + FS + b"\n") * 3)
    assert len(reasons(answers)) == 3
    assert not payloads(answers)


def test_every_frame_that_ends_in_a_form_feed_is_rejected_visibly() -> None:
    decoder = FrameDecoder()
    answers = decoder.feed((VT + HELLO + b"\r\x0c") * 3 + VT + HELLO)
    assert reasons(answers) == [RejectionReason.WRONG_TRAILER] + [RejectionReason.AFTER_WRONG_TRAILER] * 2
    assert reasons(decoder.flush()) == [RejectionReason.AFTER_WRONG_TRAILER]
    assert decoder.rejected.total() == 4


def test_many_small_frames_in_one_packet_take_time_in_proportion() -> None:
    def spent(count: int) -> float:
        decoder, packet = FrameDecoder(), frame(HELLO) * count
        started = time.process_time()
        assert len(decoder.feed(packet)) == count
        return time.process_time() - started

    assert any(spent(60_000) < 30 * spent(6_000) + 0.05 for _ in range(5))


def test_reading_goes_on_after_the_next_proper_end_of_a_frame() -> None:
    decoder = FrameDecoder()
    answers = decoder.feed(VT + b"a" + FS + b"\n" + frame(b"b") + frame(b"c"))
    assert reasons(answers) == [RejectionReason.WRONG_TRAILER, RejectionReason.AFTER_WRONG_TRAILER]
    assert payloads(answers) == [b"c"]


def test_an_embedded_start_byte_cannot_smuggle_in_a_second_message() -> None:
    decoder = FrameDecoder()
    answers = decoder.feed(VT + b"MSH|text" + VT + b"MSH|evil" + FS + CR + frame(b"next"))
    assert reasons(answers) == [RejectionReason.EMBEDDED_VT]
    assert payloads(answers) == [b"next"]


def test_an_embedded_end_byte_rejects_the_whole_frame_once() -> None:
    decoder = FrameDecoder()
    answers = decoder.feed(VT + b"MSH|te" + FS + b"xt" + FS + CR + frame(b"next"))
    assert reasons(answers) == [RejectionReason.EMBEDDED_FS]
    assert payloads(answers) == [b"next"]


def test_an_acknowledgement_without_framing_is_rejected_when_the_next_frame_starts() -> None:
    answers = FrameDecoder().feed(HELLO + frame(b"next"))
    assert reasons(answers) == [RejectionReason.UNFRAMED]
    assert payloads(answers) == [b"next"]


def test_what_is_held_at_the_end_is_rejected_and_not_forgotten() -> None:
    for held, reason in (
        (VT + HELLO, RejectionReason.TRUNCATED),
        (HELLO, RejectionReason.UNFRAMED),
        (VT + b"a" + VT + b"b", RejectionReason.EMBEDDED_VT),
    ):
        decoder = FrameDecoder()
        assert decoder.feed(held) == []
        assert reasons(decoder.flush()) == [reason]
        assert decoder.flush() == []


def test_an_empty_frame_is_rejected() -> None:
    assert reasons(FrameDecoder().feed(VT + FS + CR)) == [RejectionReason.EMPTY]


def test_an_oversized_frame_is_rejected_in_bounded_memory() -> None:
    decoder = FrameDecoder(max_frame=100)
    decoder.feed(VT + b"x" * 101)
    for _ in range(50):
        assert decoder.feed(b"x" * 100) == []
        assert len(decoder._buffer) < 300
    answers = decoder.feed(FS + CR + frame(b"next"))
    assert reasons(answers) == [RejectionReason.TOO_LARGE]
    assert isinstance(answers[0], Rejection)
    assert answers[0].size > 5000
    assert len(answers[0].payload) == 100
    assert payloads(answers) == [b"next"]


def test_unframed_bytes_are_bounded_too() -> None:
    decoder = FrameDecoder(max_frame=100)
    answers = [answer for _ in range(10) for answer in decoder.feed(b"y" * 60)]
    assert set(reasons(answers)) == {RejectionReason.UNFRAMED}


def test_every_rejection_is_counted_by_its_reason() -> None:
    decoder = FrameDecoder()
    decoder.feed(VT + FS + CR + b"stray" + VT + b"a" + FS + CR)
    assert decoder.rejected == {RejectionReason.EMPTY: 1, RejectionReason.UNFRAMED: 1}
    assert decoder.frames == 1


@pytest.mark.parametrize("payload", [b"a\x0bb", b"a\x1cb"])
def test_a_payload_that_no_frame_can_carry_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="VT"):
        frame(payload)


clean = st.binary(min_size=1, max_size=40).filter(
    lambda p: VT not in p and FS not in p and p.strip() and b"\r\x0c" not in p
)


@given(st.lists(clean, max_size=6), st.data())
def test_frames_survive_any_cut(messages: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(map(frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    decoder = FrameDecoder()
    answers = [
        answer for start, end in pairwise([0, *cuts, len(wire)]) for answer in decoder.feed(wire[start:end])
    ]
    assert answers == [Frame(message) for message in messages]


@given(st.lists(st.sampled_from([VT, FS, CR, b"\n", b"\x0c", b"MSH|", b"x"]), max_size=30))
def test_any_bytes_give_the_same_answers_however_they_are_cut(pieces: list[bytes]) -> None:
    wire = b"".join(pieces)
    together, apart = FrameDecoder(), FrameDecoder()
    at_once = [*together.feed(wire), *together.flush()]
    one_by_one = [answer for byte in wire for answer in apart.feed(bytes((byte,)))] + apart.flush()
    assert at_once == one_by_one
    assert together.rejected == apart.rejected
