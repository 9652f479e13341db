"""The proof of the deadline engine: worlds and policies on virtual time, through the code that decides."""
