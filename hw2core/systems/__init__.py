"""One file a system: its networks, its step, how it predicts."""
