"""What the rows of an import come to."""

from __future__ import annotations

import tracemalloc

from vinyl.web.admin.outcome import Row, Tally


def test_rows_are_counted_by_kind_and_a_few_are_kept() -> None:
    tally = Tally(2)
    kinds = ["add", "same", "change", "add", "error", "error", "error", "same"]
    for line, kind in enumerate(kinds):
        tally.count(Row(line, kind, form=object()))
    assert tally.counts == {"added": 2, "changed": 1, "same": 2, "errors": 3}
    assert tally.rows == len(kinds)
    assert [row.line for row in tally.changing] == [0, 2]
    assert [row.line for row in tally.failed] == [4, 5]
    assert {row.form for row in (*tally.changing, *tally.failed)} == {None}


def test_the_digest_tells_what_rows_do() -> None:
    digests = set()
    for changes in ([], [("a", 1, 2)], [("a", 2, 1)], [("b", 1, 2)]):
        for kind in ("add", "change"):
            tally, again = Tally(), Tally(5)
            for one in (tally, again):
                one.count(Row(2, kind, changes=[*changes]))
            assert tally.digest == again.digest
            digests.add(tally.digest)
    assert len(digests) == 8


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(number: int) -> int:
        tally = Tally(10)
        tracemalloc.start()
        for i in range(number):
            tally.count(Row(i, "add", form=object(), changes=[("a", None, "x" * 100)]))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert tally.rows == number
        return most

    assert peak(2000) < 2 * peak(200)
