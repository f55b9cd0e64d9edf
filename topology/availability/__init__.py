"""How often training is interrupted in a month, what that costs, and what fast recovery saves."""
