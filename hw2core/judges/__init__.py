"""What is measured of a trained system."""
