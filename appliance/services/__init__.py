"""Long-lived tasks beside the request path."""
