"""What services tell each other and the world: events, lifecycle, names."""
