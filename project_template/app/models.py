"""The tables of this app, a class for each."""
