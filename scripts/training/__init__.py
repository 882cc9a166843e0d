"""How a run goes: the loop, what it trains on, and what is attached to it."""
