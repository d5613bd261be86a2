"""The client of the stored-completions API: requests, what an answer means, and the transport."""
