"""How a visitor has arranged the admin: in a cookie, so that no page flickers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.http import HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

__all__ = ["LABEL", "Preferences"]

# Such as "scheme:dark&favourite:records.album", where nothing has to be quoted. Scripts
# read and write it, too, so that a fold takes no request.
COOKIE = "vinyl_admin"
# In seconds.
MAX_AGE = 365 * 24 * 60 * 60
# What browsers store in a cookie is limited to about 4,000 bytes.
MAX_FAVOURITES = 30
MAX_LENGTH = 3800
MAX_COLUMNS = 100
LABEL = re.compile(r"[\w.]{1,100}", re.ASCII)
CHOICES = {
    "scheme": ("auto", "light", "dark"),
    "side": ("auto", "open", "closed"),
    "filters": ("auto", "open", "closed"),
}


class Preferences:
    """
    What the visitor has chosen: the colour scheme, whether the sidebar and the filters
    are folded, favourite models, and columns that are hidden. Templates have it as
    `preferences`.

    Args:
        scheme: "auto", "light" or "dark".
        side: "auto", "open" or "closed"; "auto" depends on the window's width.
        filters: As *side*.
        favourites: Labels of models, such as "records.album".
        hidden: The names of the columns that are hidden, by the label of the model.
    """

    def __init__(
        self,
        scheme: str = "auto",
        side: str = "auto",
        filters: str = "auto",
        favourites: Iterable[str] = (),
        hidden: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.scheme = scheme
        self.side = side
        self.filters = filters
        self.favourites = list(favourites)
        self.hidden = {label: [*names] for label, names in (hidden or {}).items()}

    @classmethod
    def of(cls, request: Any) -> Preferences:
        """Return those of a visitor; values that are not valid are left out."""
        preferences = cls()
        for pair in request.COOKIES.get(COOKIE, "").split("&"):
            name, _, value = pair.partition(":")
            if name == "favourite":
                preferences.toggle(value)
            elif name == "hidden":
                label, *names = value.split("~")
                preferences.hide(label, names)
            else:
                preferences.choose(name, value)
        return preferences

    def choose(self, name: str, value: str) -> None:
        """Set the preference *name*; nothing changes if there is none of this value."""
        if value in CHOICES.get(name, ()):
            setattr(self, name, value)

    def toggle(self, label: str) -> None:
        """Add the model *label* to the favourites, or remove it from them."""
        if label in self.favourites:
            self.favourites.remove(label)
        elif len(self.favourites) < MAX_FAVOURITES and LABEL.fullmatch(label):
            self.favourites.append(label)

    def hide(self, label: str, columns: Iterable[str]) -> None:
        """Hide *columns*, names, in lists of the model *label*; others are shown."""
        self.hidden.pop(label, None)
        names = [name for name in dict.fromkeys(columns) if LABEL.fullmatch(name)]
        if names and LABEL.fullmatch(label):
            self.hidden[label] = names[:MAX_COLUMNS]

    def update(self, data: Any) -> None:
        """
        Take over what a form posts: names of preferences, or `favourite`, or `columns`
        with the label of a model; `of` are then the columns of the form, and `show`
        those of them that are to be shown.
        """
        for name in CHOICES:
            if name in data:
                self.choose(name, data[name])
        if "favourite" in data:
            self.toggle(data["favourite"])
        if "columns" in data:
            label, asked = data["columns"], data.getlist("of")
            # A list may have other columns for another visitor, or on another day.
            others = [n for n in self.hidden.get(label, ()) if n not in asked]
            shown = data.getlist("show")
            self.hide(label, [*others, *(n for n in asked if n not in shown)])

    def _newest_hidden(self, length: int) -> list[str]:
        """The pairs for the hidden columns that fit: those that were chosen last."""
        found = []
        for label, names in reversed(self.hidden.items()):
            pair = "~".join([f"hidden:{label}", *names])
            length -= len(pair) + 1
            if length >= 0:
                found.append(pair)
        # In the order in which they were chosen, which the next request reads.
        return found[::-1]

    @property
    def next_scheme(self) -> str:
        """The colour scheme that the button of the page chooses."""
        schemes = CHOICES["scheme"]
        return schemes[(schemes.index(self.scheme) + 1) % len(schemes)]

    def response(self, request: Any, home: str) -> HttpResponseRedirect:
        """
        Return a redirect to the page that the visitor came from, which sets the cookie.

        Args:
            home: The path of the site, which receives the cookie. Also the target if
                the form names none, or one of another site.
        """
        target = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(
            target, {request.get_host()}, request.is_secure()
        ):
            target = home
        chosen = [(name, getattr(self, name)) for name in CHOICES]
        pairs = [f"{name}:{value}" for name, value in chosen if value != "auto"]
        pairs += [f"favourite:{label}" for label in self.favourites]
        pairs += self._newest_hidden(MAX_LENGTH - len("&".join(pairs)))
        response = HttpResponseRedirect(target)
        response.set_cookie(
            COOKIE,
            "&".join(pairs),
            max_age=MAX_AGE,
            path=home,
            secure=request.is_secure(),
            samesite="Lax",
        )
        return response
