"""Real servers and fixtures for the tests of every member; `make cluster` starts the same servers."""
