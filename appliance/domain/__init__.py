"""The nouns of Startline: frozen structs and closed vocabularies. No I/O, no clock, no randomness."""
