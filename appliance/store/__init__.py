"""What outlives the process, in SQLite: identities, encrypted provider keys, usage. The only package that knows SQL."""
