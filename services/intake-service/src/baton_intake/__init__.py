"""Receives referrals: the request, the patient's identity, triage and ending."""
