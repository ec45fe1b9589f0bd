"""What console knows: the stream as it was, and the story of one referral."""
