"""The client of the stored-completions API: requests, the decision that an answer leads to, and the transport."""
