"""The command line: one file per command. The rule: nothing heavy is imported before a command runs."""
