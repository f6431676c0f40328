"""
A ledger under fire: reads, writes and transactions from many tasks, cancelled and
killed at random, while the books must balance.

ledger.py     the accounts, what is done with them, and what must hold
ordeal.py     the tasks, the cancellations, the kills, and the restart
__main__.py   `scripts/soak`, which prints the figures
"""
