"""Sends the notes and hands care back."""
