"""The ledger: what is to be done, what was done, and what was there before. Redis keys, Lua, and the server."""
