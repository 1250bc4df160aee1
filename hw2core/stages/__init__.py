"""What each DVC stage does: it reads its inputs, calls the rooms below, writes its outs."""
