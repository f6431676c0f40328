"""
What a plan gives equals what Django gives.

Hypothesis makes up chains of querysets. Each runs through Django, then until its plan
has been made, then by the plan. Results, errors, SQL and parameters are the same.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings

from tests.orm.plans.scenarios.chains import EXAMPLES, Chain, chains, fill, take
from tests.orm.plans.scenarios.outcomes import outcome, result_of
from tests.records.models import Album
from vinyl.orm import run
from vinyl.orm.plans import shapes, trails
from vinyl.orm.plans.plan import Plan

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@settings(max_examples=EXAMPLES)
@given(chain=chains())
def test_plans_give_what_django_gives(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill()
    used: list[Plan] = []
    bound = Plan.bound

    def counted(self: Plan, *args: Any) -> Any:
        used.append(self)
        return bound(self, *args)

    with monkeypatch.context() as patches:
        patches.setattr(trails, "_enabled", False)
        expected = outcome(lambda: take(chain))
        # The cursor that records queries has errors of its own.
        unobserved = result_of(lambda: take(chain))
        patches.setattr(trails, "_enabled", True)
        patches.setattr(Plan, "bound", counted)
        shapes.forget()
        for occasion in ("seen", "learned", "planned", "planned again"):
            found = outcome(lambda: take(chain))
            assert found == expected, occasion
        # Where nobody observes, without a cursor.
        assert result_of(lambda: take(chain)) == unobserved
    event(f"planned: {bool(used)}")


async def test_in_the_bridge_as_well() -> None:
    await run(fill)
    for _ in range(4):
        albums = await Album.objects.filter(artist__name="a1", year__lt=1965)
        assert [album.title for album in albums] == ["Blues 1"]
