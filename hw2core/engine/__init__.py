"""The training loop and what it stands on: device, randomness, resume, journal."""
