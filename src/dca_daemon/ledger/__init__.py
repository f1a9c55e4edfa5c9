"""The books: tables, journal, one file per posting, verify."""
