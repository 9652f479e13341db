"""A provider that plays OpenAI with service tiers over real HTTP, for the demo, tests, benches and selftest.

Rule: its HTTP is h11 and its shapes come from the official SDK's types. It imports nothing of this project's
HTTP or dialect code, so that a mistake there cannot hide behind the same mistake here.
"""
