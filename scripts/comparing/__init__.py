"""By hand and torch held to their budgets, as a table."""
