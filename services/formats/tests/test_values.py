"""Frozen values with the quick constructor behave exactly as dataclasses made them."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from baton_formats import facts, findings
from baton_formats.values import built_at_once, maker_of


@dataclass(frozen=True, slots=True)
class Plain:
    """A value as dataclasses builds it."""

    name: str
    codes: tuple[str, ...] = ()
    note: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Quick:
    """The same value, built at once."""

    name: str
    codes: tuple[str, ...] = ()
    note: str | None = None


VALUES = [
    held
    for module in (facts, findings)
    for held in vars(module).values()
    if isinstance(held, type) and held.__module__ == module.__name__ and hasattr(held, "__dataclass_fields__")
]


def test_a_value_is_of_its_class_and_holds_what_it_was_given() -> None:
    value = Quick("a", note="b")

    assert type(value) is Quick
    assert (value.name, value.codes, value.note) == ("a", (), "b")
    assert value == Quick(name="a", codes=(), note="b")
    assert hash(value) == hash(Quick("a", (), "b"))
    assert repr(value) == "Quick(name='a', codes=(), note='b')"


def test_a_value_stays_closed() -> None:
    value = Quick("a")

    with pytest.raises(FrozenInstanceError):
        value.name = "b"  # type: ignore[misc]
    assert not hasattr(value, "__dict__")


def test_the_constructor_takes_and_refuses_what_the_written_one_does() -> None:
    def parameters(cls: type) -> list[tuple[str, object, object]]:
        found = inspect.signature(cls).parameters.values()
        return [(one.name, one.default, one.annotation) for one in found]

    assert parameters(Quick) == parameters(Plain)
    for arguments in ((), ("a", (), None, "too many")):
        with pytest.raises(TypeError):
            Quick(*arguments)
    with pytest.raises(TypeError):
        Quick("a", colour="red")  # type: ignore[call-arg]


def test_a_value_can_be_copied_replaced_and_pickled() -> None:
    value = Quick("a", ("1",))

    assert copy.deepcopy(value) == value
    assert replace(value, note="b") == Quick("a", ("1",), "b")
    link = facts.Link(reference="Patient/1")
    assert pickle.loads(pickle.dumps(link)) == link


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_fact_sets_every_field(cls: type) -> None:
    given = {one.name: object() for one in fields(cls)}
    value = cls(**given)

    assert {name: getattr(value, name) for name in given} == given
    assert [getattr(cls(*given.values()), name) for name in given] == list(given.values())


def test_a_maker_makes_what_the_class_makes() -> None:
    make = maker_of(Quick)

    for value in (make("a", note="b"), make("a", (), "b")):
        assert type(value) is Quick
        assert value == Quick("a", note="b")
        with pytest.raises(FrozenInstanceError):
            value.name = "c"  # type: ignore[misc]
    with pytest.raises(TypeError):
        make()  # type: ignore[call-arg]
    with pytest.raises(KeyError):
        maker_of(Plain)


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_fact_can_be_made_by_position(cls: type) -> None:
    given = [object() for _ in fields(cls)]

    assert maker_of(cls)(*given) == cls(*given)


def test_a_class_with_more_than_plain_fields_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Listed:
        items: list[str] = field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Named(Plain):
        more: str = ""

    for cls in (Listed, Named):
        with pytest.raises(TypeError, match="plain fields"):
            built_at_once(cls)
