"""Many runs of the trainer: a learning curve, the ladder, the published figures."""
