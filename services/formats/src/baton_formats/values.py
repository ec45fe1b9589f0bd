"""Frozen values that are as quick to build as open ones: what a reader makes by the thousand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def built_at_once(cls: type[T]) -> type[T]:
    """Gives a frozen, slotted dataclass a constructor that fills the slots before the value is closed.

    The constructor that :mod:`dataclasses` writes for a frozen class calls ``object.__setattr__`` for every
    field, also for those left out; with forty fields that is a good part of the time a reader takes. Here a
    new value is of an open class with the same slots until its fields are set, and of ``cls`` ever after.
    Signature, defaults, equality, hash and immutability stay what they were.

    Stands above ``@dataclass(frozen=True, slots=True)``. Raises ``TypeError`` for a class with anything but
    plain fields (factories, keyword-only fields, ``__post_init__``, a base of its own).
    """
    declared: Any = cls  # a decorator's type variable cannot promise that this is a dataclass
    named = fields(declared)
    plain = all(one.init and not one.kw_only and one.default_factory is MISSING for one in named)
    if not plain or hasattr(cls, "__post_init__") or cls.__bases__ != (object,):
        raise TypeError(f"{cls.__name__} has more than plain fields")
    written = declared.__init__
    names = [one.name for one in named]
    opened = type(cls.__name__, (), {"__slots__": tuple(names)})
    quick = _constructor(cls, opened, names)
    for kept in ("__defaults__", "__annotations__", "__qualname__", "__module__", "__doc__"):
        setattr(quick, kept, getattr(written, kept))
    declared.__init__ = quick
    maker = _MAKERS[cls] = _maker(cls, opened, names)
    maker.__defaults__, maker.__qualname__ = written.__defaults__, cls.__qualname__
    return cls


def maker_of(cls: Callable[P, T]) -> Callable[P, T]:
    """A function that builds a value just as its class does, in half the time.

    For readers that make the same value again and again. Raises ``KeyError`` for a class that does not stand
    under :func:`built_at_once`.
    """
    maker: Callable[P, T] = _MAKERS[cls]
    return maker


_MAKERS: dict[Any, Any] = {}


def _constructor(cls: type, opened: type, names: list[str]) -> Any:
    """``__init__`` with these parameters; written as source, since only plain assignments are quick."""
    source = (
        f"def __init__({', '.join(['self', *names])}):\n"
        f"    _thaw(self, '__class__', _open)\n{_assignments(names)}    self.__class__ = _closed\n"
    )
    return _written("__init__", source, cls, opened)


def _maker(cls: type, opened: type, names: list[str]) -> Any:
    """The same from outside: the value is open from the start, so that it changes its class only once."""
    source = (
        f"def make({', '.join(names)}):\n"
        f"    self = _open()\n{_assignments(names)}    self.__class__ = _closed\n    return self\n"
    )
    return _written("make", source, cls, opened)


def _assignments(names: list[str]) -> str:
    return "".join(f"    self.{name} = {name}\n" for name in names)


def _written(name: str, source: str, cls: type, opened: type) -> Any:
    scope: dict[str, Any] = {"_thaw": object.__setattr__, "_open": opened, "_closed": cls}
    exec(source, scope)  # noqa: S102  (only names of fields of our own classes)
    return scope[name]
