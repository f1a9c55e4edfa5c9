"""The DCA daemon for Lamassu Bitcoin ATMs: `docs/architecture.md` is the map of its rooms."""
