"""Real parts for tests that break them: a Redis, workers, the API's stand-in, a link, and a judge of the result."""
