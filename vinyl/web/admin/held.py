"""
Forms that are shown again with what was typed, and not saved: after the search for a
related object, and where something makes saving wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

__all__ = [
    "HELD",
    "LOOKUP",
    "asks_for_lookup",
    "hold",
    "hold_form",
    "hold_formset",
    "is_quiet",
    "kept_fields",
    "reason_of",
    "take_choice",
    "typed",
]

# Names of posted fields: a search for a related object; its result; and a form that is
# to be shown with what was typed.
LOOKUP = "_lookup"
CHOSEN, CHOSEN_FOR, SEVERAL = "_chosen", "_chosen_for", "_several"
HELD, LOST_FILES = "_held", "_lost_files"
# Where a request has why its form is held.
_HELD = "_vinyl_held"
_OWN = {LOOKUP, CHOSEN, CHOSEN_FOR, SEVERAL, HELD, LOST_FILES, "_term", "_page"}


def kept_fields(data: Any) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a posted form. Never switches."""
    for name, values in data.lists():
        if name not in _OWN:
            for value in values:
                yield name, value


def typed(request: Any, *, files: bool = True) -> list[tuple[str, str]]:
    """
    Return the names and values of what was posted, without passwords. Switches to the
    event loop.

    Args:
        files: Whether the form is to say that its files are lost.
    """
    pairs = [
        (name, value)
        for name, values in request.POST.lists()
        if "password" not in name.lower()
        for value in values
    ]
    if files and pairs and request.FILES:
        pairs.append((LOST_FILES, "1"))
    return pairs


def hold(request: Any, reason: Any, *, quiet: bool = False) -> None:
    """
    Let the form of *request* be shown instead of saved. Never switches.

    Args:
        reason: What the page says about it.
        quiet: Without the errors of what was typed, where nobody asked to save it.
    """
    vars(request)[_HELD] = (reason, quiet)


def reason_of(request: Any) -> Any:
    """Return why the form is held; None if it is not. Never switches."""
    return vars(request).get(_HELD, (None, False))[0]


def is_quiet(request: Any) -> bool:
    """Return whether the form is held and nobody asked to save it. Never switches."""
    quiet: bool = vars(request).get(_HELD, (None, False))[1]
    return quiet


def asks_for_lookup(request: Any) -> bool:
    """Return whether a form asks for the search page. Switches to the event loop."""
    if request.method != "POST":
        return False
    data = request.POST
    return LOOKUP in data and CHOSEN not in data and HELD not in data


def take_choice(request: Any, button: str = "") -> None:
    """
    Put what was chosen on the search page into the posted form, and hold the form.
    Switches to the event loop.

    Args:
        button: Name of the button that the page with the form needs.
    """
    data = request.POST
    if CHOSEN not in data and HELD not in data:
        return
    data = data.copy()
    if button:
        data[button] = "1"
    name = data.get(CHOSEN_FOR)
    if name and CHOSEN in data:
        value = data[CHOSEN]
        if data.get(SEVERAL):
            chosen = [one for one in data.getlist(name) if one != value]
            data.setlist(name, [*chosen, value])
        else:
            data[name] = value
    request.POST = data
    words = [gettext("Nothing has been saved yet.")]
    if data.get(LOST_FILES):
        words.append(gettext("Files have to be chosen again."))
    hold(request, " ".join(words), quiet=True)


def hold_form(form: Any, request: Any, *, main: bool = False) -> None:
    """
    Keep *form*, a class made for one request, from being valid if it is held.

    Args:
        main: Whether it is the form of the page, which has the reason as its error.
    """
    reason, quiet = vars(request).get(_HELD, (None, False))
    if reason is None:
        return
    full_clean: Callable[[Any], None] = form.full_clean

    def held_clean(self: Any) -> None:
        full_clean(self)
        if quiet:
            self.errors.clear()
        if main:
            self.add_error(None, reason)

    form.full_clean = held_clean


def hold_formset(formset: Any, request: Any) -> None:
    """The same for the rows of a change list, whose class is *formset*."""
    reason = reason_of(request)
    if reason is None:
        return

    def clean(self: Any) -> None:
        raise ValidationError(reason)

    formset.clean = clean
