"""How any service runs: commands, journal, outbox, log, doors, tokens, health. No word of the business."""
