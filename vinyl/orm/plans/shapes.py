"""
The shapes of queries: for each model a trie, whose edges are the steps of a queryset.

A queryset whose steps are all known has a `Trail`: the node that they lead to, and
their values. It has no query until code reads it.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.db.models.query import ModelIterable

from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.plans.binders import Binder
    from vinyl.orm.plans.plan import Plan

__all__ = [
    "LITERAL",
    "PLAIN",
    "SLOT",
    "Inner",
    "Kept",
    "LastStep",
    "Node",
    "Reference",
    "Step",
    "Trail",
    "Unplannable",
    "forget",
    "generation",
    "root_of",
]

# Maximum number of steps after one step, and of nodes of all models together. Beyond
# these, Django builds the queries.
MAX_CHILDREN = 200
MAX_NODES = 20_000


# Types of values that become parameters. Subclasses may mean something else.
PLAIN = frozenset(
    {
        int,
        str,
        float,
        bytes,
        decimal.Decimal,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        uuid.UUID,
    }
)
# Types of values that are part of the shape.
LITERAL = frozenset({bool, type(None)})


class LastStep(NamedTuple):
    """
    The arguments of a method that runs a query, as the last step of its shape.

    Args:
        key: Equal for calls of the same shape.
        values: The values that are not part of the shape.
    """

    key: Hashable
    values: Sequence[Any] = ()


class Unplannable(Exception):
    """A query cannot have a plan, or not with its values."""


class Step(NamedTuple):
    """
    A recorded call of a method of QuerySet.

    Args:
        method: Its name.
        args: Its positional arguments, with SLOT for each value of a filter.
        kwargs: Its keyword arguments, likewise.
        is_sticky: Whether `_next_is_sticky()` had been called before.
        is_in_place: Whether it changes the queryset itself and makes no copy.
        inners: What stands for the querysets in its arguments.
    """

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    is_sticky: bool = False
    is_in_place: bool = False
    inners: tuple[Inner, ...] = ()

    def __str__(self) -> str:
        method, args, kwargs = self.method, self.args, self.kwargs
        if method in ("_filter_or_exclude", "add_q"):
            # What filter(), exclude() and prefetches call.
            negate, args, kwargs = args
            method = "exclude" if negate else "filter"
        given = [*map(repr, args), *(f"{name}={kwargs[name]!r}" for name in kwargs)]
        return f"{method}({', '.join(given)})"


class Inner:
    """
    A placeholder for an inner queryset in a step.

    Args:
        node: Its shape.
        make: Returns what the step was given, from such a queryset.
    """

    __slots__ = ("make", "node")

    def __init__(self, node: Node, make: Callable[[Any], Any]) -> None:
        self.node = node
        self.make = make

    def __repr__(self) -> str:
        return str(self.node)


class Kept(NamedTuple):
    """A value as it was passed to a filter, and the lookup that has prepared it."""

    given: Any
    lookup: Any


class Reference(NamedTuple):
    """A parameter that comes from a value: the *position*-th of those of *slot*."""

    slot: int
    position: int


class _Slot:
    """A placeholder for a value in a step."""

    def __deepcopy__(self, memo: object) -> _Slot:
        return self

    def __repr__(self) -> str:
        return "?"


SLOT = _Slot()


class Node:
    """A shape: a model, and the steps that lead from all its objects to a queryset."""

    __slots__ = (
        "_children",
        "attributes",
        "binders",
        "facts",
        "generation",
        "is_ordered",
        "is_sliced",
        "model",
        "made_for",
        "own_slots",
        "plans",
        "refused",
        "saves",
        "seen",
        "slots",
        "step",
        "trail",
        "up",
    )

    def __init__(
        self, model: type[Model], up: Node | None, step: Step | None, slots: int
    ) -> None:
        self.model = model
        self.up = up
        # The first call that led here; other calls replace its values.
        self.step = step
        self.generation = generation
        # In a root: the fields of the model when it was created, and the trail of a
        # queryset of all objects.
        self.made_for: Any = None
        self.trail: Any = None
        # In a root: how instances of the model are saved, once that is asked.
        self.saves: Any = None
        # The number of values of the last step itself, and of all steps up to here,
        # with those of inner querysets.
        self.own_slots = self.slots = slots
        if up is not None and step is not None:
            self.slots += up.slots + sum(inner.node.slots for inner in step.inners)
        # The binders of the last step's own values; None until a plan was made.
        self.binders: tuple[Binder, ...] | None = None if slots else ()
        # The attributes of a queryset here that are not part of its query.
        self.attributes: dict[str, Any] = {
            "_iterable_class": ModelIterable,
            "_fields": None,
        }
        self.is_sliced: bool = up is not None and (
            up.is_sliced or (step is not None and step.method == "__getitem__")
        )
        # Whether its rows are ordered; None until that is asked.
        self.is_ordered: bool | None = None
        # What `in_bulk()` reads of the query; None until that is asked.
        self.facts: Any = None
        # By terminal, alias and class of the connection.
        self.plans: dict[Hashable, Plan] = {}
        # The terminals that have run once, and those that have no plan.
        self.seen: set[str] = set()
        self.refused: set[str] = set()
        self._children: dict[Hashable, Node] = {}

    def child(self, key: Hashable) -> Node | None:
        """The node that the step *key* leads to, if it is known. Never switches."""
        return self._children.get(key)

    def add(self, key: Hashable, step: Step, slots: int) -> Node | None:
        """
        Return a new node for *key*; None if there is no room for it. Never switches.

        Args:
            slots: The number of values of the step itself, without inner querysets.
        """
        global _nodes
        if len(self._children) >= MAX_CHILDREN or self.generation != generation:
            return None
        if _nodes >= MAX_NODES:
            forget()
            return None
        _nodes += 1
        child = self._children[key] = Node(self.model, self, step, slots)
        return child

    def is_current(self) -> bool:
        """Whether nothing has been forgotten since it was made. Never switches."""
        return self.generation == generation

    def __str__(self) -> str:
        steps = (f".{node.step}" for node in self.path())
        return "".join([self.model.__qualname__, *steps])

    def path(self) -> list[Node]:
        """The nodes from the first step to this one. Never switches."""
        nodes = []
        node: Node | None = self
        while node is not None and node.step is not None:
            nodes.append(node)
            node = node.up
        return nodes[::-1]

    def sources(self) -> Iterator[Node]:
        """
        Yield the nodes whose last steps have the values, in the order of the values.
        Never switches.
        """
        for node in self.path():
            yield node
            assert node.step is not None
            for inner in node.step.inners:
                yield from inner.node.sources()


class Trail(NamedTuple):
    """Where a queryset is in the trie, and the values of its steps."""

    node: Node
    values: tuple[Any, ...]
    # Whether the values are final: a model instance may change before the query runs.
    is_fixed: bool = True
    # Whether the values of the last step are read when the query runs, as in the
    # managers of an instance.
    is_deferred: bool = False


# Another number whenever all shapes are forgotten. What is kept elsewhere of a model is
# valid for one of them.
generation = 0
_nodes = 0


def root_of(model: type[Model]) -> Node:
    """The node of all objects of *model*. Never switches."""
    meta: Any = model._meta
    try:
        root: Node = meta.vinyl_shapes
        if root.generation == generation and root.made_for is meta.concrete_fields:
            return root
    except AttributeError:
        pass
    root = meta.vinyl_shapes = Node(model, None, None, 0)
    root.made_for = meta.concrete_fields
    root.trail = Trail(root, ())
    return root


def forget(**kwargs: Any) -> None:
    """
    Discard all shapes and plans, because something that they depend on has changed. A
    receiver of `setting_changed`. Never switches.
    """
    global generation, _nodes
    generation += 1
    _nodes = 0
