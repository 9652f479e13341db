"""Listeners, the two lanes, routes, the admin API and metrics. Bytes in, bytes out; what they mean is request/'s."""
