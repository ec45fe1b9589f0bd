"""What intake knows about a referral and its patient: values, rules and refusals, standard library only."""
