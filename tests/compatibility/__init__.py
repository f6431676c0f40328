"""
Small sites with packages that Django projects use, each served in four ways.

__main__.py  runs them all and writes the table: `scripts/compatibility`
one_site.py  serves one site in one mode, in a process of its own, and runs its steps
modes.py     the four ways, as settings
visitor.py   what a step gets: a client of the site
report.py    the page of the documentation, from page.md
admin_steps.py  the steps of sites with an admin
suites.py    packages' own tests in three modes: `scripts/compatibility --suites`
one_suite.py the tests of one package in one mode, in a process of their own
applications/  whole applications: `scripts/compatibility --applications`
shop/        the models of all sites
packages/    a site for each package: its settings in `__init__.py`, and in `site.py`
             its URLs and its steps, the functions `step_...`
"""
