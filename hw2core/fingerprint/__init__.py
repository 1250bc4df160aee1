"""Whether this machine computes the same bits as the one that made the committed results."""
