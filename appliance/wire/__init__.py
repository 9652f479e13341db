"""What the dialects look like: sans-IO codecs. The rule: no I/O, no clock; what is not read passes unchanged."""
