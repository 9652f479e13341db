"""Recorded races served again under another deadline or target: what it would have cost and met."""
