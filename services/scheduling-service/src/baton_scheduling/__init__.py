"""Schedules the patient: appointments and the visit."""
