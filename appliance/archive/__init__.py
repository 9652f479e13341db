"""What outlives the process in append-only files: one record when a request begins, one when it has settled."""
