"""The embedded server: a private Redis or Valkey for one machine, alive exactly as long as somebody uses it.

Standard library only, and nothing of ours outside this folder, so that a short command may ask for it cheaply.
"""
