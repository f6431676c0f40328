"""What a window for a related object answers to the page that opened it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.utils import unquote
from django.utils.translation import gettext

__all__ = ["finish_popup"]


def finish_popup(response: Any) -> Any:
    """
    Return *response*; if it tells the opener of a window what has been saved, with
    what the page says where the opener cannot be told. Never switches.
    """
    context = getattr(response, "context_data", None)
    if context and "popup_response_data" in context:
        saved = json.loads(context["popup_response_data"])
        if saved.get("action") == "change":
            # Django sends the key as it is in the URL.
            saved["value"] = unquote(saved["value"])
            context["popup_response_data"] = json.dumps(saved)
        context["_"] = gettext
        saved.setdefault("action", "add")
        context["saved"] = saved
    return response
