"""The outside world: connections to providers, headers that cross, and one attempt at one provider."""
