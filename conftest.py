"""What every test of the workspace may use: real servers on demand, and the last line with the true count."""

pytest_plugins = ("baton_chassis.testing.run_summary", "baton_chassis.testing.fixtures")
