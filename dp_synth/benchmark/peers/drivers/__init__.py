"""Scripts that the interpreters of peers run by path; nothing of ours imports them."""
