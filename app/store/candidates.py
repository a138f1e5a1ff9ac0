"""Which deliveries of one target a claim may take: due, held by nobody, the oldest of their subject.

Each text is the inner query of a claim, in the words both databases share; `{target}`, `{now}` and
`{slots}` are filled with the placeholders of one of them.
A subject is a person to whom order matters; deliveries without one wait for nobody.
"""

from __future__ import annotations

#: Due deliveries of an ordered target beyond which it is crowded. So many are looked at in the
#: order in which they are due, where one person's may stand before everybody else's.
CROWD = 300

_DUE = "q.target_id = {target} AND q.lease_until IS NULL AND q.due_at <= {now}"
# A range and its order, where one subject and its least id would say the same: PostgreSQL has an index
# for those that leads through everybody's deliveries, and takes it where one person has most of them.
_OLDEST = (
    "(SELECT o.delivery_id FROM queue o WHERE o.target_id = {target} AND o.subject {from}"
    " ORDER BY o.subject, o.delivery_id LIMIT 1)"
)
_FIRST = (
    "({q}.subject IS NULL OR {q}.delivery_id = " + _OLDEST.replace("{from}", ">= {q}.subject") + ")"
)

#: In the order in which they are due: a range of one index, read until enough is found.
BY_DUE = (
    "SELECT q.delivery_id FROM queue q WHERE "  # noqa: S608  no outside text
    + _DUE
    + " AND "
    + _FIRST.replace("{q}", "q")
    + " ORDER BY q.due_at, q.delivery_id LIMIT {slots}"
)

#: The same among the first of a crowd. What follows somebody is passed over one by one, and each
#: costs a look for its predecessor, so that a claim must not go through all of them.
#: The inner order is kept: to sort once more, all of them would have to be looked at.
NEAR = (
    "SELECT n.delivery_id FROM (SELECT q.delivery_id, q.target_id, q.subject, q.due_at"  # noqa: S608  no outside text
    " FROM queue q WHERE "
    + _DUE
    + f" ORDER BY q.due_at, q.delivery_id LIMIT {CROWD}) n WHERE "
    + _FIRST.replace("{q}", "n")
    + " LIMIT {slots}"
)

_NEXT = "> (SELECT s.subject FROM queue s WHERE s.delivery_id = p.head)"
#: From subject to subject, a few steps of an index for each, however many deliveries it has.
HEADS = (
    "WITH RECURSIVE person (head) AS (SELECT "  # noqa: S608  no outside text
    + _OLDEST.replace("{from}", "IS NOT NULL")
    + " UNION ALL SELECT "
    + _OLDEST.replace("{from}", _NEXT)
    + " FROM person p WHERE p.head IS NOT NULL)"
    " SELECT h.delivery_id FROM ("
    "SELECT q.delivery_id, q.due_at FROM person p JOIN queue q ON q.delivery_id = p.head"
    " WHERE q.lease_until IS NULL AND q.due_at <= {now}"
    " UNION ALL SELECT q.delivery_id, q.due_at FROM queue q WHERE "
    + _DUE
    + " AND q.subject IS NULL) h ORDER BY h.due_at, h.delivery_id LIMIT {slots}"
)
