"""The event log: one port, an embedded adapter in one SQLite file and an adapter for Apache Kafka."""
