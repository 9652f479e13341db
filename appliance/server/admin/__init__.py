"""The admin API below /admin/v1/: one file per resource. The rule: what the command line can do, these routes do."""
