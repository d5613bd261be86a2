"""The sandbox: a stand-in for the stored-completions API, for rehearsals, demos and tests."""
