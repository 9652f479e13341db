"""The decisions: facts and the present time in, a decision out. No clock, I/O, randomness or trio."""
