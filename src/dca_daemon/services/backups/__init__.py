"""Backups of the books: made, listed, checked, sorted out, restored, and drilled.

A backup is two files: the archive (what pg_dump writes, encrypted with age) and beside it the manifest, which says
what is in it. The manifest is written last: an archive without one is no backup.
"""
