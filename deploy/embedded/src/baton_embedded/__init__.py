"""Every service in one process, and the baton command."""
