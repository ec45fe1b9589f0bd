"""JSON is read strictly: what is doubtful about the text is refused, by line and column, in bounded time."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats import fhir
from baton_formats.fhir.strict_json import MAX_DEPTH, NotJson, exact, parse
from baton_formats.findings import Outcome


def refusal(body: bytes) -> NotJson:
    with pytest.raises(NotJson) as caught:
        parse(body)
    return caught.value


def elapsed(act: Callable[[], object]) -> float:
    started = time.thread_time()
    act()
    return time.thread_time() - started


def refused_in(body: bytes) -> float:
    return elapsed(lambda: refusal(body))


# ---- the published cases -----------------------------------------------------------------------------------


def cases(samples: Path, prefix: str) -> list[Path]:
    return sorted((samples / "adversarial-json").rglob(f"{prefix}*.json"))


def test_every_case_that_must_parse_parses(samples: Path) -> None:
    found = cases(samples, "y_")
    assert len(found) == 61
    for path in found:
        parse(path.read_bytes())


def test_every_case_that_must_not_parse_is_refused_in_bounded_time(samples: Path) -> None:
    found = cases(samples, "n_")
    assert len(found) == 125
    for path in found:
        assert refused_in(path.read_bytes()) < 0.5, path.name
        assert fhir.read(path.read_bytes()).outcome is Outcome.REFUSED


def test_the_cases_that_may_go_either_way_go_one_way_or_the_other(samples: Path) -> None:
    found = cases(samples, "i_")
    assert len(found) == 24
    for path in found:
        result = fhir.read(path.read_bytes())
        assert result.outcome is Outcome.REFUSED


# ---- keys --------------------------------------------------------------------------------------------------


def test_a_key_with_two_values_is_refused_where_the_second_stands() -> None:
    error = refusal(b'{"resourceType": "Patient",\n "gender": "male",\n  "gender": "female"}')
    assert (error.code, error.line, error.column) == ("duplicate-key", 3, 3)


def test_a_key_twice_with_one_value_is_only_odd() -> None:
    parsed = parse(b'{"a": {"b": [1]}, "c": 2,\n "a": {"b": [1]}}')
    assert parsed.value == {"a": {"b": [1]}, "c": 2}
    assert parsed.repeated == ((2, 2),)


def test_an_odd_repeated_key_becomes_a_finding() -> None:
    result = fhir.read(b'{"resourceType": "Patient", "gender": "male", "gender": "male"}')
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert [finding.code for finding in result.findings] == ["duplicate-key"]


def test_a_key_repeated_in_other_spelling_is_still_the_same_key() -> None:
    assert refusal(rb'{"id": "1", "\u0069d": "2"}').code == "duplicate-key"


def test_a_repeated_key_cannot_hide_behind_escaped_quotes() -> None:
    assert refusal(rb'{"a": "\u0022\u0022\u0022\u0022", "b": 1, "b": 2}').code == "duplicate-key"
    assert refusal(rb'{"a": "\"\"\\", "b": "x\\", "b": "\""}').code == "duplicate-key"


@pytest.mark.parametrize("padding", [0, 300, 3000], ids=lambda size: f"{size} bytes of text around")
@pytest.mark.parametrize("odd", [r"\"", r"\\", r"\\\"", r"\n", r"\/", r"\u0022", r"\u005c\"", r"\\u0022"])
def test_a_repeated_key_is_found_whether_escapes_are_rare_or_not(odd: str, padding: int) -> None:
    text = f'"text": "{odd}{"x" * padding}{odd}"'
    assert parse(f'{{{text}, "b": "1"}}'.encode()).repeated == ()
    assert refusal(f'{{{text}, "b": "1", "b": "{odd}"}}'.encode()).code == "duplicate-key"
    assert len(parse(f'{{{text}, "b": "1", "b": "1"}}'.encode()).repeated) == 1


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("size", [0, 20_000], ids=lambda size: f"{size} bytes of text")
def test_a_repeated_key_is_found_however_the_text_is_laid_out(
    indent: int | None, end: str, size: int
) -> None:
    text = json.dumps({"a": {"b": "x" * size, "c": [1, {}]}, "twin": 1}, indent=indent) + end
    assert parse(text.encode()).repeated == ()
    again = text.replace('"twin": 1', '"twin": 1, "twin": 1')
    assert len(parse(again.encode()).repeated) == 1
    assert refusal(text.replace('"twin": 1', '"twin": 1, "twin": 2').encode()).code == "duplicate-key"


def test_a_small_text_nested_without_need_costs_little() -> None:
    body = b"[\n" + b"[" * 240 + b"1," * 7_900 + b"1" + b"]" * 240 + b"\n]"
    tracemalloc.start()
    try:
        assert elapsed(lambda: parse(body)) < 0.5
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert refusal(b"[\n" + b"[" * 300 + b"]" * 300 + b"\n]").code == "too-deep"


def test_many_repeated_keys_cost_no_more_than_the_first_few() -> None:
    body = b"{" + b",".join([b'"a": 1'] * 50_000) + b"}"
    assert refused_in(body) < 1


_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


@given(
    st.dictionaries(_TEXT, _TEXT, min_size=1, max_size=6),
    st.integers(0, 5),
    st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repeated_key_is_found_whatever_stands_in_the_strings(
    members: dict[str, str], which: int, ascii_only: bool
) -> None:
    pairs = [(json.dumps(k, ensure_ascii=ascii_only), json.dumps(v)) for k, v in members.items()]
    text = ", ".join(f"{key} : {value}" for key, value in pairs)
    body = f"{{{text}}}".encode()
    again = f"{{{text}, {pairs[which % len(pairs)][0]}: 17}}".encode()
    assert parse(body).value == members
    assert refusal(again).code == "duplicate-key"


# ---- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5", "0x10"])
def test_what_is_no_number_is_refused(literal: str) -> None:
    assert refusal(f'{{"a": {literal}}}'.encode()).code == "malformed-json"


@pytest.mark.parametrize("literal", ["1e400", "-1.5e+9999", "1e99999999999999999999", "9" * 400])
def test_a_number_beyond_every_double_is_refused(literal: str) -> None:
    assert refusal(f"[{literal}]".encode()).code == "number-too-large"


def test_a_number_of_a_million_digits_is_refused_in_bounded_time() -> None:
    assert refused_in(b"[" + b"9" * 1_000_000 + b"]") < 1


def test_decimals_keep_every_digit() -> None:
    body = b'{"a": 29.50, "b": 0.123456789012345678, "c": 1E-22, "d": 12345678901234567890123}'
    assert exact(body) == {
        "a": Decimal("29.50"),
        "b": Decimal("0.123456789012345678"),
        "c": Decimal("1E-22"),
        "d": 12345678901234567890123,
    }
    assert str(exact(body)["a"]) == "29.50"


def test_a_number_where_a_text_belongs_keeps_its_digits() -> None:
    body = b'{"resourceType": "Patient", "identifier": [{"value": 12345678901234567890123}]}'
    (patient,) = fhir.read(body).facts
    assert patient.identifiers[0].value == "12345678901234567890123"  # type: ignore[union-attr]


# ---- text --------------------------------------------------------------------------------------------------


def test_a_lone_surrogate_is_refused() -> None:
    assert refusal(rb'{"a": "\ud800"}').code == "lone-surrogate"


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse(rb'["\ud83d\ude00"]').value == ["\U0001f600"]


def test_text_that_is_not_utf8_is_refused_where_it_breaks() -> None:
    error = refusal(b'{"a":\n "caf\xe9"}')
    assert (error.code, error.line, error.column) == ("not-utf-8", 2, 6)


def test_a_byte_order_mark_is_taken_off_and_noted() -> None:
    result = fhir.read(b'\xef\xbb\xbf{"resourceType": "Patient"}')
    assert [finding.code for finding in result.findings] == ["byte-order-mark"]


# ---- depth and size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'[{"a":'])
def test_a_hundred_thousand_levels_are_refused_in_bounded_time(opener: bytes) -> None:
    error = refusal(opener * 100_000)
    assert error.code == "too-deep"
    assert refused_in(opener * 100_000) < 1
    closed = opener * 100_000 + b"1" + (b"]" if opener == b"[" else b"}") * 100_000
    assert refused_in(closed) < 1


def test_the_limit_of_depth_is_the_limit_of_depth() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH).value
    assert refusal(b"[" * 300 + b"]" * 300).code == "too-deep"


def test_brackets_inside_strings_are_no_depth() -> None:
    text = "[{" * 5_000
    assert parse(json.dumps({"a": text}).encode()).value == {"a": text}


@pytest.mark.parametrize(
    "body",
    [b'"' + b"\\" * 1_000_001 + b'"', b'[{"' * 100_000, b'{"a":"' + b'\\"' * 500_000, b"[" + b"1," * 500_000],
)
def test_a_megabyte_of_damage_is_refused_in_bounded_time(body: bytes) -> None:
    assert refused_in(body) < 1


def test_ten_times_the_size_costs_about_ten_times_the_time() -> None:
    entry = {"resource": {"resourceType": "Patient", "name": [{"family": "Testperson"}], "id": "x"}}

    def bundle(count: int) -> bytes:
        entries = [json.loads(json.dumps(entry)) for _ in range(count)]
        for index, one in enumerate(entries):
            one["resource"]["id"] = f"p{index}"
        return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()

    small, large = bundle(300), bundle(3_000)

    def growth() -> float:
        once = min(elapsed(lambda: fhir.read(small)) for _ in range(5))
        return min(elapsed(lambda: fhir.read(large)) for _ in range(3)) / once

    assert any(growth() < 30 for _ in range(5))  # a busy machine spoils some attempts, a square all of them


def test_all_resources_under_one_name_do_not_cost_the_square(  # equal ids are compared with each other
) -> None:
    entry = {"resource": {"resourceType": "Patient", "id": "same", "name": [{"family": "Testperson"}]}}
    entries = [dict(entry, fullUrl=f"urn:uuid:{index}") for index in range(4_000)]
    for index, one in enumerate(entries):
        one["resource"] = {**entry["resource"], "active": index % 2 == 0, "language": str(index)}
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    assert elapsed(lambda: fhir.read(body)) < 3


# ---- any bytes ---------------------------------------------------------------------------------------------

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    try:
        body = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert parse(body).value == value
    assert exact(body) == value


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    result = fhir.read(body)
    assert (result.outcome is Outcome.REFUSED) == (result.reason is not None)
