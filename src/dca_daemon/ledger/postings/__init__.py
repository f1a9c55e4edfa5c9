"""One file per business event: typed facts in, a balanced entry out."""
