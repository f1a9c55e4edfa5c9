"""The command line: no SQL and no money rules in here."""
