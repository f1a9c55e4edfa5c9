"""`dca-daemon init`: what must be known, whether each answer works, the files, and what remains to be done."""
