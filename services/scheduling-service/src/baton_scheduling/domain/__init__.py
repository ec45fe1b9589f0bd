"""What scheduling knows: appointments, the visit, and where their referral stands."""
