"""Startline: a self-hosted LLM gateway that races service tiers against the caller's deadline.

`appliance/ARCHITECTURE.md` says how it is built. Nothing is imported here, so that `import appliance` costs nothing.
"""

__version__ = "0.1.0"
