"""
`vinyl check` for forgotten awaits: reading the project's source.

checks.py     the system check: which files are read, and the messages
rules.py      which calls and relations source code forgets to await
uses.py       which expressions are used as values, and how
inference.py  which types an expression may have
sources.py    what values in source code are, and what their attributes give
"""
