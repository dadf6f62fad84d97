"""What to order, how much and by when: pure functions on arrays, from demand paths to a proposal."""
