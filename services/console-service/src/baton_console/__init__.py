"""The eyes of operations: event feed, live stream, timelines."""
