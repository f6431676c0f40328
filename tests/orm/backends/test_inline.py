"""An expression gets the names of its column."""

from __future__ import annotations

from vinyl.orm.backends.inline import Inline


def test_the_expression_of_a_column() -> None:
    inline = Inline("scale{number} * {value} if {value} else {django}({value})", {})
    source = inline.for_column(2, "value2", "django2")
    names = {"scale2": 10, "value2": 3, "django2": repr}
    assert eval(source, names) == 30
    assert eval(source, {**names, "value2": None}) == "None"
