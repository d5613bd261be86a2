"""The console: pages for people over the use cases that every door calls, readable without a script."""
