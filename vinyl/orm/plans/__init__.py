"""
Query plans: SQL, parameters and row loading of a query whose shape is known.

patches.py      which of Django's methods record steps and use plans
steps.py        the methods that record steps, such as filter()
pending.py      querysets whose query Django builds when code reads it
trails.py       querysets with a trail of known steps in place of a query
retaking.py     building the query of a trail
terminals.py    the methods that run a query, such as get()
aggregates.py   those of them with arguments of their own, such as aggregate()
in_bulk.py      in_bulk(), which reads the query of its queryset
execution.py    runs the query of a plan, without a cursor if nothing needs one
on_loop.py      the queries of plans on the event loop, without the bridge
writes_on_loop.py  the writes of plans on the event loop
pipelined_reads.py  reads of several tasks in one block, sent together
queued_reads.py  reads of several tasks that wait for the pool, sent together
streams.py      iterator(), whose rows come in chunks
prefetches.py   prefetch_related(), with one pass over the objects of each level
prefetch_relations.py  the relations that need no code of Django for that
prefetch_filters.py  the filters of these levels, by instances or their keys
prefetches_on_loop.py  prefetch_related() on the event loop, without the bridge
prefetched.py   the querysets of related managers that hold what was prefetched
related_managers.py  the managers that code reads from instances, as copies
related_querysets.py  the querysets of these managers, as copies
shapes.py       the shapes of a model's queries, as a trie of steps
changes.py      changes of models after which shapes are forgotten
inserts.py      the statements that insert objects
insert_plan.py  how one of them inserts objects of a model
insert_learning.py  from the insert that Django runs to its plan
bulk_creates.py  bulk_create() of objects that one statement inserts
model_init.py   Model.__init__() without a loop over the fields
updates.py      update(), and the UPDATE of save()
saves.py        save(): what Django does around its statement
model_saves.py  whether and how save() of a model can have plans
deletes.py      delete() of querysets and instances, where it is one statement
columns.py      from the values that a statement writes to its parameters
assignments.py  from the values that an UPDATE assigns to its parameters
expressions.py  expressions as a part of a shape
inners.py       querysets inside the steps of others
subqueries.py   `Subquery` and `Exists`, which keep the trail of their queryset
values.py       the kinds of values in a query
value_marks.py  copies of them, to follow them by
moments.py      parts of dates and moments, which have parameters of their own
binders.py      from the values of a query to the parameters of its SQL
plan.py         the plan of a shape
learning.py     from the query that Django builds for a shape to its plan
marked_query.py the query that Django builds and runs to make a plan
converters.py   from the values of a result to those of the fields
plain_models.py which models do only what Django does
loaders.py      from the rows of a result to instances, as `Model.from_db()` makes them
builders.py     the code that makes them in one pass, written out for a query

The first query of a shape goes through Django. For the second, Django builds the query
from marked values, which show where each parameter of the SQL comes from, and the plan
is kept. A query without a plan goes through Django.
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.plans import (
        aggregates,
        binders,
        bulk_creates,
        deletes,
        in_bulk,
        insert_learning,
        inserts,
        learning,
        marked_query,
        on_loop,
        prefetch_filters,
        prefetched,
        prefetches,
        prefetches_on_loop,
        related_querysets,
        saves,
        shapes,
        trails,
        updates,
        writes_on_loop,
    )
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "aggregates",
    "binders",
    "bulk_creates",
    "deletes",
    "in_bulk",
    "insert_learning",
    "inserts",
    "learning",
    "marked_query",
    "on_loop",
    "prefetch_filters",
    "prefetched",
    "prefetches",
    "prefetches_on_loop",
    "related_querysets",
    "saves",
    "shapes",
    "trails",
    "updates",
    "writes_on_loop",
]
