"""
Requests per second, beside peers: scripts/bench http

__main__.py    the options, the rounds, the tables
pages.py       what is asked for, and whether the answers are right
database.py    the tables and rows that all contestants share
servers.py     one process of uvicorn for each contestant
load.py        sending requests and taking the times
contestants/   the same site, once for each framework
"""
