"""What others can run against the lifecycle: vectors of the field's standards, translated."""
