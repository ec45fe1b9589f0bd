"""Keeps the referring office informed, with proof."""
