"""How things leave: what is said, as mail or as a webhook, and what the other side's answer means."""
