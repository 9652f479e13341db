"""The life of one request: admit, plan, race, settle, in this order. `answer.py` is the page to read first."""
