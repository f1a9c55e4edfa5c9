"""The pages and the API: no SQL and no money rules in here."""
